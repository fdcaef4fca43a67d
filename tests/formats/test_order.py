"""The order of frames: times, else steps, decide it; what a restart repeats counts once; no target without motion."""

import h5py
import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import DataError, InputError
from botan_fast.formats import read
from tests.helpers.format_files import (
    frames_of,
    lammps_text,
    plain_xyz_text,
    simulation,
    write_gsd,
    write_h5md,
    xyz_text,
)

TIMES = [0.5, 4.0, 30.0]


def write_lammps(path, s, frames):
    path.write_text(lammps_text(s, frames))


def write_lammps_times(path, s, frames):
    path.write_text(lammps_text(s, frames, time=True))


def write_xyz(path, s, frames):
    path.write_text(xyz_text(s, frames))


def write_xyz_steps(path, s, frames):
    text = xyz_text(s, frames)
    for time, _ in frames:
        text = text.replace(f" Time={time!r} ", f" Step={round(time * 100)} ")
    path.write_text(text)


def write_h5md_frames(path, s, frames, times=True):
    write_h5md(path, s, frames)
    with h5py.File(path, "r+") as file:
        for name in ("position", "image"):
            element = file["particles/all"][name]
            element["step"][:] = [round(100 * time) for time, _ in frames]
            if not times:
                del element["time"]


def write_h5md_steps(path, s, frames):
    write_h5md_frames(path, s, frames, times=False)


WRITERS = {
    "lammps steps": (write_lammps, False),
    "lammps times": (write_lammps_times, True),
    "xyz times": (write_xyz, True),
    "xyz steps": (write_xyz_steps, False),
    "gsd": (write_gsd, False),
    "h5md times": (write_h5md_frames, True),
    "h5md steps": (write_h5md_steps, False),
}


@pytest.fixture(params=WRITERS)
def writer(request):
    return WRITERS[request.param]


def check(configurations, s, times=None):
    """The three later frames of run 0, early to late, and nothing else."""
    assert len(configurations) == 3
    for k, c in enumerate(configurations):
        np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, 0], atol=2e-5)
        assert c.time == (None if times is None else pytest.approx(times[k]))
        assert c.time_index == k


@pytest.mark.parametrize("order", [[3, 0, 1, 2], [0, 1, 3, 2], [3, 2, 1, 0]])
def test_times_decide_the_order(tmp_path, writer, order):
    write, timed = writer
    s = simulation()
    frames = frames_of(s)
    write(tmp_path / "a.dat", s, [frames[k] for k in order])
    check(read(tmp_path / "a.dat"), s, TIMES if timed else None)


@pytest.mark.parametrize("order", [[0, 0, 1, 2, 3], [0, 1, 2, 2, 3, 3], [0, 1, 0, 1, 2, 3], [0, 1, 2, 3, 3]])
def test_a_restart_repeats_frames(tmp_path, writer, order):
    write, timed = writer
    s = simulation()
    frames = frames_of(s)
    write(tmp_path / "a.dat", s, [frames[k] for k in order])
    check(read(tmp_path / "a.dat"), s, TIMES if timed else None)


@pytest.mark.parametrize("again", [0, 2])
def test_other_positions_at_the_same_time_are_refused(tmp_path, writer, again):
    write, _ = writer
    s = simulation()
    frames = frames_of(s)
    write(tmp_path / "a.dat", s, [*frames, (frames[again][0], frames[3][1])])
    with pytest.raises(DataError, match=r"are both at (time|step) \d+, but the particles are at different") as error:
        read(tmp_path / "a.dat")
    assert "\n" not in str(error.value)


def test_a_frame_in_which_nothing_moved_is_refused(tmp_path, writer):
    write, _ = writer
    s = simulation()
    frames = frames_of(s)
    write(tmp_path / "a.dat", s, [frames[0], (0.25, frames[0][1]), *frames[1:]])
    with pytest.raises(DataError, match=r"has exactly the positions of frame 0 .*nothing has moved"):
        read(tmp_path / "a.dat")


def test_a_restart_wraps_coordinates_again(tmp_path):
    """Before a restart LAMMPS lets particles stray a little out of the box; after it they are back inside."""
    s = simulation()
    near = [(t, s.positions + 0.01 * k) for k, (t, _) in enumerate(frames_of(s))]
    first, second = (lammps_text(s, [frame], "x y z", shuffle=False) for frame in near[:2])
    strayed = lammps_text(s, near[:1], "x y z", shuffle=False).splitlines()
    row = next(k for k, line in enumerate(strayed) if line.startswith("1 "))
    words = strayed[row].split()
    strayed[row] = " ".join([*words[:2], repr(float(words[2]) + float(s.box[0])), *words[3:]])
    (tmp_path / "a.dump").write_text(first + "\n".join(strayed) + "\n" + second)
    [c] = read(tmp_path / "a.dump")
    np.testing.assert_allclose(c.trajectories[0] - c.positions, 0.01, atol=1e-12)


def test_xyz_without_times(tmp_path):
    s = simulation()

    def write(order):
        text = xyz_text(s, [frames_of(s)[k] for k in order])
        for time in (0.0, *TIMES):
            text = text.replace(f" Time={time!r} ", " ")
        (tmp_path / "a.xyz").write_text(text)

    write([0, 0, 1, 2, 2, 3])
    check(read(tmp_path / "a.xyz"), s)
    write([0, 1, 0, 1, 2, 3])
    with pytest.raises(DataError, match=r"frame 2 repeats frame 0, and the frames tell neither time nor step"):
        read(tmp_path / "a.xyz")


def test_xyz_with_the_times_of_some_frames(tmp_path):
    s = simulation()
    (tmp_path / "a.xyz").write_text(xyz_text(s, frames_of(s)).replace(" Time=4.0 ", " "))
    with pytest.raises(DataError, match="frame 2 has no time, but frame 0 has"):
        read(tmp_path / "a.xyz")


def test_times_in_xyz_need_not_be_those_of_steps(tmp_path):
    """`timestep=0.005` or `timestep=5` in every frame is the length of a step."""
    s = simulation()
    (tmp_path / "a.xyz").write_text(xyz_text(s, frames_of(s)).replace(" pbc=", " timestep=5 pbc="))
    check(read(tmp_path / "a.xyz"), s, TIMES)


def test_shell_order_and_times_of_the_caller(tmp_path):
    """`cat dump.*` puts 1000 before 200."""
    s = simulation()
    frames = [(t, x) for t, x in zip([0.0, 1.0, 2.0, 10.0], [x for _, x in frames_of(s)], strict=True)]
    (tmp_path / "a.dump").write_text(lammps_text(s, [frames[k] for k in (0, 1, 3, 2)]))
    data = bf.Dataset(bf.convert(tmp_path / "a.dump", tmp_path / "a.h5", time=[1, 2, 10]))
    assert data.times == [1.0, 2.0, 10.0]
    for sample, displacements in zip([data[k] for k in range(3)], s.displacements, strict=True):
        expected = np.linalg.norm(displacements[0], axis=1)
        np.testing.assert_allclose(sample.targets.propensity.numpy(), expected, rtol=1e-5)


# Layouts ------------------------------------------------------------------------------------------------------------


def write_runs(folder, s, text=lammps_text, order=(0, 1, 2, 3), **options):
    folder.mkdir(exist_ok=True)
    for run in range(s.runs.shape[1]):
        frames = frames_of(s, run)
        (folder / f"run{run}.dump").write_text(text(s, [frames[k] for k in order], **options))


def check_runs(configurations, s, times=TIMES):
    assert [c.time for c in configurations] == ([pytest.approx(t) for t in times] if times else [None] * 3)
    for k, c in enumerate(configurations):
        np.testing.assert_allclose(c.trajectories - c.positions, s.displacements[k], atol=1e-9)


@pytest.mark.parametrize("toml", ["timestep = 0.01", "times = [0.5, 4, 30]", ""])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 0, 3, 1, 3)])
@pytest.mark.parametrize("initial", [True, False])
def test_runs_in_any_order_with_repeats(tmp_path, toml, order, initial):
    s = simulation()
    write_runs(tmp_path / "c1", s, order=order)
    (tmp_path / "c1" / "initial.dump").write_text(lammps_text(s, [frames_of(s)[0]] * 2))
    line = '\ninitial = "{configuration}/initial.dump"' if initial else ""
    (tmp_path / "a.toml").write_text(f'pattern = "{{configuration}}/run{{run}}.dump"{line}\n{toml}\n')
    check_runs(read(tmp_path / "a.toml"), s, TIMES if toml else None)


def test_a_run_in_pieces(tmp_path):
    """Two files of one run, the second from a restart: it begins with the last frame of the first."""
    s = simulation()
    for run in range(4):
        frames = frames_of(s, run)
        (tmp_path / f"run{run}_1.dump").write_text(lammps_text(s, frames[2:]))
        (tmp_path / f"run{run}_2.dump").write_text(lammps_text(s, frames[:3]))
    (tmp_path / "a.toml").write_text('pattern = "run{run}_*.dump"\ntimestep = 0.01\n')
    check_runs(read(tmp_path / "a.toml"), s)
    (tmp_path / "run3_2.dump").write_text(lammps_text(s, [*frames[:2], (frames[2][0], frames[3][1])]))
    with pytest.raises(DataError, match=r"are both at step 400, but the particles are at different places"):
        read(tmp_path / "a.toml")


def test_frames_without_times_that_begin_with_the_initial_configuration(tmp_path):
    s = simulation()
    for run in range(4):
        text = xyz_text(s, frames_of(s, run))
        for time in (0.0, *TIMES):
            text = text.replace(f" Time={time!r} ", " ")
        (tmp_path / f"run{run}.xyz").write_text(text)
    (tmp_path / "initial.xyz").write_text(xyz_text(s, frames_of(s)[:1]))
    (tmp_path / "a.toml").write_text('pattern = "run{run}.xyz"\ninitial = "initial.xyz"\n')
    check_runs(read(tmp_path / "a.toml"), s, None)
    (tmp_path / "a.toml").write_text('pattern = "run{run}.xyz"\ninitial = "initial.xyz"\ntimes = [0.5, 4, 30]\n')
    check_runs(read(tmp_path / "a.toml"), s)
    (tmp_path / "a.toml").write_text('pattern = "run{run}.xyz"\ninitial = "initial.xyz"\ntimes = [0.1, 0.5, 4, 30]\n')
    with pytest.raises(DataError, match="3 frames after the initial one, but times has 4 values"):
        read(tmp_path / "a.toml")


def test_times_of_a_layout_must_rise(tmp_path):
    s = simulation()
    write_runs(tmp_path / "c1", s)
    for times in ("[0.5, 30, 4]", "[0.5, 0.5, 4]", "[0, 4, 30]", "[-1, 4, 30]"):
        (tmp_path / "a.toml").write_text(f'pattern = "c1/run{{run}}.dump"\ntimes = {times}\n')
        with pytest.raises(DataError, match="expected rising times"):
            read(tmp_path / "a.toml")


def test_an_initial_configuration_that_counts_its_steps_otherwise(tmp_path):
    """Reset to 0 there, not in the runs: their first frame would be a target without motion."""
    s = simulation()
    for run in range(4):
        (tmp_path / f"run{run}.dump").write_text(lammps_text(s, [(t + 50, x) for t, x in frames_of(s, run)]))
    (tmp_path / "initial.dump").write_text(lammps_text(s, frames_of(s)[:1]))
    (tmp_path / "a.toml").write_text('pattern = "run{run}.dump"\ninitial = "initial.dump"\ntimestep = 0.01\n')
    with pytest.raises(DataError, match=r"exactly the positions of the initial configuration .*nothing has moved"):
        read(tmp_path / "a.toml")


def test_names_and_steps_of_files_must_agree(tmp_path):
    s = simulation()
    for k, (time, positions) in enumerate(frames_of(s)):
        number = [0, 1, 3, 2][k]
        (tmp_path / f"frame{number}.dump").write_text(lammps_text(s, [(time, positions)]))
    (tmp_path / "a.toml").write_text('pattern = "frame{index}.dump"\ntimes = [0, 0.5, 4, 30]\n')
    with pytest.raises(DataError, match=r"frame3\.dump: by the names it comes after .*step 400 is before 3000"):
        read(tmp_path / "a.toml")
    for k, (_, positions) in enumerate(frames_of(s)):  # a counter that was reset for every file says nothing
        (tmp_path / f"frame{k}.dump").write_text(lammps_text(s, [(0.0, positions)]))
    configurations = read(tmp_path / "a.toml")
    assert [c.time for c in configurations] == TIMES
    for k, c in enumerate(configurations):
        np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, 0], atol=1e-9)


def test_two_files_of_one_frame(tmp_path):
    s = simulation()
    for k, (time, positions) in enumerate(frames_of(s)):
        for copy in ("a", "b") if k < 2 else ("a",):
            (tmp_path / f"{copy}_{time:g}.dump").write_text(lammps_text(s, [(time, positions)]))
    configurations = read(tmp_path / "*_{time}.dump")
    assert [c.time for c in configurations] == TIMES
    (tmp_path / "b_4.dump").write_text(lammps_text(s, [(4.0, s.runs[0, 0])]))
    with pytest.raises(DataError, match="two frames at the same time"):
        read(tmp_path / "*_{time}.dump")


def test_a_time_before_the_initial_configuration(tmp_path):
    s = simulation()
    for time, positions in zip((-1, 0, 3), [x for _, x in frames_of(s)], strict=False):
        (tmp_path / f"frame{time}.dump").write_text(lammps_text(s, [(abs(time), positions)]))
    with pytest.raises(DataError, match="time = -1 is before the initial configuration"):
        read(tmp_path / "frame{time}.dump")


def test_late_start(tmp_path):
    """A run that begins after 5e7 time units, 1e10 steps: steps and times are close together, not equal."""
    s = simulation(runs=1)
    frames = [(5e7 + time / 100, positions) for time, positions in frames_of(s)]
    (tmp_path / "times.dump").write_text(lammps_text(s, frames, time=True, dt=0.005))
    (tmp_path / "steps.dump").write_text(lammps_text(s, frames, dt=0.005))
    for name in ("times.dump", "steps.dump"):
        configurations = read(tmp_path / name)
        assert all(np.allclose(c.trajectories, s.runs[k], atol=1e-12) for k, c in enumerate(configurations))
    assert [c.time for c in read(tmp_path / "times.dump")] == [0.005, 0.04, 0.3]


def test_time_that_a_restart_rounds(tmp_path):
    """4 and 4.000000001 with the same places are one instant."""
    s = simulation(runs=1)
    zero, one, two, three = frames_of(s)
    (tmp_path / "a.dump").write_text(lammps_text(s, [zero, one, two, (4.000000001, two[1]), three], time=True))
    assert [c.time for c in read(tmp_path / "a.dump")] == TIMES


@pytest.mark.parametrize("key", ["Step", "Timestep", "step"])
@pytest.mark.parametrize("ending", ["", ".0"])
def test_steps_of_xyz(tmp_path, key, ending):
    """Steps of extended XYZ decide, in one file and in a layout with one frame in each, whatever the names say."""
    s = simulation(runs=1)
    texts = []
    for number, (time, positions) in enumerate(reversed(frames_of(s))):
        text = xyz_text(s, [(time, positions)]).replace(f" Time={time!r} ", f" {key}={round(time * 100)}{ending} ")
        texts.append(text)
        (tmp_path / f"frame{number}.xyz").write_text(text)
    (tmp_path / "all.xyz").write_text("".join(texts))
    (tmp_path / "runs.toml").write_text('pattern = "frame*.xyz"\ntimestep = 0.01\n')
    for configurations in (read(tmp_path / "all.xyz"), read(tmp_path / "runs.toml")):
        for k, c in enumerate(configurations):
            np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, 0], atol=1e-12)
    assert [c.time for c in read(tmp_path / "runs.toml")] == TIMES


@pytest.mark.parametrize("comment", ["t = {t!r}", "i = {step}, E = -1.0", "i = {step}, time = {t!r}", "t={t!r} step=3"])
def test_comments_of_plain_xyz(tmp_path, comment):
    s = simulation(runs=1)
    frames = frames_of(s)
    (tmp_path / "a.xyz").write_text(plain_xyz_text(s, [frames[2], frames[0], frames[3], frames[1]], comment=comment))
    configurations = read(tmp_path / "a.xyz")
    assert [c.time for c in configurations] == (TIMES if "{t" in comment else [None] * 3)
    for k, c in enumerate(configurations):
        np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, 0], atol=1e-12)


@pytest.mark.parametrize("time", [[0, 1, 2], [-1, 1, 2]])
def test_times_of_the_caller_come_after_the_initial_frame(tmp_path, time):
    """--time 0 1 2 for four frames would be three: the first frame has no target."""
    s = simulation(runs=1)
    (tmp_path / "a.dump").write_text(lammps_text(s, frames_of(s)))
    with pytest.raises(InputError, match=f"holds {time[0]}, which is not after the initial configuration"):
        bf.convert(tmp_path / "a.dump", tmp_path / "a.h5", time=time)
