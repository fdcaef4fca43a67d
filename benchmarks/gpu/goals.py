"""What the benchmarks were to find on one H100 or H200 with N = 4096, beside what they found."""

from typing import NamedTuple

from benchmarks.gpu import training
from benchmarks.gpu.networks import CAPTURED, title


class Goal(NamedTuple):
    name: str
    kind: str  # a key of KINDS
    precision: str
    wanted: float
    train: bool = True
    other: str | None = None

    @property
    def at_most(self) -> bool:
        return self.kind in ("milliseconds", "gigabytes", "minutes", "launches")


# What a kind reads in a result of a network; "ratio" is the median of `other` over ours.
KINDS = {
    "milliseconds": ("median_us", 1e-3),
    "gigabytes": ("peak_bytes", 1e-9),
    "fraction_of_floor": ("fraction_of_floor", 1),
}
# and in a result of `train`.
TRAIN_KINDS = {"minutes": "minutes", "kernel_share": "kernel_share", "launches": "launches"}

GOALS = (
    Goal("training step against PyG", "ratio", "fp32", 6, other="pyg"),
    Goal("training step against PyG", "ratio", "tf32", 10, other="pyg"),
    Goal("training step against PyG", "ratio", "bf16", 14, other="pyg"),
    Goal("training step against torch.compile", "ratio", "fp32", 3, other="split_compiled"),
    Goal("training step against torch.compile", "ratio", "tf32", 4, other="split_compiled"),
    *(Goal("training step, fraction of the floor", "fraction_of_floor", p, 0.5) for p in ("fp32", "tf32", "bf16")),
    Goal("inference, milliseconds", "milliseconds", "bf16", 0.25, train=False),
    Goal("training step, peak gigabytes", "gigabytes", "fp32", 0.6),
    Goal("train, 400 x 1000 steps, minutes", "minutes", "fp32", 15),
    Goal("train, 400 x 1000 steps, minutes", "minutes", "tf32", 10),
    *(Goal("train, share of time in kernels", "kernel_share", p, 0.95) for p in ("fp32", "tf32", "bf16")),
    *(Goal("train, launches per step", "launches", p, 70) for p in ("fp32", "tf32", "bf16")),
)


def found(goal: Goal, results: dict[str, dict], manner: str = "") -> float | None:
    """What the results say; None where a benchmark is missing or failed. PyG's place is taken by its sequence."""
    if goal.kind in TRAIN_KINDS:
        return None
    ours = results.get(title(goal.train, "botan_fast", goal.precision, manner), {})
    if goal.kind in KINDS:
        key, factor = KINDS[goal.kind]
        return factor * ours[key] if ours.get(key) else None
    other = results.get(title(goal.train, baseline(goal, results)), {})
    both = "median_us" in other and "median_us" in ours
    return other["median_us"] / ours["median_us"] if both else None


def found_in_train(goal: Goal, results: dict[str, dict]) -> float | None:
    """What a run of `train` says, for the kinds that are measured there."""
    return results.get(training.title(goal.precision), {}).get(TRAIN_KINDS.get(goal.kind))


def baseline(goal: Goal, results: dict[str, dict]) -> str | None:
    """The implementation compared with: the authors' sequence in plain torch where PyG gave no time."""
    if goal.other == "pyg" and "median_us" not in results.get(title(goal.train, "pyg"), {}):
        return "authors"
    return goal.other


def compare(results: list[dict]) -> list[dict]:
    """One row for each goal: found by single calls ("eager"), by replays of a CUDA graph, in runs of `train`.

    Met by the better.
    """
    named = {result["name"]: result for result in results}
    rows = []
    for goal in GOALS:
        values = {
            "eager": found(goal, named),
            "cuda_graph": found(goal, named, CAPTURED),
            "train": found_in_train(goal, named),
        }
        measured = [value for value in values.values() if value is not None]
        best = (min if goal.at_most else max)(measured, default=None)
        met = None if best is None else bool(best <= goal.wanted if goal.at_most else best >= goal.wanted)
        rows.append(
            {
                "goal": goal.name,
                "precision": goal.precision,
                "against": baseline(goal, named),
                "wanted": goal.wanted,
                "at_most": goal.at_most,
                **values,
                "met": met,
            }
        )
    return rows


def table(rows: list[dict]) -> str:
    """The rows as text."""
    number = lambda value: "-" if value is None else f"{value:.3g}"  # noqa: E731
    heads = f"{'goal':40}{'precision':>10}{'against':>16}{'wanted':>14}{'eager':>10}{'CUDA graph':>12}{'train':>9}  met"
    lines = [heads]
    for row in rows:
        wanted = ("at most " if row["at_most"] else "") + number(row["wanted"])
        met = {None: "not measured", True: "yes", False: "NO"}[row["met"]]
        lines.append(
            f"{row['goal']:40}{row['precision']:>10}{row['against'] or '-':>16}{wanted:>14}"
            f"{number(row['eager']):>10}{number(row['cuda_graph']):>12}{number(row['train']):>9}  {met}"
        )
    return "\n".join(lines)
