"""Directories of runs, described by a pattern or a TOML file."""

import gzip

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import DataError, InputError
from botan_fast.formats import iterate, read
from tests.helpers.format_files import frames_of, lammps_text, simulation, write_gsd, write_h5md, xyz_text

NAMES = ["conf1", "conf2", "conf10"]


def simulations(**options):
    return {name: simulation(seed=number, **options) for number, name in enumerate(NAMES)}


def check(configurations, systems, prefix="", time=True, atol=1e-9):
    """All configurations in natural order, each at all times, with all runs in order."""
    assert [c.name for c in configurations] == [prefix + name for name in systems for _ in range(3)]
    for i, c in enumerate(configurations):
        s, k = systems[c.name.removeprefix(prefix)], i % 3
        assert c.time == (pytest.approx(s.times[k]) if time else None)
        assert c.time_index == k
        np.testing.assert_allclose(c.trajectories - c.positions, s.displacements[k], atol=atol)
        np.testing.assert_array_equal(c.types, s.types)
        assert (c.positions >= 0).all()
        assert (c.positions < s.box).all()


def write_tree(folder, systems, file, text=lammps_text, **options):
    """One file for each frame: `file` is a format string of configuration, run and time."""
    for name, s in systems.items():
        for run in range(s.runs.shape[1]):
            for time, positions in frames_of(s, run):
                path = folder / file.format(configuration=name, run=run, time=f"{time:g}")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text(s, [(time, positions)], **options))


def write_runs(folder, systems, suffix=".dump"):
    """One file for each run, with all its frames."""
    for name, s in systems.items():
        for run in range(s.runs.shape[1]):
            path = folder / "T0.44" / name / f"run{run}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(lammps_text(s, frames_of(s, run)))


def test_a_pattern_with_one_file_for_each_frame(tmp_path):
    systems = simulations()
    write_tree(tmp_path, systems, "T0.44/{configuration}/run{run}/frame{time}.dump", columns="x y z ix iy iz")
    pattern = tmp_path / "T{temperature}/{configuration}/run{run}/frame{time}.dump"
    configurations = read(pattern)
    check(configurations, systems, "T0.44_")
    assert {c.temperature for c in configurations} == {0.44}
    check(read(str(tmp_path / "T0.44/{configuration}/run{run}/frame{time}.dump")), systems)
    # Straight into training.
    with pytest.raises(InputError, match=r"times 0\.5, 4, 30; choose with time="):
        bf.load_samples(str(pattern), cutoff=2.0)
    assert len(bf.load_samples(str(pattern), cutoff=2.0, time=[0.5, 4, 30])) == 9
    samples = bf.load_samples(str(pattern), cutoff=2.0, time=0.5)
    assert len(samples) == 3
    assert samples[0].targets.num_runs == 4
    expected = np.linalg.norm(systems["conf1"].displacements[0], axis=2).mean(axis=0)
    np.testing.assert_allclose(samples[0].targets.propensity.numpy(), expected, rtol=1e-5)


def test_a_toml_file_with_one_file_for_each_run(tmp_path):
    systems = simulations()
    write_runs(tmp_path, systems)
    toml = tmp_path / "layout.dat"
    toml.write_text('# my runs\npattern = "T{temperature}/{configuration}/run{run}.dump"\ntimestep = 0.01\n')
    configurations = read(toml)
    check(configurations, systems, "T0.44_")
    assert configurations[0].temperature == 0.44
    # Without times, frames are told apart by their number.
    toml.write_text('pattern = "T0.44/{configuration}/run{run}.dump"\ntemperature = 0.5\n')
    configurations = read(toml)
    check(configurations, systems, time=False)
    assert configurations[0].temperature == 0.5
    toml.write_text('pattern = "*/{configuration}/run{run}.dump"\ntimes = [0.5, 4, 30.0]\n')
    check(read(toml), systems)


def test_a_separate_initial_configuration(tmp_path):
    systems = simulations()
    for name, s in systems.items():
        folder = tmp_path / name
        folder.mkdir()
        # The runs continue the steps of the equilibration, 5000 before them.
        (folder / "initial.dump").write_text(lammps_text(s, [(50.0, s.positions)]))
        for run in range(4):
            frames = [(50.0 + t, x) for t, x in frames_of(s, run)[1:]]
            (folder / f"run{run}.dump.gz").write_bytes(gzip.compress(lammps_text(s, frames).encode()))
    toml = tmp_path / "layout.toml"
    toml.write_text(
        'pattern = "{configuration}/run{run}.dump.gz"\ninitial = "{configuration}/initial.dump"\ntimestep = 0.01'
    )
    check(read(toml), systems)


def test_iterate_reads_one_configuration_at_a_time(tmp_path):
    systems = simulations()
    write_runs(tmp_path, systems)
    left = iterate(tmp_path / "T0.44/{configuration}/run{run}.dump", skip=lambda name: name != "conf2")
    assert [c.name for c in left] == ["conf2"] * 3
    configurations = iterate(tmp_path / "T0.44/{configuration}/run{run}.dump")
    assert next(configurations).name == "conf1"
    # What comes later is not even looked at yet.
    (tmp_path / "T0.44" / "conf10" / "run0.dump").write_text("ITEM: nothing\n")
    assert [next(configurations).name for _ in range(5)] == ["conf1"] * 2 + ["conf2"] * 3
    with pytest.raises(DataError, match=r"run0\.dump"):
        next(configurations)


def test_other_formats_of_frames(tmp_path):
    s = simulation()
    for run in range(4):
        (tmp_path / f"run{run}.xyz").write_text(xyz_text(s, frames_of(s, run)))
        write_gsd(tmp_path / f"run{run}.gsd", s, frames_of(s, run))
        write_h5md(tmp_path / f"run{run}.h5", s, frames_of(s, run))
    for suffix, time, atol in (("xyz", True, 1e-9), ("h5", True, 1e-9), ("gsd", False, 2e-5)):
        configurations = read(tmp_path / f"run{{run}}.{suffix}")
        assert len(configurations) == 3
        for k, c in enumerate(configurations):
            assert c.name == "run0"
            assert c.time == (s.times[k] if time else None)
            np.testing.assert_allclose(c.trajectories - c.positions, s.displacements[k], atol=atol)


def test_files_of_whole_ensembles_get_their_temperature_and_time(tmp_path):
    systems = simulations()
    for name, s in systems.items():
        for k in range(3):
            np.savez(
                tmp_path / f"N40T0.44_{name}_tc{k:02d}.npz",
                types=s.types,
                initial_positions=s.positions % 3.2,
                positions=s.positions % 3.2 + s.displacements[k],
            )
    toml = tmp_path / "layout.toml"
    toml.write_text('pattern = "N*T{temperature}_{configuration}_tc{index}.npz"\ntimes = [0.5, 4.0, 30.0]\n')
    configurations = read(toml)
    assert [c.name for c in configurations[::3]] == ["T0.44_" + name for name in NAMES]
    assert [c.time for c in configurations] == [0.5, 4.0, 30.0] * 3
    assert configurations[0].temperature == 0.44
    toml.write_text('pattern = "N40T0.44_{configuration}_tc{run}.npz"\n')
    with pytest.raises(DataError, match=r"holds all runs of a configuration; leave \{run\} out"):
        read(toml)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('pattern = "T0.44/{configuration}/walk{run}.dump"', r"no file matches 'T0\.44/\{configuration\}/walk\{run\}"),
        ('pattern = "T0.44/{config}/run{run}.dump"', r"\{config\} is no placeholder; did you mean \{configuration\}\?"),
        ('pattern = "a"\ntimesteps = 1', r"unknown entry timesteps; did you mean timestep\?"),
        ('pattern = "a"\ntimestep = -1', r"timestep = -1; expected a positive number"),
        ('pattern = "a"\ntimestep = "1"', r"timestep = '1'; expected a number"),
        ('pattern = "a"\ntimes = 3', r"times = 3; expected a list of numbers"),
        ('pattern = "a"\ntimes = [1, true]', r"times = \[1, True\]; expected numbers"),
        ("pattern = 1", r"pattern = 1; expected a text"),
        ('pattern = ""', r"pattern = '' names no file"),
        ('pattern = "a', r"not a valid TOML file"),
        ('pattern = "{configuration}"\ninitial = "{run}"', r"initial has \{run\}; it can use only"),
        ('pattern = "T0.44/{configuration}/run{run}.dump"\ntimes = [1]', r"3 frames after the initial one, but times"),
        ('pattern = "T0.44/{configuration}/run{time}.dump"', r"4 frames; with \{time\} in the pattern expected one"),
        ('pattern = "T0.44/{configuration}/run{run}.dump"\ninitial = "none"', r"none: no such file"),
    ],
)
def test_refusals(tmp_path, text, message):
    write_runs(tmp_path, {"conf1": simulation()})
    (tmp_path / "layout.toml").write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path / "layout.toml")
    assert "\n" not in str(error.value)


def test_runs_that_do_not_fit_together_are_refused(tmp_path):
    pattern = tmp_path / "T0.44/{configuration}/run{run}.dump"
    s = simulation()
    last = tmp_path / "T0.44" / "conf1" / "run3.dump"

    def refuse(text, message):
        write_runs(tmp_path, {"conf1": s})
        last.write_text(text)
        with pytest.raises(DataError, match=message) as error:
            read(pattern)
        assert "run3.dump" in str(error.value)

    refuse(lammps_text(s, frames_of(s, 3)[:3]), r"run 3 does not have the times of .*run0\.dump")
    frames = [(t, x + 0.01) for t, x in frames_of(s, 3)]
    refuse(lammps_text(s, frames), r"begins up to 0\.01 away from .*one initial configuration")
    other = simulation(number=39)
    refuse(lammps_text(other, frames_of(other, 3)), r"the frame holds 39 particles")
    refuse("nonsense", r"begins with b'nonsense', which no format does")


def test_wrapped_runs_are_refused(tmp_path):
    s = simulation(number=100)
    write_tree(tmp_path, {"conf1": s}, "{configuration}_{run}_{time}.dump", columns="x y z")
    with pytest.raises(DataError, match=r"wrapped.*xu yu zu"):
        read(tmp_path / "{configuration}_{run}_{time}.dump")


def test_frames_without_the_initial_one_are_refused(tmp_path):
    s = simulation()
    write_tree(tmp_path, {"conf1": s}, "{configuration}_{run}_{time}.dump")
    for run in range(4):
        (tmp_path / f"conf1_{run}_0.dump").unlink()
    with pytest.raises(DataError, match=r"the first frame is at time 0\.5, not 0; .*initial ="):
        read(tmp_path / "{configuration}_{run}_{time}.dump")
