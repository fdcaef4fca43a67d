"""Files that `torch.save` wrote, read without running what they hold: a `state_dict`, alone or in a dictionary.

A file of this kind is a pickle beside raw numbers. `torch.load(weights_only=True)` refuses code; what it does not look
at is looked at here: compressed members, tuples that take forever to hash, tensors whose elements share their memory,
names that no tensor has.
"""

import io
import math
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from ..errors import CheckpointError
from ..files import printable

__all__ = ["read_state_dict"]

# Where programs put the state_dict in a dictionary of several things, the likeliest first.
_ENTRIES = ("model_state_dict", "state_dict", "model", "model_state", "network", "net", "weights", "params")
_FIRST = "node_encoder.fc1.weight"  # a tensor that every BOTAN has, whoever wrote it
# No state_dict has more instructions, or tuples of more parts, those inside of them counted.
_MAX_INSTRUCTIONS = 1_000_000
_MAX_TUPLE = 10_000


def read_state_dict(file: Path) -> dict[str, torch.Tensor]:
    """The dense floating-point tensors of a model by name.

    In a dictionary of several things the entry that is a `state_dict` is taken. What wrappers put before the names,
    `module.` (DataParallel) or `_orig_mod.` (torch.compile), is left out.

    Raises
    ------
    CheckpointError
        The file is truncated or corrupt, or holds anything else; one line says what.
    """
    _check_archive(file)
    try:
        # Never weights_only=False: that would run whatever code the file holds. The restricted reader raises many
        # kinds of exceptions on a broken stream, and all of them mean the same to the caller. It gets an open file,
        # because torch.load takes some names as a format of their own.
        with open(file, "rb") as opened, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = torch.load(opened, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"path = '{file}' is truncated or holds Python objects besides tensors, which could run code when read; "
            "save model.state_dict() alone"
        ) from None
    except Exception as error:
        raise _unreadable(file, error) from None
    state = _entry(file, value)
    for name, tensor in state.items():
        _check_tensor(file, name, tensor)
    return _without_prefix(state)


def _entry(file: Path, value: Any) -> Mapping[str, torch.Tensor]:
    """The state_dict in what the file holds: all of it, or one entry."""
    if not isinstance(value, Mapping) or not value:
        raise CheckpointError(f"path = '{file}' holds a {type(value).__name__}; expected the state_dict of a model")
    for name in value:
        if not isinstance(name, str) or not name.isprintable() or len(name) > 200:
            shown = printable(name, 60) if isinstance(name, str) else f"of type {type(name).__name__}"
            raise CheckpointError(f"path = '{file}': the name {shown!r} is none of a tensor; expected a state_dict")
    inner = {name: part for name, part in value.items() if isinstance(part, Mapping)}
    states = {name: part for name, part in inner.items() if part and all(_is_tensor(*item) for item in part.items())}
    if not states or any(isinstance(part, torch.Tensor) for part in value.values()):
        return value
    chosen = next((name for name in _ENTRIES if name in states), None)
    if chosen is None and len(states) == 1:
        [chosen] = states
    if chosen is None:
        names = ", ".join(map(repr, sorted(states)[:5]))
        raise CheckpointError(f"path = '{file}' holds several models ({names}); save the state_dict of one alone")
    return states[chosen]


def _is_tensor(name: Any, value: Any) -> bool:
    return isinstance(name, str) and isinstance(value, torch.Tensor)


def _check_tensor(file: Path, name: Any, tensor: Any) -> None:
    if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
        shown = printable(name, 60) if isinstance(name, str) else f"of type {type(name).__name__}"
        raise CheckpointError(
            f"path = '{file}': entry {shown!r} is a {type(tensor).__name__}; expected a state_dict, names with tensors"
        )
    if not name.isprintable() or len(name) > 200:
        raise CheckpointError(f"path = '{file}': the name {printable(name, 60)!r} is none of a tensor")
    dense = tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_quantized
    if not dense or tensor.device.type != "cpu" or not tensor.is_floating_point():
        raise CheckpointError(f"path = '{file}': tensor '{name}' is not a dense floating-point tensor")
    # An expanded tensor claims more than the file holds: a few bytes would ask for terabytes.
    last: float = 1
    stored = tensor.untyped_storage().nbytes() // tensor.element_size() - tensor.storage_offset()
    for size, stride in sorted(zip(tensor.shape, tensor.stride(), strict=True), key=lambda pair: pair[1]):
        if size > 1 and stride < last:
            last = math.inf  # two elements in one place
        last += (size - 1) * stride
    if tensor.numel() and last > stored:
        raise CheckpointError(
            f"path = '{file}': tensor '{name}' of shape {tuple(tensor.shape)} has too few data: its elements share them"
        )


def _without_prefix(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under the names that the model itself gives them."""
    names = {name: name.replace("_orig_mod.", "") for name in state}
    first = next((name for name in names.values() if name.endswith(f".{_FIRST}")), None)
    prefix = "" if first is None else first.removesuffix(_FIRST)
    if not all(name.startswith(prefix) for name in names.values()) or len(set(names.values())) < len(names):
        return dict(state)
    return {name.removeprefix(prefix): state[whole] for whole, name in names.items()}


def _check_archive(file: Path) -> None:
    """A .pth is a zip archive of a pickle and uncompressed tensors; others (.npz, .zip) get their own message."""
    with open(file, "rb") as opened:
        if opened.read(2) != b"PK":  # the older layout: five pickles, then the numbers
            opened.seek(0)
            for number in range(5):
                if number == 0 or opened.peek(1):
                    _inspect(file, opened)
            return
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            # Before anything is unpacked: a small compressed file could hold terabytes.
            compressed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
            damaged = None if compressed else archive.testzip()  # torch itself does not look at the checksums
            pickles = [member for member in members if member.filename.endswith("/data.pkl")]
            programs = [] if compressed or damaged else [archive.read(member) for member in pickles[:1]]
    # zipfile tells damage by any of Python's exceptions.
    except Exception as error:
        raise _unreadable(file, error) from None
    if not pickles:
        what = "an .npz data file" if any(m.filename.endswith(".npy") for m in members) else "a zip archive"
        raise CheckpointError(f"path = '{file}' is {what}, not a model; give a model file")
    if compressed:
        raise CheckpointError(f"path = '{file}' is a compressed archive, which torch.save never writes; save it anew")
    if damaged:
        raise CheckpointError(
            f"path = '{file}' is corrupt: the checksum of '{printable(damaged, 80)}' is wrong; fetch it again"
        )
    if len(pickles) > 1:
        raise CheckpointError(f"path = '{file}' is corrupt: it holds {len(pickles)} models; fetch it again")
    for program in programs:
        _inspect(file, io.BytesIO(program))


def _inspect(file: Path, stream: IO[bytes]) -> None:
    """Read a pickle's instructions without running them; CheckpointError for tuples in tuples without end.

    The stack holds, in place of each value, how many parts it has where it is a tuple: a key of a dictionary is hashed,
    which visits all of them, and sixty tuples of two times the one before have 2**60.
    """
    mark = -1
    stack: list[int] = []
    cells: dict[int, int] = {}
    try:
        for number, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
            name, before, after = instruction.name, instruction.stack_before, instruction.stack_after
            if name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
                cells[len(cells) if argument is None else int(argument)] = stack[-1]
                continue
            if name in ("GET", "BINGET", "LONG_BINGET"):
                stack.append(cells[int(argument or 0)])
                continue
            popped = []
            count = len(before)
            if pickletools.markobject in before or (name == "POP" and stack[-1] == mark):
                while (top := stack.pop()) != mark:
                    popped.append(top)
                count = before.index(pickletools.markobject) if name != "POP" else 0
            popped += [stack.pop() for _ in range(count)]
            parts = 1 + sum(popped) if "TUPLE" in name else popped[0] if name == "DUP" else 1
            if parts > _MAX_TUPLE or number > _MAX_INSTRUCTIONS:
                raise CheckpointError(
                    f"path = '{file}' holds more pieces, or tuples in tuples, than a state_dict has; it is no model"
                )
            stack += [mark if pushed is pickletools.markobject else parts for pushed in after]
    except CheckpointError:
        raise
    except Exception as error:  # whatever pickletools finds wrong, and a stack that runs empty
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> CheckpointError:
    reason = printable(str(error).split("\n")[0] or type(error).__name__)
    return CheckpointError(f"path = '{file}' is truncated or corrupt ({reason}); write or fetch it again")
