"""The plan of a sweep: a TOML file, read and checked as far as it can be without its tasks.

    [values]                      # texts by a name: "{train}" stands for them anywhere below; here is what may change
    train = "T{temperature}/train/*.npz"

    [defaults.train]              # options of every stage of a command, by their names in Python
    epochs = 1000

    [[stage]]
    name = "pretrain"             # a task for each point of the grid, here 5: pretrain-seed0 ... pretrain-seed4
    command = "train"             # train, baseline, simulate, convert or evaluate
    grid = { seed = [0, 1, 2, 3, 4] }
    options = { train = "{train}", temperature = 0.44, time = 13, p = 0 }

    [[stage]]
    name = "botan"
    command = "train"             # 2 x 5 and 1 x 5 tasks: a grid may be a list of tables, whose union it is
    grid = [{ temperature = 0.44, time = [130, 4120], seed = [0, 1, 2, 3, 4] },
            { temperature = 0.64, time = "tau_alpha", seed = [0, 1, 2, 3, 4] }]
    options = { train = "{train}", init = "{pretrain}" }      # the pretrain-seedK of the same K
    needs = ["pretrain"]          # after what else it comes; what it names in braces it needs anyway
    as_needed = true              # only where another stage names it

A key of a grid is the option of that name; one that is no option stands in braces somewhere. `time = "paper"` are the
times of Table I at that temperature, "tau_alpha" the one of them, `shard = 40` are the shards "1/40" ... "40/40".

Braces: {temperature} is the value in the grid ({temperature:.2f} is 0.50), {pretrain} the output of that stage's tasks
which agree on all keys of both grids: one, or several where the option takes several. {botan temperature=0.44
time=other} chooses, by a value or by a key of the own grid; seed=* takes all. {shipped} is the folder of the data that
come with botan_fast, {plan} that of the plan. A layout's own braces are doubled: {{run}}. Relative paths count from
the plan's folder. `[search]` is in `botan_fast.sweep.search`, `[slurm]` in docs/training.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InputError
from ..files import FilePath, did_you_mean, is_file, printable
from ..option import Option, read_toml

__all__ = ["CHOSEN", "COMMANDS", "Plan", "Search", "Stage", "option_tables", "read_plan", "refuse", "shipped_plans"]

FOLDER = Path(str(resources.files("botan_fast") / "sweep" / "plans"))
COMMANDS = ("train", "baseline", "simulate", "convert", "evaluate")
# What the sweep itself decides.
CHOSEN = ("output", "resume", "force", "append", "quiet", "json", "config", "log_file", "verbose")
WORDS = ("plan", "shipped", "search")  # which mean something else in braces, or in names of tasks
_STAGE = ("name", "command", "grid", "options", "needs", "as_needed")
_SEARCH = ("options", "trials", "metric", "direction", "seed", "needs")


@dataclass(frozen=True)
class Stage:
    """Tasks of one command.

    name       begins the names of its tasks
    command    one of `COMMANDS`
    grid       tables: of each key, the list of its values, or "paper", or a number of shards
    options    of all tasks, with braces
    defaults   those of its command, which give way to grid and options
    needs      stages that come before, besides those in braces
    as_needed  leave it out where no other stage needs it
    """

    name: str
    command: str
    grid: tuple[Mapping[str, Any], ...] = ({},)
    options: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    as_needed: bool = False


@dataclass(frozen=True)
class Search:
    """The table [search]: a stage of `train` whose options have ranges, see `botan_fast.sweep.search`."""

    stage: Stage
    ranges: Mapping[str, Mapping[str, Any]]
    trials: int
    metric: str
    direction: str
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """A plan as it is in its file; `text` is that file, `name` stands for it in messages."""

    path: Path
    text: bytes
    stages: tuple[Stage, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    search: Search | None = None

    @property
    def name(self) -> str:
        return printable(self.path.name)

    @property
    def folder(self) -> Path:
        return self.path.parent

    def where(self, stage: Stage) -> str:
        """What a message about a stage begins with."""
        return f"{self.name}: " + ("[search]" if stage.name == "search" else f"stage {stage.name}")


def option_tables() -> dict[str, tuple[Option, ...]]:
    """The options of each command."""
    from ..data.options import CONVERT
    from ..evaluation.options import EVALUATE
    from ..simulation.options import SIMULATE
    from ..training.options import BASELINE, TRAIN

    return {"train": TRAIN, "baseline": BASELINE, "simulate": SIMULATE, "convert": CONVERT, "evaluate": EVALUATE}


def refuse(where: str, message: str) -> NoReturn:
    """An InputError that begins with the place in the plan."""
    raise InputError(f"{where}: {message}")


def shipped_plans() -> list[str]:
    """Names of the plans that come with the package.

    >>> from botan_fast.sweep.plan import shipped_plans
    >>> shipped_plans()
    ['paper', 'quick']
    """
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_plan(plan: FilePath) -> Plan:
    """The plan of a TOML file, or the one of that name that comes with the package; a file of the name goes first.

    InputError, in one line that names file, stage, key, value and remedy, for what is no plan.

    >>> from botan_fast.sweep.plan import read_plan
    >>> plan = read_plan("quick")
    >>> plan.path.name, plan.stages[0].command
    ('quick.toml', 'train')
    """
    path = _find(plan)
    content = read_toml(path)
    where = printable(path.name)
    _check_keys(where, content, ("values", "defaults", "stage", "search", "slurm"), "a table of a plan")
    values = _table(where, "values", content.get("values", {}))
    defaults = _defaults(where, content.get("defaults", {}))
    tables = content.get("stage", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        refuse(where, "stage is not a list of tables; begin each stage with the line [[stage]]")
    stages = tuple(_stage(where, number, table, defaults) for number, table in enumerate(tables, start=1))
    search = None
    if "search" in content:
        search = _search(where, _table(where, "search", content["search"]), defaults)
    if not stages and search is None:
        refuse(where, "there is no stage; begin one with the line [[stage]]")
    _check_names(where, stages, values)
    _check_slurm(content.get("slurm"), [stage.name for stage in (*stages, *([search.stage] if search else []))], where)
    return Plan(path.absolute(), path.read_bytes(), stages, values, search)


def _find(plan: FilePath) -> Path:
    path = Path(plan)
    if not is_file(path) and path.parent == Path():
        shipped = FOLDER / f"{path.name.removesuffix('.toml')}.toml"
        if is_file(shipped):
            return shipped
        if not path.is_dir():
            meant = did_you_mean(path.name.removesuffix(".toml"), shipped_plans())
            refuse(printable(plan), f"no such file, nor a plan of botan_fast ({', '.join(shipped_plans())}){meant}")
    return path


def _stage(where: str, number: int, table: dict[str, Any], defaults: Mapping[str, dict[str, Any]]) -> Stage:
    name = table.get("name")
    place = f"{where}: stage {printable(name)}" if isinstance(name, str) and name else f"{where}: stage {number}"
    _check_keys(place, table, _STAGE, "a key of a stage")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,39}", name):
        refuse(place, f"name = {_shown(name)}; give a letter, then letters, digits, _ and -, at most 40")
    command = table.get("command")
    if command not in COMMANDS:
        meant = did_you_mean(str(command), COMMANDS)
        refuse(place, f"command = {_shown(command)}; give one of {', '.join(COMMANDS)}{meant}")
    options = _table(place, "options", table.get("options", {}))
    grid = table.get("grid", {})
    grids = tuple(grid) if isinstance(grid, list) else (grid,)
    if not grids or not all(isinstance(one, dict) for one in grids):
        refuse(place, f"grid = {_shown(grid)}; give a table, such as {{ seed = [0, 1] }}, or a list of tables")
    as_needed = table.get("as_needed", False)
    if not isinstance(as_needed, bool):
        refuse(place, f"as_needed = {_shown(as_needed)}; give true or false")
    return Stage(name, command, grids, options, defaults.get(command, {}), _needs(place, table), as_needed)


def _search(where: str, table: dict[str, Any], defaults: Mapping[str, dict[str, Any]]) -> Search:
    from .search import check_search

    place = f"{where}: [search]"
    _check_keys(place, table, _SEARCH, "a key of [search]")
    options = defaults.get("train", {}) | _table(place, "options", table.get("options", {}))
    ranges = {name: value for name, value in options.items() if isinstance(value, dict) and name != "descriptors"}
    fixed = {name: value for name, value in options.items() if name not in ranges}
    stage = Stage("search", "train", ({},), fixed, needs=_needs(place, table))
    given = {name: value for name, value in table.items() if name not in ("options", "needs")}
    return Search(stage, *check_search(place, fixed, ranges, given))


def _needs(place: str, table: dict[str, Any]) -> tuple[str, ...]:
    needs = table.get("needs", [])
    if not isinstance(needs, list) or not all(isinstance(name, str) for name in needs):
        refuse(place, f'needs = {_shown(needs)}; give a list of names of stages, such as ["data"]')
    return tuple(needs)


def _defaults(where: str, defaults: Any) -> dict[str, dict[str, Any]]:
    tables = _table(where, "defaults", defaults)
    _check_keys(f"{where}: [defaults]", tables, COMMANDS, "a command")
    return {name: _table(f"{where}: [defaults]", name, table) for name, table in tables.items()}


def _check_names(where: str, stages: Iterable[Stage], values: Mapping[str, Any]) -> None:
    """One meaning for each word in braces."""
    seen: dict[str, str] = dict.fromkeys(WORDS, "a word that plans have a meaning for")
    for name in values:
        _once(where, f"[values] {printable(name)}", name, seen)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
            refuse(f"{where}: [values]", f"the name {printable(name)} cannot stand in braces; give letters, digits, _")
    names = {}
    for stage in stages:
        _once(where, f"stage {stage.name}", stage.name, seen)
        names[stage.name] = "a stage"
    for stage in stages:
        for name in dict.fromkeys(key for table in stage.grid for key in table):
            if name in seen:
                refuse(f"{where}: stage {stage.name}", f"grid has the key {printable(name)}, which is {seen[name]} too")
        for name in stage.needs:
            if name not in names:
                refuse(f"{where}: stage {stage.name}", f"needs {_shown(name)}, no stage{did_you_mean(name, names)}")


def _once(where: str, what: str, name: str, seen: dict[str, str]) -> None:
    if name in seen:
        refuse(where, f"{what}: the name is {seen[name]}; give another")
    seen[name] = "the name of a stage" if what.startswith("stage") else "a name of [values]"


def _check_slurm(table: Any, stages: list[str], where: str) -> None:
    if table is None:
        return
    _table(where, "slurm", table)
    from .slurm_settings import check_slurm

    check_slurm(table, stages, where)


def _table(where: str, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        refuse(where, f"{name} = {_shown(value)}; give a table")
    return dict(value)


def _check_keys(where: str, table: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    for key in table:
        if key not in known:
            meant = did_you_mean(key, known) or f"; there are {', '.join(known)}"
            refuse(where, f"{printable(key, 40)} is not {what}{meant}")


def _shown(value: Any) -> str:
    return printable(repr(value) if isinstance(value, str) else str(value), 60)
