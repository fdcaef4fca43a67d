"""The configuration of a BOTAN model as plain data: its checks, and the tensors that it implies.

Nothing here allocates a tensor, so a file from a stranger can be compared with its own configuration before a model is
built from it.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ..errors import InputError
from ..files import printable
from ..quantities import NODE_TARGETS

__all__ = [
    "DEFAULTS",
    "buffer_shapes",
    "check_arguments",
    "check_config",
    "input_widths",
    "plain",
    "state_shapes",
    "stored_config",
    "wrong_entry",
]

DECODERS = ("separate", "shared", "node")
EDGE_INPUTS = ("vector", "radial", "inherent")
_MOST_INPUTS, _MOST_COLUMNS, _MOST_RADIAL = 64, 4096, 256
_MOST_PARTS, _DEEPEST, _LONGEST_TEXT = 10_000, 8, 200  # of plain data
_KINDS = {
    "hidden_size": "positive integer",
    "num_steps": "non-negative integer up to 1000",
    "decoders": f"one of {', '.join(DECODERS)}",
    "dimensions": "2 or 3",
    "edge_node_skip": "true or false",
    "self_edges": "true or false",
    "cutoff": "positive number",
    "node_target": f"one of {', '.join(NODE_TARGETS)}",
    "node_inputs": f"list of 1 to {_MOST_INPUTS} different names",
    "edge_inputs": f"list of different names among {', '.join(EDGE_INPUTS)}",
    "input_columns": f"dictionary of names in node_inputs and numbers of columns, 1 to {_MOST_COLUMNS}",
    "num_species": "non-negative integer up to 1000",
    "radial": f"list of four: first centre, last centre, number up to {_MOST_RADIAL}, width",
    "num_outputs": "positive integer up to 1000",
    "scaled": "true or false",
    "structure": "plain dictionary of names, numbers and lists",
}
# What the entries were called for before they existed: files without them mean this.
DEFAULTS: dict[str, Any] = {
    "node_target": "S",
    "node_inputs": ["type"],
    "edge_inputs": ["vector"],
    "input_columns": {},
    "num_species": 0,
    "radial": [0.75, 2.0, 18, 0.08],
    "num_outputs": 1,
    "scaled": False,
    "structure": {},
}
_WRITTEN_ALWAYS = ("node_target",)  # the oldest of them; readers of then know no others


def plain(value: Any) -> Any:
    """The same data as JSON would give them back: tuples are lists.

    >>> plain({"radial": (0.75, 2.0)})
    {'radial': [0.75, 2.0]}
    """
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def _fits(value: Any, kind: str) -> bool:
    if kind.startswith("one of"):
        return isinstance(value, str) and value in kind.removeprefix("one of ").split(", ")
    if kind == "true or false":
        return isinstance(value, bool)
    if kind == "2 or 3":
        return _is_whole(value) and value in (2, 3)
    if kind.endswith("integer"):
        return _is_whole(value) and 1 <= value < 2**31
    if "integer up to" in kind:
        # No weight depends on num_steps: a number from a file could ask for years.
        return _is_whole(value) and (0 if kind.startswith("non") else 1) <= value <= int(kind.rpartition(" ")[2])
    return _is_number(value) and 0 < value < 1e300  # an integer can be larger than any float


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # a bool is an int to Python, not to us


def _is_number(value: Any) -> bool:
    return (_is_whole(value) and abs(value) < 2**63) or (isinstance(value, float) and math.isfinite(value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()


def _are_names(value: Any, known: tuple[str, ...] = ()) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= _MOST_INPUTS
        and all(_is_name(name) and (not known or name in known) for name in value)
        and len(set(value)) == len(value)
    )


def _fits_radial(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        return False
    first, last, number, width = value
    return 0 <= first <= last < 1e6 and _is_whole(number) and 1 <= number <= _MOST_RADIAL and 1e-6 <= width < 1e6


def _fits_plain(value: Any) -> bool:
    """Numbers, text, lists and dictionaries of these, neither deep nor large."""
    left = _MOST_PARTS
    parts = [(value, 0)]
    while parts:
        part, depth = parts.pop()
        left -= 1
        if isinstance(part, (dict, list)):
            if depth == _DEEPEST or len(part) > left:
                return False
            if isinstance(part, dict) and not all(map(_is_name, part)):
                return False
            parts += [(inner, depth + 1) for inner in (part.values() if isinstance(part, dict) else part)]
            left -= len(part)
        elif not (isinstance(part, bool) or part is None or part == "" or _is_number(part) or _is_name(part)):
            return False
    return True


def _fits_entry(name: str, config: Mapping[str, Any]) -> bool:
    value = config[name]
    if name == "node_inputs":
        return _are_names(value)
    if name == "edge_inputs":
        return _are_names(value, EDGE_INPUTS)
    if name == "input_columns":
        arrays = set(config["node_inputs"]) - {"type", "species"}
        return isinstance(value, dict) and all(
            name in arrays and _is_whole(columns) and 1 <= columns <= _MOST_COLUMNS for name, columns in value.items()
        )
    if name == "radial":
        return _fits_radial(value)
    if name == "structure":
        return isinstance(value, dict) and _fits_plain(value)
    return _fits(value, _KINDS[name])


def _wanted(name: str) -> str:
    kind = _KINDS[name]
    return f"a {kind}" if any(word in kind for word in ("integer", "positive", "list of", "dictionary")) else kind


def wrong_entry(config: Mapping[str, Any]) -> str | None:
    """The name of the first entry of a complete configuration whose value is none, or None.

    >>> wrong_entry(dict(DEFAULTS, hidden_size=64, num_steps=7, decoders="shard", dimensions=3, edge_node_skip=False,
    ...                  self_edges=False, cutoff=2.0))
    'decoders'
    """
    return next((name for name in _KINDS if not _fits_entry(name, config)), None)


def _contradiction(config: Mapping[str, Any]) -> str | None:
    for reader, reads in (("node_inputs", "species" in config["node_inputs"]), ("scaled", config["scaled"])):
        if reads and config["num_species"] == 0:
            return f"num_species = 0, but {reader} = {config[reader]!r} needs the number of species; give num_species"
    return None


def check_arguments(config: Mapping[str, Any]) -> None:
    """InputError that names the first of the arguments of ``BOTAN`` whose value is none."""
    if name := wrong_entry(config):
        raise InputError(f"{name} = {printable(repr(config[name]), 200)}; it must be {_wanted(name)}")
    if text := _contradiction(config):
        raise InputError(text)


def check_config(config: Any) -> dict[str, Any]:
    """The configuration as keyword arguments of ``BOTAN``, or InputError that names the first wrong entry.

    >>> check_config({"hidden_size": 64})
    Traceback (most recent call last):
        ...
    botan_fast.errors.InputError: entry 'num_steps' is missing; it must be a non-negative integer up to 1000
    """
    if not isinstance(config, Mapping):
        raise InputError(f"it is a {type(config).__name__}, not a dictionary of the arguments of BOTAN")
    for name in config:
        if name not in _KINDS:
            raise InputError(f"entry '{printable(name, 40)}' is unknown; known are {', '.join(_KINDS)}")
    config = {**DEFAULTS, **config}
    for name in _KINDS:
        if name not in config:
            raise InputError(f"entry '{name}' is missing; it must be {_wanted(name)}")
    if name := wrong_entry(config):
        raise InputError(f"entry {name} = {str(config[name])[:40]!r} is wrong; it must be {_wanted(name)}")
    if text := _contradiction(config):
        raise InputError(f"entry {text}")
    return {name: plain(config[name]) for name in _KINDS}


def stored_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration for a file: without entries that say what a file without them means.

    Files of models that use nothing new are those of earlier versions, which read them.

    >>> stored_config(dict(DEFAULTS, hidden_size=64, num_outputs=3))
    {'node_target': 'S', 'num_outputs': 3, 'hidden_size': 64}
    """
    return {
        name: value
        for name, value in config.items()
        if name in _WRITTEN_ALWAYS or name not in DEFAULTS or value != DEFAULTS[name]
    }


def input_widths(config: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """Columns of each node input and of each edge input, in the order in which the encoders read them.

    >>> input_widths(dict(DEFAULTS, dimensions=3, node_inputs=["type", "descriptors"],
    ...                   input_columns={"descriptors": 61}, edge_inputs=["vector", "radial"]))
    ({'type': 1, 'descriptors': 61}, {'vector': 3, 'radial': 18})
    """
    dimensions, gaussians = config["dimensions"], config["radial"][2]
    known = {"type": 1, "species": config["num_species"]}
    nodes = {name: known.get(name, config["input_columns"].get(name, 1)) for name in config["node_inputs"]}
    of_edges = {"vector": dimensions, "radial": gaussians, "inherent": dimensions + gaussians}
    return nodes, {name: of_edges[name] for name in config["edge_inputs"]}


def buffer_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the means and widths by which inputs and outputs are scaled; empty for the default model.

    >>> buffer_shapes(dict(DEFAULTS, decoders="node", dimensions=3, scaled=True, num_species=2))
    {'node_output_mean': (1, 2), 'node_output_width': (1, 2)}
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def add(name: str, *shape: int) -> None:
        shapes[f"{name}_mean"] = shapes[f"{name}_width"] = shape

    for end, widths in zip(("node", "edge"), input_widths(config), strict=True):
        if config[f"{end}_inputs"] != DEFAULTS[f"{end}_inputs"]:
            add(f"{end}_input", sum(widths.values()))
    if config["scaled"]:
        outputs, species = config["num_outputs"], config["num_species"]
        add("node_output", outputs, species)
        if config["decoders"] != "node":
            add("edge_output", outputs, species, species)
    return shapes


def state_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the tensors in the ``state_dict`` of ``BOTAN(**config)``, in its order.

    >>> config = dict(hidden_size=64, num_steps=7, decoders="shared", dimensions=3, edge_node_skip=False,
    ...               self_edges=False, cutoff=2.0)
    >>> state_shapes(config)["processor.edge_mlp.fc1.weight"]
    (64, 256)
    """
    config = {**DEFAULTS, **config}
    hidden = config["hidden_size"]
    nodes, edges = (sum(widths.values()) for widths in input_widths(config))
    layers = {
        "node_encoder": [nodes, hidden, hidden],
        "edge_encoder": [edges, hidden, hidden],
        "processor.edge_mlp": [(6 if config["edge_node_skip"] else 4) * hidden, hidden, hidden],
        "processor.node_mlp": [3 * hidden, hidden, hidden],
    }
    decoders = {"separate": ["node_decoder", "edge_decoder"], "shared": ["decoder"], "node": ["node_decoder"]}
    layers.update({name: [hidden, hidden, hidden, config["num_outputs"]] for name in decoders[config["decoders"]]})
    shapes = buffer_shapes(config)
    for name, sizes in layers.items():
        for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            shapes[f"{name}.fc{number}.weight"] = (outputs, inputs)
            shapes[f"{name}.fc{number}.bias"] = (outputs,)
    return shapes
