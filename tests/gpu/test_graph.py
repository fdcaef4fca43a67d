"""Neighbour lists and targets on the device against the CPU, bit for bit; CUDA graphs, streams, CuPy."""

import importlib.util

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.device import CUDA_KERNELS
from botan_fast.graph import search_cuda
from botan_fast.graph.inputs import check_inputs
from botan_fast.physics import targets_cuda
from tests.helpers.graph_checks import random_positions

TILTED = np.array([[11.0, 0.0, 0.0], [9.0, 8.0, 0.0], [-8.0, 5.0, 6.0]])
FIELDS = ("senders", "receivers", "vectors", "row_ptr", "reverse", "types", "box", "graph_ptr")


def assert_same_bits(a, b):
    assert a.dtype == b.dtype
    assert a.cpu().numpy().tobytes() == b.cpu().numpy().tobytes()


def assert_same_graph(got, expected):
    for name in FIELDS:
        a, b = getattr(got, name), getattr(expected, name)
        assert (a is None) == (b is None), name
        if a is not None:
            assert_same_bits(a, b)


@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize(
    ("box", "number"),
    [
        ([4.0, 4.0, 4.0], 60),
        ([5.0, 17.0], 80),
        ([15.06] * 3, 4096),
        (TILTED * 2, 3000),
        ([20.0] * 3, 9000),  # binned by the whole grid
        (TILTED * 4, 20_000),  # and scanned by it
        ([94.0] * 3, 1_000_000),
    ],
)
def test_graph_and_pairs(device, box, number, self_edges):
    cutoff = 1.6 if np.ndim(box) == 2 else 2.0
    positions = random_positions(number, box, len(box))
    types = np.arange(number) % 3
    on_device = torch.from_numpy(positions).to(device)
    expected = bf.build_graph(positions, types, box, cutoff, self_edges)
    for path in (0, 3):
        inputs = check_inputs(on_device, box, cutoff, self_edges, device=on_device.device)
        assert_same_graph(search_cuda.build(CUDA_KERNELS, inputs, types, path), expected)
    assert bf.build_graph(on_device, types, box, cutoff, self_edges).device == device
    assert bf.build_graph(positions, types, box, cutoff, self_edges, device="cuda").device == device
    if number <= 20_000:
        pairs = bf.neighbor_list("ijdDS", positions, box, cutoff, self_edges)
        found = bf.neighbor_list("ijdDS", on_device, box, cutoff, self_edges)
        for a, b in zip(found, pairs, strict=True):
            assert a.device == device
            assert_same_bits(a, torch.from_numpy(b))


def test_a_dense_cluster(device):
    rng = np.random.default_rng(3)
    positions = np.concatenate([10 + 0.3 * rng.standard_normal((900, 3)), rng.random((100, 3)) * 40])
    assert_same_graph(
        bf.build_graph(torch.from_numpy(positions).to(device), np.zeros(1000, int), 40.0),
        bf.build_graph(positions, np.zeros(1000, int), 40.0),
    )


def test_a_batch(device):
    sizes = [0, 4096, 1, 900, 4096, 2, 17]
    cells = [np.eye(3) * (15.06 + g) for g in range(len(sizes))]
    positions = np.concatenate([random_positions(n, cells[g], 3, g) for g, n in enumerate(sizes)])
    types, graph_ptr = np.arange(len(positions)) % 2, np.cumsum([0, *sizes])
    expected = bf.build_graph(positions, types, np.stack(cells), graph_ptr=graph_ptr)
    on_device = torch.from_numpy(positions).to(device)
    assert_same_graph(bf.build_graph(on_device, types, np.stack(cells), graph_ptr=graph_ptr), expected)


def test_errors_are_those_of_the_cpu(device):
    for change, value in ((5, np.nan), (7, None)):
        positions = random_positions(1000, 10.0, 3)
        positions[change] = positions[900] if value is None else value
        with pytest.raises(bf.BotanFastError) as expected:
            bf.build_graph(positions, np.zeros(1000, int), 10.0)
        with pytest.raises(bf.BotanFastError) as found:
            bf.build_graph(torch.from_numpy(positions).to(device), np.zeros(1000, int), 10.0)
        assert str(found.value) == str(expected.value)


def test_a_captured_graph_follows_the_positions(device):
    """With a capacity a capture succeeds, which it would not if anything waited; overflow shows in a replay."""
    frames = [random_positions(4096, 15.06, 3, seed) for seed in range(3)]
    types = torch.zeros(4096, dtype=torch.int64, device=device)
    positions = torch.from_numpy(frames[0]).to(device)
    numbers = [bf.build_graph(frame, np.zeros(4096, int), 15.06).num_edges for frame in frames]
    capacity = max(numbers)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        bf.build_graph(positions, types, 15.06, capacity=capacity)
    side.synchronize()
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        graph = bf.build_graph(positions, types, 15.06, capacity=capacity)
    for frame in frames:
        positions.copy_(torch.from_numpy(frame))
        captured.replay()
        assert_same_graph(graph.check(), bf.build_graph(frame, np.zeros(4096, int), 15.06, capacity=capacity))
    positions.mul_(0.8)
    captured.replay()
    with pytest.raises(bf.BotanFastError, match=r"capacity = .* is smaller than the"):
        graph.check()
    assert not graph.row_ptr.any()


def test_another_stream(device):
    positions = random_positions(4096, 15.06, 3)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        graph = bf.build_graph(torch.from_numpy(positions).to(device), np.zeros(4096, int), 15.06)
    side.synchronize()
    assert_same_graph(graph, bf.build_graph(positions, np.zeros(4096, int), 15.06))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("box", [[15.06] * 3, TILTED * 2], ids=["cubic", "tilted"])
def test_targets(device, box, dtype, monkeypatch):
    positions = random_positions(4096, box, 3)
    runs = (positions + 2 * np.random.default_rng(0).standard_normal((32, 4096, 3))).astype(dtype)
    graph = bf.build_graph(positions, np.zeros(4096, int), box, 1.6)
    expected = bf.isoconfigurational_targets(positions, runs, graph)
    for chunk in (64 << 20, 1 << 20):
        monkeypatch.setattr(targets_cuda, "CHUNK_BYTES", chunk)
        for given in (runs, torch.from_numpy(runs), torch.from_numpy(runs).to(device)):
            found = bf.isoconfigurational_targets(positions, given, graph.to(device))
            assert_same_bits(found.propensity, expected.propensity)
            assert_same_bits(found.pair_change, expected.pair_change)


if importlib.util.find_spec("cupy"):

    def test_cupy_arrays(device):
        import cupy

        positions = random_positions(3000, 14.0, 3)
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            given = cupy.asarray(positions)
            found = bf.neighbor_list("ijdDS", given, 14.0, 2.0)
            graph = bf.build_graph(given, cupy.zeros(3000, int), 14.0)
            stream.synchronize()
        assert all(isinstance(x, cupy.ndarray) for x in found)
        for a, b in zip(found, bf.neighbor_list("ijdDS", positions, 14.0, 2.0), strict=True):
            np.testing.assert_array_equal(a.get(), b)
        assert_same_graph(graph, bf.build_graph(positions, np.zeros(3000, int), 14.0))
