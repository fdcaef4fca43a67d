"""What the benchmarks were to find on one H200 with N = 4096, beside what they found."""

from typing import NamedTuple

from benchmarks.gpu.networks import CAPTURED, title


class Goal(NamedTuple):
    name: str
    kind: str  # "ratio" of the median of `other` to ours, "fraction_of_floor", "milliseconds" or "gigabytes"
    train: bool
    precision: str
    wanted: float
    other: str | None = None

    @property
    def at_most(self) -> bool:
        return self.kind in ("milliseconds", "gigabytes")


GOALS = (
    Goal("training step against PyG", "ratio", True, "fp32", 6, "pyg"),
    Goal("training step against PyG", "ratio", True, "tf32", 10, "pyg"),
    Goal("training step against PyG", "ratio", True, "bf16", 14, "pyg"),
    Goal("training step against torch.compile", "ratio", True, "fp32", 3, "split_compiled"),
    Goal("training step against torch.compile", "ratio", True, "tf32", 4, "split_compiled"),
    *(
        Goal("training step, fraction of the floor", "fraction_of_floor", True, p, 0.5)
        for p in ("fp32", "tf32", "bf16")
    ),
    Goal("inference, milliseconds", "milliseconds", False, "bf16", 0.25),
    Goal("training step, peak gigabytes", "gigabytes", True, "fp32", 0.6),
)


def found(goal: Goal, results: dict[str, dict], manner: str = "") -> float | None:
    """What the results say; None where a benchmark is missing or failed. PyG's place is taken by its sequence."""
    ours = results.get(title(goal.train, "botan_fast", goal.precision, manner), {})
    if goal.kind == "gigabytes":
        return ours["peak_bytes"] / 1e9 if ours.get("peak_bytes") else None
    if "median_us" not in ours:
        return None
    if goal.kind == "milliseconds":
        return ours["median_us"] / 1e3
    if goal.kind == "fraction_of_floor":
        return ours.get("fraction_of_floor")
    other = results.get(title(goal.train, baseline(goal, results)), {})
    return other["median_us"] / ours["median_us"] if "median_us" in other else None


def baseline(goal: Goal, results: dict[str, dict]) -> str | None:
    """The implementation compared with: the authors' sequence in plain torch where PyG gave no time."""
    if goal.other == "pyg" and "median_us" not in results.get(title(goal.train, "pyg"), {}):
        return "authors"
    return goal.other


def compare(results: list[dict]) -> list[dict]:
    """One row for each goal: found by single calls ("eager") and by replays of a CUDA graph; met by the better."""
    named = {result["name"]: result for result in results}
    rows = []
    for goal in GOALS:
        eager, replay = found(goal, named), found(goal, named, CAPTURED)
        measured = [value for value in (eager, replay) if value is not None]
        best = (min if goal.at_most else max)(measured, default=None)
        met = None if best is None else bool(best <= goal.wanted if goal.at_most else best >= goal.wanted)
        rows.append(
            {
                "goal": goal.name,
                "precision": goal.precision,
                "against": baseline(goal, named),
                "wanted": goal.wanted,
                "at_most": goal.at_most,
                "eager": eager,
                "cuda_graph": replay,
                "met": met,
            }
        )
    return rows


def table(rows: list[dict]) -> str:
    """The rows as text."""
    number = lambda value: "-" if value is None else f"{value:.3g}"  # noqa: E731
    lines = [f"{'goal':40}{'precision':>10}{'against':>16}{'wanted':>14}{'eager':>10}{'CUDA graph':>12}  met"]
    for row in rows:
        wanted = ("at most " if row["at_most"] else "") + number(row["wanted"])
        met = {None: "not measured", True: "yes", False: "NO"}[row["met"]]
        lines.append(
            f"{row['goal']:40}{row['precision']:>10}{row['against'] or '-':>16}{wanted:>14}"
            f"{number(row['eager']):>10}{number(row['cuda_graph']):>12}  {met}"
        )
    return "\n".join(lines)
