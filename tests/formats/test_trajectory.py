"""Frames by themselves, in the order of time."""

import numpy as np
import pytest

from botan_fast.errors import DataError
from botan_fast.formats import read_trajectory
from tests.helpers.format_files import frames_of, lammps_text, simulation, write_gsd, write_h5md, xyz_text


def test_frames_of_every_format(tmp_path):
    s = simulation()
    frames = frames_of(s)
    (tmp_path / "a.dump").write_text(lammps_text(s, frames, time=True))
    (tmp_path / "b.xyz").write_text(xyz_text(s, frames))
    write_gsd(tmp_path / "c.gsd", s, frames)
    write_h5md(tmp_path / "d.h5md", s, frames)
    for name, precision in (("a.dump", 1e-12), ("b.xyz", 1e-12), ("c.gsd", 1e-5), ("d.h5md", 1e-12)):
        trajectory = read_trajectory(tmp_path / name)
        assert (trajectory.name, trajectory.count) == (name[0], 4)
        for k, (_, positions) in enumerate(frames):
            inside = trajectory.static(k).positions
            difference = inside - s.wrapped(positions)[0]
            np.testing.assert_allclose(difference - s.box * np.rint(difference / s.box), 0, atol=precision)


def test_a_restart_and_files_joined_in_any_order(tmp_path):
    s = simulation()
    frames = frames_of(s)
    path = tmp_path / "a.dump"
    path.write_text("".join(lammps_text(s, [frames[k]], time=True) for k in (3, 1, 0, 1, 2)))
    trajectory = read_trajectory(path)
    assert [trajectory.frame(k).time for k in range(trajectory.count)] == [0.0, 0.5, 4.0, 30.0]
    path.write_text("".join(lammps_text(s, [frames[k]], time=True) for k in (0, 1)).replace("0.5\n", "0.0\n", 1))
    with pytest.raises(DataError, match="frame 0 and frame 1 are both at time 0, but the particles are at"):
        read_trajectory(path)


def test_boxes_may_change(tmp_path):
    """Frames for predictions are no run at constant volume."""
    s = simulation()
    other = simulation(cell=[6.0, 7.0, 8.0], seed=1)
    path = tmp_path / "a.dump"
    path.write_text(lammps_text(s, [(0.0, s.positions)]) + lammps_text(other, [(1.0, other.positions)]))
    trajectory = read_trajectory(path)
    np.testing.assert_allclose(trajectory.static(0).box, s.box)
    np.testing.assert_allclose(trajectory.static(1).box, other.box)


def test_files_without_frames(tmp_path):
    np.savez(tmp_path / "a.npz", positions=np.zeros((2, 3)), types=[0, 1], box=5.0)
    assert read_trajectory(tmp_path / "a.npz") is None
