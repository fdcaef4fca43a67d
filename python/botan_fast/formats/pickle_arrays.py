"""Unpickling that can build arrays, numbers, strings and plain containers, and nothing else.

A pickle is a program; loading one from somebody else can run anything. Here the program runs on a small machine of our
own, which knows the instructions that data needs. It calls nothing that the file names: the few functions of NumPy that
pickled arrays ask for are recognised by their names, and stand for collecting the bytes of an array. No object of this
package is within the program's reach. Keys of dictionaries are text and numbers only, since others may take forever to
hash, and no function of NumPy runs before the whole file is read and its sizes are checked. Files of Python 2 (byte
strings come as latin-1) and of NumPy 1 and 2 (`numpy.core` or `numpy._core`) give the same.
"""

import math
import pickletools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..files import printable

__all__ = ["Array", "describe", "load_arrays"]

_KINDS = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")
# No data set has more pieces; a program with more is not data.
MAX_INSTRUCTIONS = 1_000_000
MAX_CONTAINERS = 200_000
MAX_KEY = 1000  # characters
MAX_BITS = 64  # of an integer


class _Refused(Exception):
    """What the pickle asks for is not data; the text says what."""


class _Damaged(Exception):
    """The program makes no sense; the text says where."""


def load_arrays(path: Path) -> Any:
    """What the pickle holds, with `Array` in the place of NumPy arrays; call `Array.get` on each that is needed.

    Raises
    ------
    DataError
        The file is truncated or damaged, or asks for anything but arrays and plain containers; the message names it.
    """
    content = path.read_bytes()
    try:
        return _Machine(len(content)).run(content)
    except _Refused as error:
        raise DataError(
            f"{path}: the pickle asks for {error}, which is not data; only arrays and plain containers are loaded, "
            "because a pickle can run any program"
        ) from None
    # A damaged pickle can fail in any operation of the small machine that it programs.
    except Exception as error:
        reason = printable(str(error).split("\n")[0] or type(error).__name__, 100)
        raise DataError(f"{path}: truncated or damaged pickle ({reason}); copy or download the file again") from None


def describe(value: Any) -> str:
    """A value of a pickle for a message: a number or a text as it is, of all else the type, whatever it holds.

    >>> from botan_fast.formats.pickle_arrays import describe
    >>> describe(1.5), describe([[[]]])
    ('1.5', 'a list')
    """
    if isinstance(value, (int, float, str, bytes, np.generic)):
        return printable(value, 40)
    return "an array" if isinstance(value, Array) else f"a {type(value).__name__}"


class Array:
    """The bytes of a NumPy array in a pickle, and what they mean."""

    def __init__(self) -> None:
        # Any: whatever the file says, until `get` has looked at it
        self.shape: Any = ()
        self.dtype: Any = None
        self.order: Any = "C"
        self.axes: Any = None  # of the bytes, where they are neither in C nor in Fortran order
        self.data: Any = None

    def get(self) -> np.ndarray:
        """The array; ValueError where it is not one of numbers whose bytes fit its shape."""
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        if not isinstance(self.dtype, _DType) or not isinstance(data, (bytes, bytearray)):
            raise ValueError("an array of Python objects; expected numbers")
        shape, axes = self.shape, self.axes
        if not (isinstance(shape, tuple) and len(shape) < 8 and all(type(n) is int and n >= 0 for n in shape)):
            raise ValueError("an array of a shape that is none")
        dtype = self.dtype.get()
        if math.prod(shape) * dtype.itemsize != len(data):
            raise ValueError(f"an array of shape {shape} and dtype {dtype} with {len(data)} bytes")
        array = np.frombuffer(data, dtype)
        if self.order == "K" and axes is not None:
            whole = isinstance(axes, tuple) and len(axes) == len(shape) and all(type(n) is int for n in axes)
            if not whole or sorted(axes) != list(range(len(shape))):
                raise ValueError(f"an array of shape {shape} whose axes are in no order")
            return array.reshape(shape).transpose(axes)
        if not (isinstance(self.order, str) and self.order in ("C", "F", "A", "K")):
            raise ValueError("an array in no order of its axes")
        return array.reshape(shape, order="F" if self.order == "F" else "C")


class _DType:
    """A NumPy dtype in a pickle: `dtype('f8', 0, 1)`, then its byte order as a state."""

    def __init__(self, name: Any) -> None:
        self.name = name
        self.order: Any = "|"  # whatever the file says

    def get(self) -> np.dtype:
        name = self.name.decode("latin1") if isinstance(self.name, bytes) else self.name
        if isinstance(name, str) and re.fullmatch(r"[<>=|]?O8?", name):
            raise ValueError("an array of Python objects; expected numbers")
        if not (isinstance(name, str) and _KINDS.fullmatch(name)):
            raise ValueError(f"an array of dtype {describe(name)}; expected numbers")
        dtype = np.dtype(name)
        if not isinstance(self.order, str) or self.order not in ("<", ">"):
            return dtype
        return dtype.newbyteorder("<" if self.order == "<" else ">")


@dataclass(frozen=True)
class _Name:
    """A function or class that the program asks for. Nothing but its name: it can be neither called nor changed."""

    module: str
    name: str

    def __str__(self) -> str:
        return printable(f"{self.module}.{self.name}", 100)  # a damaged name can hold anything, line ends too


_CORES = ("numpy.core", "numpy._core")
_NDARRAY, _DTYPE = _Name("numpy", "ndarray"), _Name("numpy", "dtype")
_ENCODE, _ORDERED = _Name("_codecs", "encode"), _Name("collections", "OrderedDict")
_RECONSTRUCT = {_Name(f"{core}.multiarray", "_reconstruct") for core in _CORES}
_SCALAR = {_Name(f"{core}.multiarray", "scalar") for core in _CORES}
_FROMBUFFER = {_Name(f"{core}.numeric", "_frombuffer") for core in _CORES}
_KNOWN = {_NDARRAY, _DTYPE, _ENCODE, _ORDERED, *_RECONSTRUCT, *_SCALAR, *_FROMBUFFER}
_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
# Instructions that push their argument.
_LITERALS = re.compile(r"(BIN)?INT[12]?|LONG[14]?|(BIN)?FLOAT|\w*STRING|\w*BYTES8?|BYTEARRAY8|\w*UNICODE8?")
_CONTAINERS = re.compile(r"(EMPTY_)?(LIST|DICT|TUPLE|SET)|TUPLE[123]|FROZENSET")


class _Machine:
    """The stack, the numbered cells, and the instructions of a pickle that make data."""

    def __init__(self, size: int) -> None:
        self.stack: list[Any] = []
        self.cells: dict[int, Any] = {}
        self.containers = 0
        self.bytes_left = size  # for texts that become bytes: each byte of them stands in the file

    def run(self, content: bytes) -> Any:
        """The value that the program leaves."""
        for number, (instruction, argument, _) in enumerate(pickletools.genops(content)):
            if number > MAX_INSTRUCTIONS:
                raise _Refused("more pieces than data has")
            name = instruction.name
            if name == "STOP":
                return self.pop()
            if name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif _LITERALS.fullmatch(name):
                self.literal(argument)
            elif _CONTAINERS.fullmatch(name):
                self.container(name)
            else:
                self.other(name, argument)
        raise _Damaged("no end")

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise _Damaged("nothing on the stack")
        return self.stack.pop()

    def to_mark(self) -> list[Any]:
        """What lies above the last mark, taken off together with it."""
        values = []
        while self.stack and self.stack[-1] is not _MARK:
            values.append(self.stack.pop())
        if not self.stack:
            raise _Damaged("no mark on the stack")
        self.stack.pop()
        return values[::-1]

    def literal(self, value: Any) -> None:
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise _Refused(f"an integer of {value.bit_length()} bits")
        self.stack.append(value)

    def container(self, name: str) -> None:
        self.containers += 1
        if self.containers > MAX_CONTAINERS:
            raise _Refused("more lists and tuples than data has")
        made: Any
        if name.startswith("EMPTY_"):
            made = {"LIST": list, "DICT": dict, "TUPLE": tuple, "SET": set}[name.removeprefix("EMPTY_")]()
        elif name[-1] in "123":
            made = tuple([self.pop() for _ in range(int(name[-1]))][::-1])
        else:
            values = self.to_mark()
            if name == "DICT":
                made = {}
                self.set_items(made, values)
            elif name == "FROZENSET":
                made = frozenset(map(self.key, values))
            else:
                made = values if name == "LIST" else tuple(values)
        self.stack.append(made)

    def other(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                stack.append(_MARK)
            case "POP":
                if not stack:
                    raise _Damaged("nothing on the stack")
                stack.pop()
            case "POP_MARK":
                self.to_mark()
            case "DUP":
                stack += [self.pop()] * 2
            case "MEMOIZE" | "PUT" | "BINPUT" | "LONG_BINPUT":
                value = self.pop()
                self.cells[len(self.cells) if argument is None else int(argument)] = value
                stack.append(value)
            case "GET" | "BINGET" | "LONG_BINGET":
                if int(argument) not in self.cells:
                    raise _Damaged(f"nothing in memory cell {printable(argument, 20)}")
                stack.append(self.cells[int(argument)])
            case "APPEND" | "APPENDS":
                values = self.to_mark() if name == "APPENDS" else [self.pop()]
                self.target(list).extend(values)
            case "ADDITEMS":
                values = self.to_mark()
                self.target(set).update(map(self.key, values))
            case "SETITEM" | "SETITEMS":
                values = self.to_mark() if name == "SETITEMS" else [self.pop(), self.pop()][::-1]
                self.set_items(self.target(dict), values)
            case "GLOBAL" | "STACK_GLOBAL":
                words = argument.split(" ", 1) if name == "GLOBAL" else [self.pop(), self.pop()][::-1]
                if len(words) != 2 or not all(isinstance(word, str) for word in words):
                    raise _Damaged("a name that is none")
                wanted = _Name(*words)
                if wanted not in _KNOWN:
                    raise _Refused(str(wanted))
                stack.append(wanted)
            case "REDUCE":
                arguments = self.pop()
                stack.append(self.call(self.pop(), arguments))
            case "BUILD":
                state = self.pop()
                self.build(self.target(Array, _DType), state)
            case "PERSID" | "BINPERSID" | "NEXT_BUFFER" | "READONLY_BUFFER":
                raise _Refused("an object outside the file")
            case _:  # what makes objects of classes
                raise _Refused(f"the instruction {name}")

    def target(self, *kinds: type) -> Any:
        """The value on the top of the stack, which an instruction changes."""
        value = self.pop()
        if type(value) not in kinds:
            raise _Refused(f"a change of {value if isinstance(value, _Name) else describe(value)}")
        self.stack.append(value)
        return value

    @staticmethod
    def key(value: Any) -> Any:
        """A key of a dictionary: text or a number, of a reasonable length."""
        if isinstance(value, (str, bytes)):
            if len(value) > MAX_KEY:
                raise _Refused(f"a key of {len(value)} characters")
        elif not (value is None or isinstance(value, (int, float))):
            raise _Refused(f"a dictionary whose keys are {describe(value).removeprefix('a ')}s")
        return value

    def set_items(self, table: dict, values: list[Any]) -> None:
        if len(values) % 2:
            raise _Damaged("a key without a value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            table[self.key(key)] = value

    def call(self, function: Any, arguments: Any) -> Any:
        """What one of the known functions of NumPy stands for."""
        if not isinstance(function, _Name):
            raise _Refused(f"a call of {describe(function)}")
        if type(arguments) is not tuple:
            raise _Damaged("a call without arguments")
        number = len(arguments)
        if function == _DTYPE and 1 <= number <= 3:
            return _DType(arguments[0])
        if function in _RECONSTRUCT and number == 3:
            return Array()
        if function in _FROMBUFFER and number in (4, 5):
            array = Array()
            array.data, array.dtype, array.shape, array.order = arguments[:4]
            array.axes = arguments[4] if number == 5 else None
            return array
        if function in _SCALAR and number == 2:
            array = Array()
            array.dtype, array.data = arguments
            return array.get()[()]
        if function == _ENCODE and number in (1, 2) and isinstance(arguments[0], str):
            if number == 2 and arguments[1] not in ("latin1", "latin-1"):
                raise _Refused(f"_codecs.encode with {describe(arguments[1])}")
            self.bytes_left -= len(arguments[0])
            if self.bytes_left < 0:
                raise _Refused("more bytes than the file has")
            return arguments[0].encode("latin1")
        if function == _ORDERED and number < 2:
            table: dict = {}
            for item in arguments[0] if number and isinstance(arguments[0], list) else []:
                if not (isinstance(item, (list, tuple)) and len(item) == 2):
                    raise _Damaged("a key without a value")
                self.set_items(table, list(item))
            return table
        raise _Refused(f"{function} by a call")

    @staticmethod
    def build(target: "Array | _DType", state: Any) -> None:
        """The state of an array or dtype, as NumPy writes it."""
        if isinstance(target, _DType):
            if not (isinstance(state, tuple) and len(state) > 4):
                raise _Damaged("a dtype without its byte order")
            target.order = state[1]
            if any(part is not None for part in state[2:5]):
                target.name = "of a structure"
        else:
            if not (isinstance(state, tuple) and len(state) == 5):
                raise _Damaged("an array without shape, dtype and data")
            _, target.shape, target.dtype, fortran, target.data = state
            target.order = "F" if fortran is True or fortran == 1 else "C"
