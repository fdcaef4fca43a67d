"""Formats that hold whole ensembles: glassy_dynamics pickles, GlassBench, plain arrays."""

import os
import pickle
import warnings

import h5py
import numpy as np
import pytest

from botan_fast.errors import BotanFastWarning, DataError
from botan_fast.formats import read
from tests.helpers.format_files import (
    frames_of,
    glassy_dynamics_bytes,
    glassy_dynamics_content,
    lammps_text,
    plain_arrays,
    python_2_bytes,
    simulation,
    write_glassbench_models,
    write_glassbench_trajectories,
    write_plain_hdf5,
)

TIMES = [0.5, 2.0, 4.0, 30.0]  # of the files that `glassy_dynamics_content` makes, sorted
INDICES = [0, 3, 1, 2]


# glassy_dynamics ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5, "python 2"])
def test_glassy_dynamics(tmp_path, protocol):
    s = simulation()
    content = python_2_bytes(s) if protocol == "python 2" else glassy_dynamics_bytes(s, protocol)
    (tmp_path / "train_1.dat").write_bytes(content)
    configurations = read(tmp_path / "train_1.dat")
    # The last target time of the file, the 1/e point, comes between the others.
    assert [c.time for c in configurations] == TIMES
    assert [c.time_index for c in configurations] == INDICES
    expected = glassy_dynamics_content(s)
    for c, k in zip(configurations, INDICES, strict=True):
        assert c.name == "train_1"
        assert c.temperature == 0.44
        assert c.types.dtype == np.int64
        np.testing.assert_array_equal(c.types, s.types)
        np.testing.assert_array_equal(c.box, s.box)
        np.testing.assert_array_equal(c.positions, s.positions)
        np.testing.assert_allclose(c.trajectories, np.stack(expected["trajectory_target_positions"][k]), atol=1e-14)
        np.testing.assert_allclose(c.propensity, expected["targets"][k])


def write(path, **changes):
    content = {**glassy_dynamics_content(simulation()), **changes}
    path.write_bytes(pickle.dumps({k: v for k, v in content.items() if v is not None}, protocol=3))
    return path


def test_glassy_dynamics_with_runs_for_the_first_time_only(tmp_path):
    """As the published example: ten targets, the runs of one time."""
    s = simulation()
    path = write(tmp_path / "a.pickle", trajectory_target_positions=[list(s.runs[0])])
    configurations = read(path)
    assert [c.time for c in configurations] == TIMES
    assert [c.trajectories is not None for c in configurations] == [True, False, False, False]
    assert all(c.propensity is not None for c in configurations)


def test_glassy_dynamics_without_targets_and_with_positions_outside_the_box(tmp_path):
    s = simulation()
    shift = np.random.default_rng(0).integers(-1, 2, s.positions.shape) * s.box
    runs = [list(s.runs[k] + shift) for k in range(3)] + [list(s.runs[0] + shift)]
    path = write(tmp_path / "a.pickle", positions=s.positions + shift, trajectory_target_positions=runs, targets=None)
    configurations = read(path)
    assert configurations[0].propensity is None
    np.testing.assert_allclose(configurations[0].positions, s.positions, atol=1e-12)
    displacements = configurations[3].trajectories - configurations[3].positions
    np.testing.assert_allclose(displacements, s.displacements[2], atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": None}, r"no box; it holds is_values"),
        ({"positions": np.array([{}], dtype=object)}, r"positions is an array of Python objects; expected numbers"),
        ({"positions": np.array(["a"])}, r"positions is an array of dtype U1"),
        ({"positions": {"x": 1}}, r"positions is a dict; expected an array"),
        ({"time_indices": [0, 1, 2, 300]}, r"time_indices do not point into the 7 values"),
        ({"trajectory_target_positions": [[]]}, r"\[0\] holds no runs"),
        ({"trajectory_target_positions": [], "targets": None}, r"are empty"),
        ({"trajectory_target_positions": [[np.zeros((3, 3))]]}, r"\[0\]\[0\] has shape \(3, 3\), positions \(40, 3\)"),
        ({"trajectory_target_positions": "x"}, r"is a str; expected a list of arrays"),
        ({"targets": [np.zeros(40)]}, r"targets\[0\] differ by up to"),
        ({"types": np.full(40, -1)}, r"types hold -1"),
        ({"metadata": {"temperature": "cold"}}, r"temperature cold; expected a number"),
    ],
)
def test_glassy_dynamics_refusals(tmp_path, changes, message):
    with pytest.raises(DataError, match=message) as error:
        read(write(tmp_path / "a.pickle", **changes))
    assert "\n" not in str(error.value)


def test_a_run_that_is_repeated_by_reference_does_not_fill_the_memory(tmp_path):
    run = np.random.default_rng(0).random((40, 3))
    path = write(tmp_path / "a.pickle", trajectory_target_positions=[[run] * 90_000])
    with pytest.raises(DataError, match="hold more than the file has room for"):
        read(path)


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch {path}",), r"(posix|nt|os)\.system"),
        (eval, ("open('{path}', 'w')",), r"(builtins|__builtin__)\.eval"),
        (np.load, ("{path}",), r"numpy\.load"),
        (np.ndarray, ((10**12,),), r"numpy\.ndarray by a call"),
        (np.fromfile, ("{path}",), r".*fromfile"),
        (getattr, (np, "load"), r"(getattr|.*)"),
    ],
)
def test_a_pickle_runs_no_program(tmp_path, protocol, function, arguments, name):
    witness = tmp_path / "witness"
    arguments = tuple(a.format(path=witness) if isinstance(a, str) else a for a in arguments if a is not np)
    content = {**glassy_dynamics_content(simulation()), "metadata": [Evil(function, *arguments)]}
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(DataError, match=f"the pickle asks for {name}, which is not data"):
        read(tmp_path / "a.pickle")
    assert not witness.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x03}r\xff\xff\xff\x7f.",  # a memory cell number 2^31
        b"\x80\x03B\xff\xff\xff\x7fabc.",  # 2 GB of bytes that are not there
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7fabc.",
        b"\x80\x05\x96" + b"\xff" * 7 + b"\x7fabc.",
        b"\x80\x02\x82\x01.",  # the registry of extensions
        b"\x80\x02Uab.",
        b"\x80\x02]" + b"(" * 100_000 + b".",
        b"\x80\x02K\x01" + b"\x85" * 1_000_000 + b".",
        b"\x80\x02P1\n.",
        b"\x80\x02K\x01Q.",
    ],
    ids=range(10),
)
def test_programs_that_ask_for_too_much(tmp_path, program):
    (tmp_path / "a.pickle").write_bytes(program)
    with pytest.raises(DataError, match=r"pickle") as error:
        read(tmp_path / "a.pickle")
    assert "\n" not in str(error.value)


# GlassBench ---------------------------------------------------------------------------------------------------------


def test_glassbench_models(tmp_path):
    s = simulation(number=60, cell=[(60 / 1.2) ** (1 / 3)] * 3)
    arrays = write_glassbench_models(tmp_path / "N60T0.50_7.npz", s)
    configurations = read(tmp_path / "N60T0.50_7.npz")
    assert [c.time_index for c in configurations] == [0, 1, 2]
    for k, c in enumerate(configurations):
        assert c.name == "N60T0.50_7"
        assert c.temperature == 0.5
        assert c.time is None
        assert c.trajectories is None
        np.testing.assert_allclose(c.box, s.box)
        np.testing.assert_allclose(c.positions, s.positions, atol=1e-12)
        np.testing.assert_array_equal(c.types, s.types)
        np.testing.assert_array_equal(c.propensity, arrays["md_prop"][k])
        np.testing.assert_array_equal(c.node_fields["bond_breaking"], arrays["bb_prop"][k])


def test_glassbench_boxes_of_the_published_sizes(tmp_path):
    rng = np.random.default_rng(0)
    for shape, edge in (((4096, 3), 15.0566), ((1290, 2), 32.8962)):
        arrays = {
            "types": rng.integers(1, 3, shape[0]),
            "initial_positions": (rng.random(shape) - 0.5) * edge,
            "md_prop": rng.random((10, shape[0])).astype(np.float32),
        }
        np.savez(tmp_path / "N4096T0.44_1.npz", **arrays)
        configurations = read(tmp_path / "N4096T0.44_1.npz")
        np.testing.assert_allclose(configurations[0].box, edge)
        if shape[1] == 3:
            # The times of the authors of BOTAN, whose data this is.
            assert [configurations[k].time for k in (0, 6, 9)] == [0.13, 4120.0, 130000.0]


def test_glassbench_trajectories(tmp_path):
    s = simulation(number=50, dimensions=2, cell=[7.0, 7.0])
    write_glassbench_trajectories(tmp_path / "N50T0.30_3_tc05.npz", s, inherent=True)
    [c] = read(tmp_path / "N50T0.30_3_tc05.npz")
    assert c.temperature == 0.3
    assert c.time_index == 5
    np.testing.assert_allclose(c.box, [7.0, 7.0])
    np.testing.assert_allclose(c.trajectories - c.positions, s.displacements[0], atol=1e-12)
    assert (c.positions >= 0).all()
    assert (c.positions < 7.0).all()
    np.testing.assert_array_equal(c.types, s.types)


@pytest.mark.parametrize(("inherent", "size"), [(False, 444_786), (True, 465_710)])
def test_glassbench_trajectories_have_the_published_sizes(tmp_path, inherent, size):
    """20 runs of 1290 particles, float64 and int64, uncompressed: both kinds of files of the archive, to the byte."""
    s = simulation(number=1290, dimensions=2, runs=20, cell=[32.8962] * 2)
    path = tmp_path / "N1290T0.30_3_tc01.npz"
    write_glassbench_trajectories(path, s, inherent)
    assert path.stat().st_size == size
    assert len(read(path)[0].trajectories) == 20


def test_glassbench_three_species_from_zero_or_one(tmp_path):
    s = simulation(number=60, cell=[(60 / 1.2) ** (1 / 3)] * 3)
    for first in (0, 1):
        s.types = np.arange(60) % 3 + first - 1  # the writer adds 1
        write_glassbench_models(tmp_path / "a.npz", s)
        np.testing.assert_array_equal(read(tmp_path / "a.npz")[0].types, np.arange(60) % 3)


def test_glassbench_motion_too_far_for_wrapped_positions(tmp_path):
    s = simulation(number=200, dimensions=2, cell=[7.0, 7.0], step=2.0)
    write_glassbench_trajectories(tmp_path / "a.npz", s)
    with pytest.raises(DataError, match=r"move by up to 0\.\d+ box edges, too far"):
        read(tmp_path / "a.npz")


# Plain arrays -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["npz", "hdf5"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_plain(tmp_path, kind, dimensions):
    s = simulation(dimensions=dimensions)
    s.times = s.times[[2, 0, 1]]  # in no order
    if kind == "npz":
        np.savez(tmp_path / "a.dat", **plain_arrays(s))
        (tmp_path / "a.dat.npz").rename(tmp_path / "a.dat")
    else:
        write_plain_hdf5(tmp_path / "a.dat", s)
    configurations = read(tmp_path / "a.dat")
    assert [c.time for c in configurations] == [0.5, 4.0, 30.0]
    assert [c.time_index for c in configurations] == [1, 2, 0]
    for c in configurations:
        assert c.name == "a"
        assert c.temperature == 0.44
        np.testing.assert_array_equal(c.types, s.types)
        np.testing.assert_allclose(c.positions, s.positions)
        np.testing.assert_allclose(c.trajectories - c.positions, s.displacements[c.time_index], atol=1e-12)


def test_plain_static_and_propensity_alone(tmp_path):
    s = simulation()
    np.savez(tmp_path / "a.npz", positions=s.positions - 17, types=s.types, box=6.0)
    [c] = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(c.box, [6.0] * 3)
    assert (c.positions >= 0).all()
    assert (c.positions < 6).all()
    np.savez(tmp_path / "b.npz", positions=s.positions, types=s.types, box=s.box, propensity=np.arange(40.0), time=2.0)
    [c] = read(tmp_path / "b.npz")
    assert c.trajectories is None
    assert c.time == 2.0
    np.testing.assert_array_equal(c.propensity, np.arange(40))


def test_plain_hdf5_with_a_group_for_each_configuration(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in (1, 2):
            s = simulation(seed=number)
            group = file.create_group(f"conf{number}")
            for key, value in plain_arrays(s).items():
                if np.ndim(value):
                    group[key] = value
                else:
                    group.attrs[key] = value
    configurations = read(tmp_path / "a.h5")
    assert [c.name for c in configurations] == ["conf1"] * 3 + ["conf2"] * 3
    np.testing.assert_allclose(configurations[5].positions, simulation(seed=2).positions)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": np.ones(2)}, r"box has shape \(2,\); expected 3 edge lengths"),
        ({"box": np.array([1.0, -1, 1])}, r"has no volume"),
        ({"types": np.full(40, 0.5)}, r"types hold 0\.5"),
        ({"types": np.zeros(39, int)}, r"types have shape \(39,\)"),
        ({"trajectories": np.zeros((2, 40))}, r"trajectories have shape \(2, 40\)"),
        ({"time": np.zeros(7)}, r"time has shape \(7,\); expected one number for each of 3 times"),
        ({"time": np.full(3, np.nan)}, r"time holds a value that is not finite"),
        ({"propensity": np.zeros((3, 41))}, r"propensity has shape \(3, 41\); expected \(3, 40\)"),
        ({"propensity": np.full((3, 40), np.inf)}, r"propensity\[0\] is inf"),
        ({"temperature": np.zeros(2)}, r"temperature holds"),
        ({"positions": np.full((40, 3), np.inf)}, r"positions\[0, 0\] is (nan|inf)"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_plain_refusals(tmp_path, changes, message):
    arrays = {**plain_arrays(simulation()), **changes}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.npz")


# Words --------------------------------------------------------------------------------------------------------------


def test_word_on_a_propensity_of_other_trajectories(tmp_path):
    """S_i in another order of times than the runs: the runs count, and a line says so."""
    s = simulation()
    mean = np.linalg.norm(s.displacements, axis=3).mean(axis=1)
    np.savez(tmp_path / "right.npz", **plain_arrays(s), propensity=np.round(mean, 4))
    np.savez(tmp_path / "wrong.npz", **plain_arrays(s), propensity=mean[::-1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path / "right.npz")
    with pytest.warns(BotanFastWarning, match="propensity is not the mean displacement of its trajectories"):
        read(tmp_path / "wrong.npz")


def test_word_on_a_run_that_is_a_copy(tmp_path):
    """As with one seed for all runs, or a file copied under another name."""
    s = simulation(runs=2)
    np.savez(tmp_path / "a.npz", **{**plain_arrays(s), "trajectories": s.runs[:, [0, 1, 0]]})
    with pytest.warns(BotanFastWarning, match="runs 0 and 2 of a configuration are exactly the same"):
        read(tmp_path / "a.npz")
    for name, run in (("1", 0), ("2", 1), ("3", 1)):
        (tmp_path / f"run{name}.dump").write_text(lammps_text(s, frames_of(s, run)))
    with pytest.warns(BotanFastWarning, match="runs 1 and 2 of a configuration are exactly the same"):
        read(str(tmp_path / "run{run}.dump"))


@pytest.mark.parametrize("time", [0.0, -1.0])
@pytest.mark.parametrize("key", ["trajectories", "propensity"])
def test_targets_at_no_later_time_are_refused(tmp_path, time, key):
    s = simulation()
    arrays = {**plain_arrays(s), "time": [time, 4.0, 30.0], "propensity": np.ones((3, 40))}
    wanted = {name: arrays[name] for name in ("positions", "types", "box", "time", key)}
    np.savez(tmp_path / "a.npz", **wanted)
    with pytest.raises(DataError, match=f"time = {time:g} is not after the initial configuration"):
        read(tmp_path / "a.npz")
    np.savez(tmp_path / "static.npz", positions=s.positions, types=s.types, box=s.box, time=time)
    assert read(tmp_path / "static.npz")[0].time == time


def test_runs_at_time_0_by_their_name_are_refused(tmp_path):
    s = simulation()
    for time in (0, 4):
        np.savez(tmp_path / f"t{time}.npz", positions=s.positions, types=s.types, box=s.box, trajectories=s.runs[0])
    with pytest.raises(DataError, match=r"t0.npz: time = 0 is the initial configuration itself"):
        read(str(tmp_path / "t{time}.npz"))
