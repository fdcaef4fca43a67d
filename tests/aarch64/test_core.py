"""The core on 64-bit Arm, under qemu: networks against the definition in float64, geometry bit for bit as here."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.ops import PRECISIONS, reference
from tests.aarch64.build import EMULATOR, build, missing
from tests.helpers.processor_case import TOLERANCE, Case, clear_case, clear_of_kinks, leaves
from tests.helpers.random_graphs import random_mlp, relative_l2

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"needs {' and '.join(missing())}")

BORDER, TRIALS = 0.1, 12  # of bf16, as in tests/integration/test_precision.py


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return build(tmp_path_factory.mktemp("aarch64"))


def run(driver: Path, operation: str, sizes: Sequence[int], arrays: Sequence[np.ndarray]) -> bytes:
    """What the driver makes of the arrays."""
    source, target = driver.with_name("in"), driver.with_name("out")
    header = np.zeros(5, dtype=np.int64)
    header[: len(sizes)] = sizes
    source.write_bytes(b"".join(np.ascontiguousarray(a).tobytes() for a in (header, *arrays)))
    command = [EMULATOR, str(driver), operation, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target.read_bytes()


def split(data: bytes, shapes: Sequence[torch.Size]) -> list[torch.Tensor]:
    """Float32 arrays that lie one after the other; nothing may be left over."""
    numbers = torch.from_numpy(np.frombuffer(data, dtype=np.float32).copy())
    return [t.reshape(s) for t, s in zip(numbers.split([s.numel() for s in shapes]), shapes, strict=True)]


def processor(driver, case: Case, precision: str) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Outputs and gradients of the driver, and of the definition in float64."""
    hidden = case.tensors[2].shape[1]
    sizes = (len(case.tensors[2]), len(case.tensors[3]), hidden, case.steps, PRECISIONS.index(precision))
    arrays = [*case.topology, *case.tensors[2:], case.weight_x, case.weight_e]
    inputs = leaves(case.tensors, torch.float64)
    outputs = reference.processor(*inputs[:4], *case.topology[:2], inputs[4:8], inputs[8:12], case.steps, precision)
    expected = [*outputs, *case.gradients(outputs, inputs)]
    data = run(driver, "network", sizes, [a.numpy() for a in arrays])
    return split(data, [t.shape for t in expected]), expected


def difference(found, expected) -> float:
    """Largest relative L2 of any tensor."""
    return max(relative_l2(a, b) for a, b in zip(found, expected, strict=True))


def assert_by_definition(pairs) -> None:
    """One of some random inputs agrees within rounding, all roughly: see tests/integration/test_precision.py."""
    for found, expected in pairs:
        if (error := difference(found, expected)) < TOLERANCE:
            return
        assert error < BORDER
    raise AssertionError("no random input agrees with the definition")


@pytest.mark.parametrize("hidden", [32, 64, 128])
def test_processor(driver, hidden):
    found, expected = processor(driver, clear_case(14, 130, hidden, steps=2), "fp32")
    assert difference(found, expected) < TOLERANCE


@pytest.mark.parametrize("hidden", [32, 64, 128])
def test_processor_in_bf16(driver, hidden):
    assert_by_definition(processor(driver, Case(14, 70, hidden, steps=2, seed=seed), "bf16") for seed in range(TRIALS))


def perceptron(driver, rows: int, inputs: int, precision: str, seed: int):
    g = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(rows, inputs, generator=g), *random_mlp(inputs, 64, g, decode=True)]
    weight = 1 + torch.randn(rows, generator=g)
    x, *weights = leaves(tensors, torch.float64)
    if not clear_of_kinks(lambda: reference.mlp(x, weights)):
        return None
    y = reference.mlp(x, weights, precision)
    expected = [y, *torch.autograd.grad((y * weight.double()).sum(), [x, *weights])]
    sizes = (rows, inputs, 64, 0, PRECISIONS.index(precision))
    data = run(driver, "perceptron", sizes, [a.numpy() for a in (*tensors, weight)])
    return split(data, [t.shape for t in expected]), expected


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("inputs", [3, 64])
def test_mlp(driver, inputs, precision):
    pairs = (perceptron(driver, 101, inputs, precision, seed) for seed in range(10 * TRIALS))
    assert_by_definition(pair for pair in pairs if pair is not None)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("triclinic", [False, True])
def test_geometry_has_the_same_bits(driver, dimensions, triclinic):
    rng = np.random.default_rng(dimensions)
    cell = np.eye(dimensions) * 7.3
    if triclinic:
        cell[1, 0] = 1.7
    positions = (rng.random((300, dimensions)) * 3 - 1) @ cell  # outside of the box, too
    runs = positions + 0.3 * rng.standard_normal((5, 300, dimensions))
    graph = bf.build_graph(positions, np.zeros(300, dtype=np.int64), cell, cutoff=2.0)
    targets = bf.isoconfigurational_targets(positions, runs, graph)
    data = run(driver, "geometry", (300, 5, dimensions), [np.float64(2.0), cell, positions, runs])
    here = [graph.senders, graph.receivers, graph.row_ptr, graph.reverse, graph.vectors]
    here += [targets.propensity, targets.pair_change]
    expected = np.int64(graph.num_edges).tobytes() + b"".join(t.contiguous().numpy().tobytes() for t in here)
    assert graph.num_edges > 1000
    assert data == expected
