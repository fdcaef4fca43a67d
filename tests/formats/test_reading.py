"""The readers: what they read, and what they say about files that they cannot read."""

import numpy as np
import pytest

from botan_fast.errors import DataError
from botan_fast.formats import read
from tests.helpers.tiny_data import tiny_arrays, write_tiny


def write(path, **changes):
    arrays = {**tiny_arrays(0), **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_authors_npz(tmp_path):
    arrays = tiny_arrays(0)
    [c] = read(write(tmp_path / "conf.npz"))
    assert c.name == "conf"
    assert c.path == tmp_path / "conf.npz"
    assert c.positions.dtype == np.float64
    assert c.types.dtype == np.int64
    assert c.trajectories.dtype == np.float64
    np.testing.assert_array_equal(c.positions, arrays["initial_positions"])
    np.testing.assert_array_equal(c.trajectories, arrays["positions"])
    np.testing.assert_array_equal(c.types, arrays["types"])
    assert c.box is None
    assert c.density == 1.2


def test_content_chooses_the_reader_not_the_name(tmp_path):
    path = write(tmp_path / "conf.npz")
    renamed = path.rename(tmp_path / "conf.dat")
    assert len(read(renamed)) == 1


def test_two_dimensions_compression_and_float_types(tmp_path):
    arrays = tiny_arrays(0, dimensions=2)
    np.savez_compressed(tmp_path / "a.npz", **{**arrays, "types": arrays["types"].astype(float)})
    [c] = read(str(tmp_path / "a.npz"))
    assert c.positions.shape == (80, 2)
    assert c.types.dtype == np.int64


def nan_at(index, key):
    array = tiny_arrays(0)[key].copy()
    array[index] = np.nan
    return {key: array}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (nan_at((3, 1), "initial_positions"), r"positions\[3, 1\] is nan"),
        (nan_at((2, 3, 1), "positions"), r"trajectories\[2, 3, 1\] is nan"),
        ({"types": np.full(80, -1)}, r"types hold -1"),
        ({"types": np.zeros(79, int)}, r"types have shape \(79,\).*\(80, 3\)"),
        ({"types": np.full(80, 0.5)}, r"types hold 0\.5"),
        ({"types": np.full(80, "A")}, r"types has dtype <U1"),
        ({"positions": np.zeros((5, 81, 3))}, r"\(80, 3\) and positions have shape \(5, 81, 3\)"),
        ({"positions": np.zeros((80, 3))}, r"positions have shape \(80, 3\)"),
        ({"positions": np.zeros((0, 80, 3))}, r"R > 0"),
        ({"initial_positions": np.zeros((80, 4)), "positions": np.zeros((5, 80, 4))}, r"\(80, 4\); expected \(N, 2\)"),
        ({"positions": None}, r"an npz with types, initial_positions; expected an npz with types, .*, positions"),
        ({"types": np.array([{}] * 80)}, r"types holds Python objects"),
    ],
)
def test_wrong_arrays(tmp_path, changes, message):
    path = write(tmp_path / "bad.npz", **changes)
    with pytest.raises(DataError, match=message) as error:
        read(path)
    assert "bad.npz" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("error")
def test_infinite_positions_are_refused_without_a_warning(tmp_path):
    initial = tiny_arrays(0)["initial_positions"].copy()
    initial[0], initial[1] = np.inf, -np.inf
    path = write(tmp_path / "bad.npz", initial_positions=initial)
    with pytest.raises(DataError, match=r"positions\[0, 0\] is inf"):
        read(path)


def test_truncated_at_every_place(tmp_path):
    content = write(tmp_path / "whole.npz").read_bytes()
    broken = tmp_path / "broken.npz"
    for length in (1, 3, 4, 100, 600, len(content) // 2, len(content) - 30, len(content) - 1):
        broken.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"broken\.npz.*(damaged|begins with)"):
            read(broken)


def test_flipped_bytes_never_give_wrong_numbers(tmp_path):
    content = write(tmp_path / "whole.npz").read_bytes()
    [whole] = read(tmp_path / "whole.npz")
    broken = tmp_path / "broken.npz"
    for position in np.random.default_rng(0).integers(0, len(content), 60):
        changed = bytearray(content)
        changed[position] ^= 0x55
        broken.write_bytes(changed)
        try:
            [c] = read(broken)
        except DataError:
            continue
        np.testing.assert_array_equal(c.positions, whole.positions)  # a byte that carries nothing, as in a date
        np.testing.assert_array_equal(c.trajectories, whole.trajectories)


def test_other_files(tmp_path):
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "text.npz").write_text("TIMESTEP: 0\n")
    with pytest.raises(DataError, match=r"empty\.npz is empty; expected an npz with types"):
        read(tmp_path / "empty.npz")
    with pytest.raises(DataError, match=r"begins with b'TIMESTEP', which no format does"):
        read(tmp_path / "text.npz")
    with pytest.raises(DataError, match=r"is a directory; name the files in it, for example '.*\*\.npz'"):
        read(tmp_path)


def test_missing_files(tmp_path):
    write_tiny(tmp_path / "conf_1.npz", seed=1)
    with pytest.raises(DataError, match=r"conf_2\.npz: no such file; did you mean .*conf_1\.npz\?"):
        read(tmp_path / "conf_2.npz")
    with pytest.raises(DataError, match=r"exists only up to .*"):
        read(tmp_path / "folder" / "deeper" / "conf.npz")
