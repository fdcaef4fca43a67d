"""The configuration of a BOTAN model as plain data: its checks, and the tensors that it implies.

Nothing here allocates a tensor, so a file from a stranger can be compared with its own configuration before a model is
built from it.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ..errors import InputError
from ..files import printable
from ..quantities import NODE_TARGETS

__all__ = ["check_arguments", "check_config", "state_shapes", "wrong_entry"]

DECODERS = ("separate", "shared", "node")
_KINDS = {
    "hidden_size": "positive integer",
    "num_steps": "non-negative integer up to 1000",
    "decoders": f"one of {', '.join(DECODERS)}",
    "dimensions": "2 or 3",
    "edge_node_skip": "true or false",
    "self_edges": "true or false",
    "cutoff": "positive number",
    "node_target": f"one of {', '.join(NODE_TARGETS)}",
}
# Entries that files of earlier versions lack, and what those meant.
_DEFAULTS = {"node_target": "S"}


def _fits(value: Any, kind: str) -> bool:
    if kind.startswith("one of"):
        return isinstance(value, str) and value in kind.removeprefix("one of ").split(", ")
    if kind == "true or false":
        return isinstance(value, bool)
    if isinstance(value, bool):  # a bool is an int to Python, not to us
        return False
    if kind == "2 or 3":
        return isinstance(value, int) and value in (2, 3)
    if kind.startswith("non-negative integer"):
        # No weight depends on it: a number from a file could ask for years.
        return isinstance(value, int) and 0 <= value <= int(kind.rpartition(" ")[2])
    if kind.endswith("integer"):
        return isinstance(value, int) and 1 <= value < 2**31
    return isinstance(value, int | float) and 0 < value < 1e300  # an integer can be larger than any float


def _wanted(name: str) -> str:
    kind = _KINDS[name]
    return f"a {kind}" if "integer" in kind or "number" in kind else kind


def wrong_entry(config: Mapping[str, Any]) -> str | None:
    """The name of the first entry of a complete configuration whose value is none, or None.

    >>> wrong_entry(dict(hidden_size=64, num_steps=7, decoders="shard", dimensions=3, edge_node_skip=False,
    ...                  self_edges=False, cutoff=2.0, node_target="S"))
    'decoders'
    """
    return next((name for name, kind in _KINDS.items() if not _fits(config[name], kind)), None)


def check_arguments(config: Mapping[str, Any]) -> None:
    """InputError that names the first of the arguments of ``BOTAN`` whose value is none."""
    if name := wrong_entry(config):
        raise InputError(f"{name} = {config[name]!r}; it must be {_wanted(name)}")


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
    config = {**_DEFAULTS, **config}
    for name in _KINDS:
        if name not in config:
            raise InputError(f"entry '{name}' is missing; it must be {_wanted(name)}")
    if name := wrong_entry(config):
        raise InputError(f"entry {name} = {str(config[name])[:40]!r} is wrong; it must be {_wanted(name)}")
    return {name: config[name] for name in _KINDS}


def state_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the tensors in the ``state_dict`` of ``BOTAN(**config)``, in its order.

    >>> config = dict(hidden_size=64, num_steps=7, decoders="shared", dimensions=3, edge_node_skip=False,
    ...               self_edges=False, cutoff=2.0)
    >>> state_shapes(config)["processor.edge_mlp.fc1.weight"]
    (64, 256)
    """
    hidden = config["hidden_size"]
    layers = {
        "node_encoder": [1, hidden, hidden],
        "edge_encoder": [config["dimensions"], hidden, hidden],
        "processor.edge_mlp": [(6 if config["edge_node_skip"] else 4) * hidden, hidden, hidden],
        "processor.node_mlp": [3 * hidden, hidden, hidden],
    }
    decoders = {"separate": ["node_decoder", "edge_decoder"], "shared": ["decoder"], "node": ["node_decoder"]}
    layers.update({name: [hidden, hidden, hidden, 1] for name in decoders[config["decoders"]]})
    shapes: dict[str, tuple[int, ...]] = {}
    for name, sizes in layers.items():
        for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            shapes[f"{name}.fc{number}.weight"] = (outputs, inputs)
            shapes[f"{name}.fc{number}.bias"] = (outputs,)
    return shapes
