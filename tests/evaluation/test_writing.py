"""Predictions as extended XYZ for OVITO: radius and id, and trajectories that stream."""

import gc
import weakref

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import BotanFastWarning, DataError, InputError
from botan_fast.evaluation.prediction import ConfigurationPrediction, FramePrediction
from botan_fast.evaluation.writing import write_trajectory, write_xyz
from botan_fast.formats import read, read_trajectory
from tests.helpers.format_files import frames_of, lammps_text, plain_xyz_text, simulation, xyz_text


def prediction(types, kind=ConfigurationPrediction, **more):
    number = len(types)
    none = np.empty(0, np.int32)
    values = {"propensity": np.arange(number, dtype=np.float32), **more}
    return kind(
        name="a",
        positions=np.random.default_rng(0).random((number, 3)),
        types=np.asarray(types),
        box=np.full(3, 5.0),
        senders=none,
        receivers=none,
        distance=none,
        **values,
    )


def columns_of(path):
    lines = path.read_text().splitlines()
    names = lines[1].split("Properties=")[1].split(" ")[0].split(":")
    return names, [line.split() for line in lines[2:]]


def test_radius_and_id(tmp_path):
    """Half of the diameters of the Kob-Andersen mixture, so that B is not drawn as boron."""
    write_xyz(prediction([0, 1, 0, 1]), tmp_path / "a.xyz")
    names, rows = columns_of(tmp_path / "a.xyz")
    assert ":".join(names) == "species:S:1:pos:R:3:propensity:R:1:id:I:1:radius:R:1:Color:R:3"
    assert [row[-5:-3] for row in rows] == [["1", "0.5"], ["2", "0.44"], ["3", "0.5"], ["4", "0.44"]]
    assert [row[0] for row in rows] == ["A", "B", "A", "B"]


def test_radius_of_other_mixtures(tmp_path):
    write_xyz(prediction([0, 1, 2]), tmp_path / "a.xyz")
    assert [row[-4] for row in columns_of(tmp_path / "a.xyz")[1]] == ["0.5"] * 3


def test_without_any_output(tmp_path):
    write_xyz(prediction([0, 1], propensity=None), tmp_path / "a.xyz")
    names, rows = columns_of(tmp_path / "a.xyz")
    assert names == ["species", "S", "1", "pos", "R", "3", "id", "I", "1", "radius", "R", "1"]
    assert len(rows[0]) == 6


def test_what_is_written_can_be_read(tmp_path):
    p = prediction([0, 1, 0])
    write_xyz(p, tmp_path / "a.xyz")
    [c] = read(tmp_path / "a.xyz")
    np.testing.assert_allclose(c.positions, p.positions, rtol=1e-15)
    np.testing.assert_array_equal(c.types, p.types)


def test_a_trajectory_can_be_read(tmp_path):
    frames = (prediction([0, 1], FramePrediction, frame=k, time=0.5 * k, step=10 * k) for k in range(3))
    assert write_trajectory(frames, tmp_path / "a.xyz") == 3
    trajectory = read_trajectory(tmp_path / "a.xyz")
    assert [trajectory.frame(k).time for k in range(trajectory.count)] == [0.0, 0.5, 1.0]
    assert "Frame=2 Time=1 Step=20\n" in (tmp_path / "a.xyz").read_text()


def test_a_broken_trajectory_leaves_nothing(tmp_path):
    def frames():
        yield prediction([0, 1], FramePrediction)
        raise DataError("no more")

    with pytest.raises(DataError):
        write_trajectory(frames(), tmp_path / "a.xyz")
    assert list(tmp_path.iterdir()) == []


def test_every_frame_is_predicted_in_the_order_of_time(tmp_path, tiny_model):
    s = simulation(number=80)
    frames = frames_of(s)
    (tmp_path / "a.dump").write_text("".join(lammps_text(s, [frames[k]], time=True) for k in (2, 0, 3, 1)))
    predictions = list(bf.predict(tiny_model, tmp_path / "a.dump", frames="all"))
    assert [(p.name, p.frame, p.time) for p in predictions] == [
        ("a", 0, 0.0),
        ("a", 1, 0.5),
        ("a", 2, 4.0),
        ("a", 3, 30.0),
    ]
    for p, (_, positions) in zip(predictions, frames, strict=True):
        graph = bf.build_graph(positions, s.types, s.box)
        np.testing.assert_allclose(p.propensity, tiny_model(graph).node.detach().numpy(), atol=2e-6)
        assert p.target_propensity is None


def test_one_frame_is_in_memory_at_a_time(tmp_path, tiny_model, monkeypatch):
    s = simulation(number=80)
    (tmp_path / "a.xyz").write_text(xyz_text(s, [(0.1 * k, s.positions + 0.01 * k) for k in range(20)]))
    graphs = []
    forward = tiny_model.forward

    def watched(graph, *rest):
        gc.collect()
        graphs.append(weakref.ref(graph))
        assert sum(ref() is not None for ref in graphs) <= 3
        return forward(graph, *rest)

    monkeypatch.setattr(tiny_model, "forward", watched)
    assert write_trajectory(bf.predict(tiny_model, tmp_path / "a.xyz", frames="all"), tmp_path / "out.xyz") == 20


def test_several_sources_and_files_without_frames(tmp_path, tiny_model):
    s = simulation(number=80)
    (tmp_path / "a.xyz").write_text(xyz_text(s, frames_of(s)[:2]))
    np.savez(tmp_path / "b.npz", positions=s.positions, types=s.types, box=s.box, trajectories=s.runs, time=s.times)
    predictions = list(bf.predict(tiny_model, [tmp_path / "a.xyz", tmp_path / "b.npz"], frames="all"))
    assert [(p.name, getattr(p, "frame", None)) for p in predictions] == [("a", 0), ("a", 1), ("b", None)]


def test_frames_of_a_file_without_a_box_may_leave_the_one_that_is_given(tmp_path, tiny_model):
    """The first frame tells whether the box can be right; later on particles have diffused."""
    s = simulation(60)
    later = s.positions + np.random.default_rng(1).integers(-3, 4, (60, 3)) * s.box
    (tmp_path / "a.xyz").write_text(plain_xyz_text(s, [(0.0, s.positions), (1.0, later)]))
    first, second = bf.predict(tiny_model, tmp_path / "a.xyz", box=s.box, frames="all")
    assert np.allclose(first.positions, second.positions)
    assert np.allclose(first.propensity, second.propensity, atol=1e-6)
    with pytest.raises(DataError, match=r"frame 0: .*coordinates extend over"):
        list(bf.predict(tiny_model, tmp_path / "a.xyz", box=0.8 * s.box, frames="all"))


def test_what_frames_are_not(tmp_path, tiny_model):
    s = simulation(number=80)
    (tmp_path / "run1.xyz").write_text(xyz_text(s, frames_of(s)))
    (tmp_path / "flat.xyz").write_text(xyz_text(simulation(dimensions=2, cell=[6.0, 6.0]), [(0.0, np.zeros((40, 2)))]))
    sample = bf.Sample(bf.build_graph(s.positions, s.types, s.box), None, "x", torch.from_numpy(s.positions))
    with pytest.raises(InputError, match="these samples are configurations already"):
        bf.predict(tiny_model, [sample], frames="all")
    with pytest.raises(InputError, match="describes the runs of an ensemble"):
        bf.predict(tiny_model, str(tmp_path / "run{run}.xyz"), frames="all")
    with pytest.raises(InputError, match="frames = 'last'; choose one of 'first', 'all'"):
        bf.predict(tiny_model, tmp_path / "run1.xyz", frames="last")
    with pytest.raises(InputError, match="leave temperature and time out"):
        bf.predict(tiny_model, tmp_path / "run1.xyz", frames="all", time=1.0)


def test_the_first_frame_needs_no_time(tmp_path, tiny_model):
    s = simulation(number=80)
    for name, text in (
        ("a.dump", lammps_text(s, frames_of(s))),
        ("b.dump", lammps_text(s, frames_of(s), time=True)),
        ("c.xyz", xyz_text(s, frames_of(s))),
    ):
        (tmp_path / name).write_text(text)
        [p] = bf.predict(tiny_model, tmp_path / name)
        np.testing.assert_allclose(p.positions, s.positions, atol=1e-12)
        assert p.target_propensity is None
    [p] = bf.predict(tiny_model, tmp_path / "c.xyz", time=4.0)
    np.testing.assert_allclose(p.target_propensity, np.linalg.norm(s.displacements[1, 0], axis=1), rtol=1e-5)


def test_the_first_frame_of_frames_that_make_no_run(tmp_path, tiny_model):
    """Wrapped frames, and one in which nothing has moved, are no targets; the first is predicted, with a word."""
    s = simulation(number=80, step=0.9, runs=1)
    zero, one, *_ = frames_of(s)
    inside = [(t, s.wrapped(x)[0]) for t, x in frames_of(s)[:2]]
    texts = {
        "a.dump": (lammps_text(s, frames_of(s), "x y z"), "wrapped", None),
        "b.dump": (lammps_text(s, frames_of(s)[::-1], "x y z"), "wrapped", None),
        "c.dump": (lammps_text(s, [zero, (9.0, zero[1]), one]), "nothing has moved", None),
        "d.xyz": (plain_xyz_text(s, inside), "wrapped", s.box),
    }
    (tmp_path / "first.dump").write_text(lammps_text(s, [zero]))
    [expected] = bf.predict(tiny_model, tmp_path / "first.dump")
    for name, (text, why, box) in texts.items():
        (tmp_path / name).write_text(text)
        with pytest.warns(BotanFastWarning, match=f"{why}.*; the first frame is taken alone, without targets"):
            [p] = bf.predict(tiny_model, tmp_path / name, box=box)
        np.testing.assert_allclose(p.propensity, expected.propensity, atol=1e-6)
        assert p.target_propensity is None
        with pytest.raises(DataError, match=why):
            bf.load_samples(tmp_path / name, box=box)
    (tmp_path / "cut.dump").write_text(lammps_text(s, frames_of(s), "x y z")[:-200])
    with pytest.raises(DataError, match="declares 80 atoms"):
        bf.predict(tiny_model, tmp_path / "cut.dump")
