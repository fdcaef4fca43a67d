"""Targets S and E on CUDA through the host emulation, against the CPU, bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import botan_fast as bf
from botan_fast.physics import targets, targets_cuda
from tests.helpers.graph_checks import random_positions

TILTED = np.array([[11.0, 0.0, 0.0], [9.0, 8.0, 0.0], [-8.0, 5.0, 6.0]])


def configuration(box, number, runs, seed=0, scale=3.0, self_edges=False):
    """Positions, a graph, and runs whose particles leave the box and each other's neighbourhood."""
    dimensions = len(box)
    positions = random_positions(number, box, dimensions, seed)
    graph = bf.build_graph(positions, np.zeros(number, int), box, 1.5, self_edges)
    moves = np.random.default_rng(seed + 1).standard_normal((runs, number, dimensions))
    return positions, positions + scale * moves, graph


def on_device(emulator, positions, runs, graph, **options):
    return targets._targets_on_device(emulator, positions, runs, graph, **options)


def assert_same(got, expected):
    for a, b in zip(got, (expected.propensity, expected.pair_change), strict=True):
        assert a.dtype == b.dtype
        assert a.numpy().tobytes() == b.numpy().tobytes()


@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("box", [[6.0, 7.0, 5.0], [9.0, 6.0], TILTED, TILTED[:2, :2]], ids=str)
def test_targets(emulator, box, dtype, self_edges):
    positions, runs, graph = configuration(box, 80, 11, self_edges=self_edges)
    runs = runs.astype(dtype)
    expected = bf.isoconfigurational_targets(positions, runs, graph)
    for seed in (0, 1):
        emulator.set_seed(seed)
        assert_same(on_device(emulator, positions, runs, graph), expected)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_few_particles(emulator, number):
    positions, runs, graph = configuration([4.0, 4.0], number, 3)
    assert_same(on_device(emulator, positions, runs, graph), bf.isoconfigurational_targets(positions, runs, graph))


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 13, 50])
def test_streamed_in_parts(emulator, tmp_path, parts):
    """The bits do not depend on the parts, for arrays, tensors and memory-mapped files."""
    positions, runs, graph = configuration([6.0, 7.0, 5.0], 50, 13)
    expected = bf.isoconfigurational_targets(positions, runs, graph)
    np.save(tmp_path / "runs.npy", runs)
    for source in (
        runs,
        torch.from_numpy(runs),
        np.load(tmp_path / "runs.npy", mmap_mode="r"),
        runs[::-1].copy()[::-1],
    ):
        chunk = runs.nbytes // parts + 1
        assert_same(on_device(emulator, positions, source, graph, chunk_bytes=chunk), expected)


def test_parts_hold_a_whole_run_at_least():
    runs = np.arange(24.0).reshape(4, 3, 2)
    for chunk, sizes in ((1, [1, 1, 1, 1]), (100, [2, 2]), (150, [3, 1]), (10**6, [4])):
        seen = [(first, part.numpy().copy()) for first, part in targets_cuda.parts(runs, torch.device("cpu"), chunk)]
        assert [len(part) for _, part in seen] == sizes
        np.testing.assert_array_equal(np.concatenate([part for _, part in seen]), runs)
        assert [first for first, _ in seen] == np.cumsum([0, *sizes[:-1]]).tolist()


@pytest.mark.parametrize("where", ["propensity", "mismatch", "initial"])
def test_errors_are_those_of_the_cpu(emulator, where):
    positions, runs, graph = configuration([6.0, 7.0, 5.0], 50, 5)
    if where == "propensity":
        runs[3, 17, 2] = np.nan
    elif where == "initial":
        positions[8, 1] = np.inf
    else:
        positions = positions + 0.01 * (np.arange(50) == int(graph.senders[0]))[:, None]
    messages = []
    for function in (
        lambda: bf.isoconfigurational_targets(positions, runs, graph),
        lambda: on_device(emulator, positions, runs, graph),
        lambda: on_device(emulator, torch.from_numpy(positions), torch.from_numpy(runs), graph),
    ):
        with pytest.raises(bf.BotanFastError) as error:
            function()
        messages.append(str(error.value))
    assert len(set(messages)) == 1
    assert ("not finite" in messages[0]) == (where != "mismatch")


@pytest.mark.parametrize(
    ("positions", "runs", "message"),
    [
        (np.zeros((4, 2)), np.zeros((2, 5, 2)), r"initial_positions has shape \(4, 2\); graph needs \(5, 2\)"),
        (np.zeros((5, 2)), np.zeros((2, 4, 2)), r"trajectories has shape \(2, 4, 2\); graph needs \(R, 5, 2\)"),
        (np.zeros((5, 2)), np.zeros((0, 5, 2)), "no run; give at least one"),
        (np.zeros((5, 2)), np.zeros((2, 5, 2), complex), "trajectories is not an array of real numbers"),
        (np.zeros((5, 2)), [[["a", "b"]] * 5], "trajectories is not an array of real numbers"),
    ],
)
def test_bad_shapes(emulator, positions, runs, message):
    graph = bf.build_graph(random_positions(5, 6.0, 2), [0] * 5, 6.0)
    for function in (on_device, lambda _, *given: bf.isoconfigurational_targets(*given)):
        with pytest.raises(bf.BotanFastError, match=message):
            function(emulator, positions, runs, graph)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 2),
    number=st.integers(1, 40),
    runs=st.integers(1, 9),
    parts=st.integers(1, 4),
    dimensions=st.sampled_from([2, 3]),
    tilt=st.floats(-0.9, 0.9),
)
def test_random_configurations(emulator, seed, number, runs, parts, dimensions, tilt):
    cell = np.diag([6.0, 5.0, 7.0][:dimensions]) + np.eye(dimensions, k=-1) * tilt * 3
    positions, trajectories, graph = configuration(cell, number, runs, seed, scale=2.0)
    expected = bf.isoconfigurational_targets(positions, trajectories, graph)
    emulator.set_seed(seed % 1000)
    got = on_device(emulator, positions, trajectories, graph, chunk_bytes=trajectories.nbytes // parts + 1)
    assert_same(got, expected)
