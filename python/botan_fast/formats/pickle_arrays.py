"""Unpickling that can build arrays, numbers, strings and plain containers, and nothing else.

A pickle is a program; loading one from somebody else can run anything. Here every name that the program asks for is
looked up in a table of stand-ins, which only collect the bytes of arrays. No function of NumPy runs before the whole
file is read and its sizes are checked. Files of Python 2 (byte strings come as latin-1) and of NumPy 1 and 2
(`numpy.core` or `numpy._core`) give the same.
"""

import io
import math
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..errors import DataError

__all__ = ["Array", "load_arrays"]

_KINDS = re.compile(r"[<>=|]?[fiub](1|2|4|8)")
# No data set has more pieces; a program with more is not data.
MAX_INSTRUCTIONS = 5_000_000
MAX_NESTED = 20_000


class _Refused(Exception):
    """What the pickle asks for is not data; the text says what."""


def load_arrays(path: Path) -> Any:
    """What the pickle holds, with `Array` in the place of NumPy arrays; call `Array.get` on each that is needed.

    Raises
    ------
    DataError
        The file is truncated or damaged, or asks for anything but arrays and plain containers; the message names it.
    """
    content = path.read_bytes()
    try:
        _inspect(content)
        return _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except _Refused as error:
        raise DataError(
            f"{path}: the pickle asks for {error}, which is not data; only arrays and plain containers are loaded, "
            "because a pickle can run any program"
        ) from None
    # A damaged pickle can fail in any operation of the small machine that it programs.
    except Exception as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise DataError(f"{path}: truncated or damaged pickle ({reason}); copy or download the file again") from None


class Array:
    """The bytes of a NumPy array in a pickle, and what they mean."""

    def __init__(self) -> None:
        # Any: whatever the file says, until `get` has looked at it
        self.shape: Any = ()
        self.dtype: Any = None
        self.fortran: Any = False
        self.data: Any = None

    def __setstate__(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) == 5):
            raise pickle.UnpicklingError("an array without shape, dtype and data")
        _, self.shape, self.dtype, self.fortran, self.data = state

    def get(self) -> np.ndarray:
        """The array; ValueError where it is not one of numbers whose bytes fit its shape."""
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        if not isinstance(self.dtype, _DType) or not isinstance(data, (bytes, bytearray)):
            raise ValueError("an array of Python objects; expected numbers")
        shape = self.shape
        if not (isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape) and len(shape) < 8):
            raise ValueError(f"an array of shape {str(shape)[:40]}")
        dtype = self.dtype.get()
        if math.prod(shape) * dtype.itemsize != len(data):
            raise ValueError(f"an array of shape {shape} and dtype {dtype} with {len(data)} bytes")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if self.fortran else "C")


class _DType:
    """A NumPy dtype in a pickle: `dtype('f8', 0, 1)`, then its byte order as a state."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = name
        self.order: Any = "|"  # whatever the file says

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]
        if state[2:5] != (None, None, None):
            self.name = "a structured dtype"

    def get(self) -> np.dtype:
        name = self.name.decode("latin1") if isinstance(self.name, bytes) else self.name
        if not (isinstance(name, str) and _KINDS.fullmatch(name)):
            raise ValueError(f"an array of dtype {str(name)[:40]}; expected numbers")
        dtype = np.dtype(name)
        return dtype.newbyteorder(self.order) if self.order in ("<", ">") else dtype


class _Type:
    """The name `numpy.ndarray`, which NumPy's own functions get as an argument; calling it is refused."""

    def __init__(self, *_: Any) -> None:
        raise _Refused("numpy.ndarray by a call")


def _reconstruct(*_: Any) -> Array:
    return Array()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _scalar(dtype: Any, data: Any = b"") -> Any:
    array = Array()
    array.__setstate__((1, (), dtype, False, data))
    return array.get()[()]


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"_codecs.encode with {encoding!r}")
    return text.encode("latin1")


_STAND_INS = {
    ("numpy", "ndarray"): _Type,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): dict,
}
for _core in ("numpy.core", "numpy._core"):
    _STAND_INS[_core + ".multiarray", "_reconstruct"] = _reconstruct
    _STAND_INS[_core + ".multiarray", "scalar"] = _scalar
    _STAND_INS[_core + ".numeric", "_frombuffer"] = _frombuffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            # A damaged name can hold anything, line ends too.
            raise _Refused("".join(c if c.isprintable() else "?" for c in f"{module}.{name}"[:100])) from None

    def persistent_load(self, _: Any) -> NoReturn:
        raise _Refused("an object outside the file")


def _inspect(content: bytes) -> None:
    """Read the instructions without running them: each is whole, and none asks for memory that the file does not fill.

    The unpickler itself trusts the numbers of its memory cells and makes room for all below the largest.
    """
    nested = cells = largest = 0
    for instructions, (instruction, argument, _) in enumerate(pickletools.genops(content)):
        name = instruction.name
        if "PUT" in name or name == "MEMOIZE":
            cells += 1
            largest = max(largest, int(argument) if argument is not None else 0)
        nested += name.startswith("TUPLE")
        if instructions > MAX_INSTRUCTIONS or nested > MAX_NESTED:
            raise _Refused("more pieces than data has")
    if largest > 2 * cells + 1000:
        raise pickle.UnpicklingError(f"memory cell {largest} of a program with {cells}")
