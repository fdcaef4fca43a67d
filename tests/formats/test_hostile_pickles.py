"""Pickles made to harm: nothing of the reader changes, no time or memory is spent, one line says what is wrong."""

import pickle
import struct
import time

import numpy as np
import pytest

from botan_fast.errors import DataError
from botan_fast.formats import read
from tests.helpers.format_files import glassy_dynamics_bytes, glassy_dynamics_content, simulation
from tests.helpers.one_file import report

ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n"
NDARRAY, DTYPE, SCALAR = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\nscalar\n"
TABLE = b"ccollections\nOrderedDict\n"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def tuples(number: int) -> bytes:
    """A tuple of two times the one before, `number` times: 2**number parts in two bytes each."""
    return b")" + b"q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(number))


SETS_STATE = {
    "the state of a function": ARRAY + b"}" + text("__defaults__") + b"(K\x01tsb",
    "slots of a function": ARRAY + b"N}" + text("__doc__") + text("changed") + b"s\x86b",
    "the state of a class": DTYPE + b"}" + text("get") + b"Nsb",
    "slots of a class": DTYPE + b"N}" + text("get") + b"Ns\x86b",
    "slots of numpy.ndarray": NDARRAY + b"N}" + text("__init__") + b"Ns\x86b",
    "the state of OrderedDict": TABLE + b"}" + text("update") + b"Nsb",
    "items of a class": DTYPE + text("get") + b"Ns",
    "an item appended to a function": ARRAY + b"Na",
    "the state of a dictionary": b"}}" + text("a") + b"Nsb",
}
ASKS = {
    "a call of numpy.ndarray": NDARRAY + b")R",
    "a new object of a class": DTYPE + b")\x81",
    "an object by its class and arguments": b"(" + DTYPE + text("f8") + b"o",
    "the inverse of the scalar": SCALAR + b")R",
    "os.system": b"cos\nsystem\n" + text("true") + b"\x85R",
    "an attribute of the reader": b"cbotan_fast.formats.pickle_arrays\n_Machine\n",
    "a dotted name": b"cnumpy\nndarray.__init__\n",
    "an object outside of the file": text("a") + b"Q",
    "a registered extension": b"\x82\x01",
    "sixty tuples as a key": b"}" + tuples(60) + b"Ns",
    "sixty tuples in a set": b"\x80\x04\x8f(" + tuples(60) + b"\x90",
    "a frozen set of sixty tuples": b"\x80\x04(" + tuples(60) + b"\x91",
    "a list as a key": b"}]Ns",
    "an array as a key": b"}" + ARRAY + NDARRAY + b"K\x00\x85" + text("b") + b"\x87RNs",
    "a long integer": b"\x8b" + struct.pack("<i", 10_000) + b"\x01" * 10_000,
    "an integer of a million digits": b"L" + b"9" * 1_000_000 + b"L\n",
    "lists in lists": b"]" * 300_000 + b"a" * 299_999,
    "deep tuples": b")" + b"\x85" * 300_000,
    "a million instructions": b"(" + b"N" * 1_100_000 + b"t",
    "nothing on the stack": b"0" * 3,
    "no end": b"(" * 5,
}


@pytest.mark.parametrize("body", [*SETS_STATE.values(), *ASKS.values()], ids=[*SETS_STATE, *ASKS])
def test_refused_at_once_and_the_reader_is_as_before(tmp_path, body):
    path, good = tmp_path / "a.pickle", tmp_path / "good.pickle"
    path.write_bytes(program(body))
    start = time.process_time()
    with pytest.raises(DataError) as error:
        read(path)
    assert time.process_time() - start < 3  # the largest has a million instructions
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    s = simulation(number=24, runs=2)
    good.write_bytes(glassy_dynamics_bytes(s))
    for k, c in enumerate(c for c in read(good) if c.time in s.times):
        np.testing.assert_allclose(c.trajectories - c.positions, s.displacements[k], atol=1e-12)


CHANGES = {
    "temperature 10^19": lambda c: c["metadata"].update(temperature=10**19),
    "temperature a tuple": lambda c: c["metadata"].update(temperature=(1, 2)),
    "temperature a text": lambda c: c["metadata"].update(temperature="cold\nvery"),
    "an unknown key with a line end": lambda c: (c.pop("box"), c.update({"a\nb": 1})),
    "a shape of text": lambda c: c.update(positions="\n" * 1000),
    "a dictionary of positions": lambda c: c.update(positions={1: 2}),
    "times as integers of a hundred bits": lambda c: c.update(time=[2**100] * 6),
    "targets for too many times": lambda c: c.update(targets=[c["targets"][0]] * 9),
    "a key of 30 MB": lambda c: c.update({"k" * 30_000_000: 1}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_wrong_content_is_one_line(tmp_path, name):
    content = glassy_dynamics_content(simulation(number=24, runs=2))
    CHANGES[name](content)
    path = tmp_path / "a.pickle"
    path.write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(DataError) as error:
        read(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_sixty_tuples_where_a_number_is_expected(tmp_path):
    """Not a key: the file is read, and the message does not spell out 2**60 parts."""
    content = glassy_dynamics_content(simulation(number=24, runs=2))
    nested = ()
    for _ in range(60):
        nested = (nested, nested)
    for place in ("temperature", "positions", "targets", "time_indices", "trajectory_target_positions"):
        changed = dict(content, metadata=dict(content["metadata"]))
        (changed["metadata"] if place == "temperature" else changed)[place] = nested
        path = tmp_path / "a.pickle"
        path.write_bytes(pickle.dumps(changed, protocol=4))
        with pytest.raises(DataError):
            read(path)


def test_text_that_becomes_bytes_again_and_again(tmp_path):
    """One text of a megabyte, encoded 2,000 times: two gigabytes of a file of one."""
    body = text("a" * 1_000_000) + b"q\x00" + b"0c_codecs\nencode\nq\x010]" + b"(" + b"h\x01h\x00\x85R" * 2000 + b"e"
    (tmp_path / "a.pickle").write_bytes(program(body))
    found = report("formats", tmp_path / "a.pickle")
    assert "more bytes than the file has" in found["message"]
    assert found["megabytes"] < 30


@pytest.mark.parametrize("order", [(1, 0), (0, 1)])
@pytest.mark.parametrize("kind", ["one array", "an array for each time", "lists"])
def test_runs_in_any_containers_and_orders(tmp_path, order, kind):
    """Protocol 5 of newer NumPy keeps the order of axes in memory; runs may come as one array (T, R, N, D)."""
    s = simulation(number=24, runs=2)
    content = glassy_dynamics_content(s)
    runs = np.array(content["trajectory_target_positions"])
    content["positions"] = content["positions"].transpose(order).copy().transpose(order)
    runs = runs.transpose(2, 0, 3, 1).copy().transpose(1, 3, 0, 2)
    content["trajectory_target_positions"] = {
        "one array": runs,
        "an array for each time": list(runs),
        "lists": [list(at) for at in runs],
    }[kind]
    path = tmp_path / "a.pickle"
    path.write_bytes(pickle.dumps(content, protocol=5))
    for k, c in enumerate(c for c in read(path) if c.time in s.times):
        np.testing.assert_allclose(c.trajectories - c.positions, s.displacements[k], atol=1e-12)


@pytest.mark.parametrize("name", ["b8", "f1", "O8", "V8", "U4", "i3", "f8,f8", "\n"])
def test_kinds_of_numbers_that_are_none(tmp_path, name):
    content = pickle.dumps({"positions": np.zeros(3)}, protocol=2)
    kind = b"X" + struct.pack("<I", 2) + b"f8"
    assert content.count(kind) == 1
    content = content.replace(kind, text(name)).replace(b"X\x09\x00\x00\x00positions", text("box"))
    whole = pickle.dumps(
        dict.fromkeys(["positions", "types", "time", "time_indices", "trajectory_target_positions"]), 2
    )
    path = tmp_path / "a.pickle"
    path.write_bytes(whole[:-1] + b"q\xff0h\xff" + text("box") + content[content.index(b"cnumpy") : -2] + b"s.")
    with pytest.raises(DataError) as error:
        read(path)
    assert "\n" not in str(error.value)
    path.write_bytes(program(SCALAR + DTYPE + text(name) + b"\x85R" + text("12345678") + b"\x86R"))
    with pytest.raises(DataError):
        read(path)


def test_axes_in_no_order(tmp_path):
    permuted = b"cnumpy._core.numeric\n_frombuffer\n(" + b"B" + struct.pack("<I", 48) + bytes(48) + DTYPE
    permuted += text("f8") + b"\x85R" + b"(K\x01K\x02K\x03t" + text("K") + b"(K\x00K\x00K\x01ttR"
    path = tmp_path / "a.pickle"
    content = b"}(" + b"".join(
        text(key) + permuted
        for key in ("positions", "types", "box", "time", "time_indices", "trajectory_target_positions")
    )
    path.write_bytes(program(content + b"u"))
    with pytest.raises(DataError, match=r"positions is an array of shape \(1, 2, 3\) whose axes are in no order"):
        read(path)
