"""Which figures the RUNs of `botan-fast figures` allow, and why others are left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import figures
from ..errors import BotanFastError, InputError
from ..figures.appearance import setting
from ..figures.tables import plain
from ..files import file_name
from ..quantities import FIRST_SHELL, NODE_TARGETS
from .found import Found
from .seen import Seen, field_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Gallery", "draw_predictions", "draw_runs", "draw_tables"]

PAPER_SLAB = (11.1, 11.9)


@dataclass
class Gallery:
    """Figures by the names of their files, and a line for each that is left out. Nothing is written before `write`.

    `folder`, `formats` and `force` are where and how they will be written: a file that is there and may not be
    overwritten is refused before its figure is drawn.
    """

    folder: Path
    formats: Sequence[str] = ("pdf", "png")
    force: bool = False
    drawn: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)  # why, and what is left out for it

    @property
    def left_out(self) -> list[str]:
        """A line for each reason, with all that it leaves out."""
        return [f"{', '.join(names)}: {reason}" for reason, names in self.reasons.items()]

    def draw(self, name: str, make: Callable[..., Axes | Sequence[Axes]], /, *arrays: Any, **options: Any) -> None:
        """Make a figure; what does not allow it becomes the reason why it is left out.

        InputError where its file exists and `force` is not given.
        """
        self._refuse_to_overwrite(file_name(name))
        try:
            self.drawn[file_name(name)] = make(*arrays, **options)
        except BotanFastError as error:
            self.leave_out(name, str(error))

    def leave_out(self, name: str, reason: str) -> None:
        """Say that there is no figure of this name."""
        self.reasons.setdefault(reason, []).append(name)

    def write(self) -> list[Path]:
        """Write all figures, and return their paths; InputError before the first where one appeared meanwhile."""
        for name in self.drawn:
            self._refuse_to_overwrite(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, drawn in self.drawn.items():
            for path in self._paths(name):
                figures.save_figure(drawn, path)
        return [path for name in self.drawn for path in self._paths(name)]

    def _paths(self, name: str) -> list[Path]:
        return [self.folder / f"{name}.{kind}" for kind in dict.fromkeys(self.formats)]

    def _refuse_to_overwrite(self, name: str) -> None:
        there = next((path for path in self._paths(name) if path.exists()), None)
        if there is not None and not self.force:
            raise InputError(f"'{there}' exists; choose another --output, or overwrite with --force")


def draw_runs(gallery: Gallery, found: Sequence[Found]) -> None:
    """What is of one RUN alone: losses, F_s, and the transfer between the times of a model."""
    for one in found:
        if one.history:
            gallery.draw(f"losses-{one.name}", figures.losses, one.history, title=_trained(one))
        for end, matrix in one.transfer.items():
            label = figures.score_label(f"{end}_pearson")
            options = {"rows_are": r"output for $t$", "columns_are": r"data at $T$, $t$", "title": one.name}
            gallery.draw(f"transfer-{end}-{one.name}", figures.transfer_matrix, *matrix, label=label, **options)
    simulated = [each for one in found for each in one.simulated]
    if simulated:
        gallery.draw("scattering", _scattering, gallery, simulated)
    else:
        gallery.leave_out("scattering", "no RUN is a data set of simulate whose .work folder is there")
    if not any(one.history for one in found):
        gallery.leave_out("losses", "no RUN is the folder of a training, or its history.csv")


def _trained(found: Found) -> str:
    """Name, T, t and number of training configurations of a run, as far as its card tells."""
    row = found.rows[0] if found.rows else {}
    known = {name: row[name][0] for name in ("temperature", "time") if len(row.get(name) or ()) == 1}
    number = row.get("num_train")
    more = f"{number} training configurations" if number else found.name
    return setting(known.get("temperature"), known.get("time"), None, more)


def _scattering(gallery: Gallery, simulated: Sequence[Any]) -> Axes:
    ax = None
    numbers = {each.number for each in simulated}
    for each in simulated:
        try:
            fit = each.result.fit()
        except InputError as error:
            fit = None
            gallery.leave_out(f"the fit in scattering at T = {each.temperature:g}", str(error))
        curves = np.array([check.scattering for check in each.result.configurations])
        number = numbers.copy().pop() if len(numbers) == 1 else None
        ax = figures.scattering(
            each.result.times, curves, fit=fit, k=each.result.wave_number, temperature=each.temperature,
            number=number, ax=ax,
        )  # fmt: skip
    assert ax is not None
    return ax


def draw_tables(gallery: Gallery, rows: Sequence[Mapping[str, Any]]) -> None:
    """Scores against time, steps, p and the number of configurations, and the transfer between temperatures."""
    own = [row for row in rows if row.get("source") in (None, "")]  # the others are on data of another temperature
    nodes_s = [row for row in own if (row.get("node_target") or "S") == "S"]
    for x, name in (("time", "time"), ("p", "p"), ("num_steps", "steps"), ("num_train", "learning")):
        for end in ("node", "edge"):
            if (x, end) != ("time", "node"):
                _against(gallery, f"pearson-{end}-{name}", nodes_s, x, f"{end}_pearson")
    _nodes_against_time(gallery, own)
    matrix, sources, targets = figures.transfer_of(rows)
    if sources:
        gallery.draw("transfer", figures.transfer_matrix, matrix, sources, targets)
    else:
        gallery.leave_out("transfer", "no row has `source`, the temperature of the training, as in the plan `paper`")


def _against(gallery: Gallery, name: str, rows: Sequence[Mapping[str, Any]], x: str, score: str) -> None:
    if kept := figures.scans(rows, x, score):
        ceiling = _ceiling(kept, score) if x == "time" else None
        gallery.draw(name, figures.pearson_against, kept, x, score=score, ceiling=ceiling)
    else:
        gallery.leave_out(name, f"no two results differ in {x} and in nothing else but seeds")


def _ceiling(rows: Sequence[Mapping[str, Any]], score: str) -> tuple[list[float], list[float]] | None:
    """What a finite number of runs allows at each time, where the rows tell; there is none of several temperatures."""
    name = score.replace("pearson", "ceiling")
    known = {row["time"]: plain(row[name]) for row in rows if row.get(name)}
    if not known or len({plain(row.get("temperature")) for row in rows}) > 1:
        return None
    return list(known), list(known.values())


def _nodes_against_time(gallery: Gallery, rows: Sequence[Mapping[str, Any]]) -> None:
    """Fig. 8: of each temperature a figure, with a panel for each target."""
    kept = figures.scans(rows, "time", "node_pearson")
    if not kept:
        gallery.leave_out("pearson-node-time", "no two results differ in time and in nothing else but seeds")
    held: dict[Any, list[Mapping[str, Any]]] = {}
    for row in kept:
        held.setdefault(plain(row.get("temperature")), []).append(row)
    for temperature, own in sorted(held.items(), key=lambda item: str(item[0])):
        end = "" if len(held) == 1 else f"-T{temperature}"
        options = {"targets": [*NODE_TARGETS], "ceiling": _ceiling(own, "node_pearson")}
        gallery.draw(f"pearson-node-time{end}", figures.pearson_of_targets, own, **options)


def draw_predictions(
    gallery: Gallery, seen: Sequence[Seen], name: str, data: Any, slab: Sequence[float] | None, axis: int
) -> None:
    """Figures of predictions: particles and pairs in a slab of the first one, and all of them together."""
    where = {"axis": axis, "slab": _slab(seen[0], slab, axis)}
    end = f"-{name}" if name else ""
    _draw_particles(gallery, seen, end, data, where)
    _draw_pairs(gallery, seen, end, where)


def _draw_particles(gallery: Gallery, seen: Sequence[Seen], end: str, data: Any, where: dict[str, Any]) -> None:
    first = seen[0]
    names = (f"{first.quantity}{end}", f"agreement-node{end}")
    if first.node is None or first.actual_node is None:
        what = "nothing is predicted for particles" if first.node is None else "the data have no targets of particles"
        for name in names:
            gallery.leave_out(name, what)
        return
    letter = next(letter for letter, quantity in NODE_TARGETS.items() if quantity == first.quantity)
    symbol = rf"$\mathcal{{{letter}}}_i\,/\,\sigma_{{AA}}$"
    options = where | _told(first) | {"model": first.model, "label": f"{first.quantity.replace('_', ' ')} {symbol}"}
    options["field"] = _arrows(gallery, first, data, where, names[0])
    particles = (first.positions, first.types, first.box, first.actual_node, first.node)
    gallery.draw(names[0], figures.propensity_compared, *particles, **options)
    actual, predicted = (
        np.concatenate([getattr(one, field)[one.types == 0] for one in seen]) for field in ("actual_node", "node")
    )
    options = {"name": symbol, "title": _of("type A", seen), "number": len(first.types), **_told(first)}
    gallery.draw(names[1], figures.actual_against_predicted, actual, predicted, **options)


def _draw_pairs(gallery: Gallery, seen: Sequence[Seen], end: str, where: dict[str, Any]) -> None:
    first = seen[0]
    if first.edge is None or first.actual_edge is None:
        what = "nothing is predicted for pairs" if first.edge is None else "the data have no targets of pairs"
        for name in ("bonds", "pair-change", "agreement-edge"):
            gallery.leave_out(f"{name}{end}", what)
        return
    told = _told(first) | {"number": len(first.types)}
    pairs, _, predicted, actual = first.pairs(FIRST_SHELL)
    particles = (first.positions, first.types, first.box)
    options = where | _told(first) | {"model": first.model}
    gallery.draw(f"bonds{end}", figures.bonds_compared, *particles, pairs, actual, predicted, **options)
    _, r, predicted, actual = (
        np.concatenate(part, axis=-1) for part in zip(*(one.pairs(a_alone=True) for one in seen), strict=True)
    )
    options = told | {"title": _of("A-A", seen), "model": first.model}
    gallery.draw(f"pair-change{end}", figures.pair_change_compared, r, actual, predicted, **options)
    near, title = r < FIRST_SHELL, _of(rf"A-A, $r_{{ij}}(0) < {FIRST_SHELL}$", seen)
    symbol = r"$\mathcal{E}_{ij}\,/\,\sigma_{AA}$"
    options = told | {"name": symbol, "title": title}
    gallery.draw(f"agreement-edge{end}", figures.actual_against_predicted, actual[near], predicted[near], **options)


def _told(seen: Seen) -> dict[str, Any]:
    return {"temperature": seen.temperature, "time": seen.time}


def _of(what: str, seen: Sequence[Seen]) -> str:
    return f"{what}, {len(seen)} configuration{'s' if len(seen) > 1 else ''}"


def _slab(seen: Seen, slab: Sequence[float] | None, axis: int) -> tuple[float, float] | None:
    """As given, else the paper's, else, where the box ends before it, the middle."""
    if slab is not None:
        return slab[0], slab[1]
    if seen.box.shape == (3,) and axis in (0, 1, 2) and seen.box[axis] >= PAPER_SLAB[1]:
        return PAPER_SLAB
    return None


def _arrows(gallery: Gallery, seen: Seen, data: Any, where: dict[str, Any], name: str) -> tuple[Any, Any] | None:
    """The local displacement field in the middle of the slab, where the data have trajectories."""
    from ..physics.field import field_in_slice

    field = None if data is None else field_of(seen, data)
    if field is None:
        gallery.leave_out(
            f"the arrows in {name}", "the local displacement field needs files with trajectories in --data"
        )
        return None
    if seen.positions.shape[1] == 2:
        return field_in_slice(seen.positions, field, seen.box)
    slab, axis = where["slab"], where["axis"]
    center = seen.box[axis] / 2 if slab is None else (slab[0] + slab[1]) / 2
    return field_in_slice(seen.positions, field, seen.box, axis=axis, center=center)
