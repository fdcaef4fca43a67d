"""The part of a report about one run: what was trained on what, its scores, its pictures."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..files import printable
from ..quantities import NODE_TARGETS
from .drawings import drawings
from .page import Headline, Section
from .particles import packed
from .results import Results
from .runs import Run
from .scores import COEFFICIENT, UNKNOWN, Cell, ceiling_note, condition_table, heterogeneity_table, score_table

__all__ = ["section"]

_KINDS = {"train": "network", "baseline": "linear baseline", "model": "model"}
_LONGEST = 2000  # letters of a value that is shown; run.toml has the whole


def section(run: Run, heading: str, results: Results | None, command: str | None = None) -> Section:
    """What the page says of a run; `command` takes the place of the one that run.toml gives.

    >>> from botan_fast.report.runs import read_run
    >>> from botan_fast.report.sections import section
    >>> made = section(read_run("ka-t0.44-tau"), "the network", None)
    >>> made.notes[0]
    'No test data: the run names none. Give them with --data to get scores, figures and particles.'
    """
    own: dict[str, Any] = {
        "heading": heading,
        "summary": _summary(run),
        "notes": _notes(run, results),
        "pictures": drawings(run, results),
        "facts": _facts(run, results),
        "settings": _settings(run),
        "run_file": run.run_file,
    }
    if results is not None:
        others = (condition_table(results.scores), heterogeneity_table(results.scores))
        own["tables"] = [score_table(results.scores), *(table for table in others if table is not None)]
        own["headlines"] = _headlines(results)
        own["scores_note"] = ceiling_note(results.scores)
        own |= _view(run, results)
    return Section(**own, **_repeated(run, command))


def _summary(run: Run) -> str:
    card = run.model.card
    text = _KINDS[run.kind].capitalize()
    if card is not None:
        text += f", trained for {card.trained_for}"
        if card.num_configurations:
            text += f", on {card.num_configurations} configuration{'' if card.num_configurations == 1 else 's'}"
        text += f" at T = {card.temperatures[0]:g}" if len(card.temperatures) == 1 else ""
        text += f", t = {card.times[0]:g}" if len(card.times) == 1 else ""
    return f"{text}."


def _headlines(results: Results) -> list[Headline]:
    """The scores of the paper, in large."""
    scores = results.scores
    number = scores["num_configurations"]
    of = f"{number} test configuration{'' if number == 1 else 's'}"
    found = []
    for kind, what in (("node", "particles of type A"), ("edge", "A-A pairs, r < 1.35 σ")):
        name = f"{kind}_pearson"
        cell = Cell.of(scores.get(name), (scores.get("intervals") or {}).get(name), COEFFICIENT)
        if cell.text == UNKNOWN:
            continue
        ceiling = Cell.of((scores.get("ceiling") or {}).get(kind), digits=COEFFICIENT).text
        remarks = [f"95 % interval {cell.interval}"] if cell.interval else []
        remarks += [f"ceiling {ceiling}"] if ceiling != UNKNOWN else []
        found.append(Headline(cell.text, f"Pearson of {what}, {of}", "; ".join(remarks)))
    return found


def _notes(run: Run, results: Results | None) -> list[str]:
    notes = []
    if results is None:
        lack = "no run.toml says which" if run.kind == "model" and run.path.is_dir() else "the run names none"
        if "test" in run.objects:
            lack = "they were objects in Python, which run.toml cannot hold"
        notes.append(f"No test data: {lack}. Give them with --data to get scores, figures and particles.")
    epochs = run.config.get("settings", {}).get("epochs") if isinstance(run.config.get("settings"), dict) else None
    if run.stopped:
        notes.append(f"The run ended after {len(run.history)} epochs: {printable(run.stopped)}.")
    elif isinstance(epochs, int) and len(run.history) < epochs and "patience" not in run.options:
        notes.append(f"The run is not finished: {len(run.history)} of {epochs} epochs.")
    return notes


def _facts(run: Run, results: Results | None) -> list[tuple[str, str]]:
    card = run.model.card
    if run.path.exists():
        place = ("folder" if run.path.is_dir() else "file", printable(run.path.absolute(), _LONGEST))
    else:
        place = ("model", f"{printable(run.name)}, which comes with botan_fast")
    facts = [place, ("kind", _KINDS[run.kind])]
    facts += [("model card", "none: nobody says what it was trained for")] if card is None else card.describe()
    for part in ("train", "test"):
        if (said := _data(run, part)) is not None:
            facts.append((f"{part}ing data" if part == "train" else "test data", said))
    if results is not None:
        names = [sample.name for sample in results.samples]
        facts.append(("scored on", _listed(dict.fromkeys(names))))
    if run.history:
        seconds = sum(row.get("seconds") or 0.0 for row in run.history)
        facts.append(("epochs", f"{len(run.history)}, {_duration(seconds)}"))
    parameters = getattr(run.model.model, "parameters", None)
    if parameters is not None and (number := sum(p.numel() for p in parameters())):
        facts.append(("parameters", f"{number:,}".replace(",", " ")))
    return facts


def _data(run: Run, part: str) -> str | None:
    given = run.options.get(part)
    if given is not None:
        return _listed(given if isinstance(given, list) else [given])
    recorded = run.config.get(part)
    names = recorded.get("names") if isinstance(recorded, dict) else None
    return _listed(names) if isinstance(names, list) and names else None


def _listed(names: Any) -> str:
    shown = [printable(name, 300) for name in names]
    more = f", ... ({len(shown)} in all)" if len(shown) > 8 else ""
    return ", ".join(shown[:8]) + more


def _settings(run: Run) -> list[tuple[str, str]]:
    """What the run resolved its options to: settings of the training, and of the model."""
    found: dict[str, Any] = {}
    for part in ("settings", "model"):
        table = run.config.get(part)
        if isinstance(table, dict):
            found |= table
    found = found or dict(run.model.model.config)
    return [(printable(name, 60).replace("_", " "), _shown(value)) for name, value in found.items()]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{printable(name, 60)}: {_shown(part)}" for name, part in value.items())[:_LONGEST]
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value))[:_LONGEST]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else printable(value, _LONGEST)


def _repeated(run: Run, command: str | None) -> dict[str, Any]:
    if command is not None:
        return {"command": command}
    if run.command is None:
        return {"repeat_note": "No run.toml tells how this model was made."}
    note = "ANOTHER is a folder of your choice."
    if run.objects:
        note += f" Not in run.toml, to be given besides: {', '.join(printable(name, 60) for name in run.objects)}."
    return {"command": printable(run.command, 5000), "repeat_note": note}


def _view(run: Run, results: Results) -> dict[str, Any]:
    """The first configuration, for the view that turns."""
    prediction, card = results.predictions[0], run.model.card
    view = packed(prediction, () if card is None else card.species)
    if not view["fields"]:
        return {}
    letter = prediction.node_target
    word = NODE_TARGETS[letter].replace("_", " ")
    known = any(field["actual"] is not None for field in view["fields"])
    choices = [("predicted", "predicted"), *([("actual", "actual"), ("error", "error")] if known else [])]
    name, total = printable(prediction.name, 200), view["total"]
    number = f"{total:,}".replace(",", "\u00a0")
    caption = f"{number} particles of {name}, coloured by {word} {letter}."
    if view["slab"] < 1:
        caption += f" Of them, those in the lowest {100 * view['slab']:.2g} % of the box are here."
    caption += " The scale ends at the 1st and the 99th per cent of the values."
    text = f"Particles of {name} in their periodic box, coloured by {word}."
    if known and np.isfinite(results.scores.get("node_pearson") or np.nan):
        text += f" Over all test data, prediction and simulation correlate by {results.scores['node_pearson']:.2f}."
    return {
        "view": view | {"quantity": f"{word} {letter} / σ"},
        "view_choices": choices,
        "view_caption": caption,
        "view_text": text,
    }


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
