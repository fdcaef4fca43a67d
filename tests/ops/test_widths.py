"""Widths without kernels of their own: padded with zeros, and the same as the unpadded network."""

import os
import subprocess
import sys

import pytest
import torch

from botan_fast import ops
from botan_fast.errors import InputError
from botan_fast.ops import reference
from tests.helpers.processor_case import Case, assert_same, clear_case, clear_of_kinks, leaves
from tests.helpers.random_graphs import random_mlp, relative_l2

WIDTHS = [1, 7, 16, 24, 40, 48, 80, 96, 100, 128]
PADDED = [1, 7, 24, 40, 80, 100]
CPU = torch.device("cpu")


def test_the_width_of_the_kernels():
    found = [ops.padded_width(h, CPU) for h in (1, 16, 17, 32, 33, 48, 49, 64, 65, 96, 97, 128, 129, 512)]
    assert found == [16, 16, 32, 32, 48, 48, 64, 64, 96, 96, 128, 128, None, None]
    assert ops.padded_width(0, CPU) is None
    assert ops.padded_width(64, torch.device("meta")) is None
    fast = [h for h in range(300) if ops.has_fast_path(h, torch.float32, CPU)]
    assert fast == list(range(1, 129))
    assert not ops.has_fast_path(24, torch.float64, CPU)


# ---- against the definition in float64, values and all gradients ----------------------------------------------------


@pytest.mark.parametrize("hidden", WIDTHS)
@pytest.mark.parametrize(("skip", "start"), [(False, False), (True, False), (True, True)])
def test_processor(hidden, skip, start):
    clear_case(31, 197, hidden, skip=skip, start=start).check()


@pytest.mark.parametrize("steps", [1, 7])
def test_processor_steps(steps):
    clear_case(13, 97, 24, steps=steps).check()


@pytest.mark.parametrize("use", [(True, False), (False, True)])
def test_processor_with_one_output_used(use):
    clear_case(30, 200, 40).check(use)


@pytest.mark.parametrize(("nodes", "edges"), [(0, 0), (1, 0), (1, 1), (7, 97), (3, 300)])
def test_processor_sizes(nodes, edges):
    clear_case(nodes, edges, 24).check()


@pytest.mark.parametrize("hidden", WIDTHS)
@pytest.mark.parametrize("inputs", [1, 3, 61, None, "padded"])
@pytest.mark.parametrize("decode", [False, True])
def test_mlp(hidden, inputs, decode):
    """Inputs of any number: H of a decoder, and by chance that of the kernels."""
    inputs = {None: hidden, "padded": ops.padded_width(hidden, CPU)}.get(inputs, inputs)
    for seed in range(1000):
        g = torch.Generator().manual_seed(seed)
        tensors = [torch.randn(97, inputs, generator=g), *random_mlp(inputs, hidden, g, decode)]
        if clear_of_kinks(lambda: reference.mlp(tensors[0].double(), [t.double() for t in tensors[1:]])):  # noqa: B023
            break
    weight = 1 + torch.randn((97,) if decode else (97, hidden), generator=g)
    results = []
    for function, dtype in ((ops.mlp, torch.float32), (reference.mlp, torch.float64)):
        given = leaves(tensors, dtype)
        y = function(given[0], given[1:])
        results.append([y, *torch.autograd.grad((y * weight.to(dtype)).sum(), given)])
    assert_same(*results)


@pytest.mark.parametrize("hidden", [7, 24, 48, 100])
def test_bf16(hidden):
    """Rounding where the definition rounds: of a few inputs one has no number at the border of two bfloat16."""
    closest = float("inf")
    for seed in range(12):
        case = Case(14, 70, hidden, steps=2, skip=True, seed=seed)
        results = []
        for run, dtype in ((_fast_bf16, torch.float32), (_definition_bf16, torch.float64)):
            given = leaves(case.tensors, dtype)
            outputs = run(case, given)
            results.append([*outputs, *case.gradients(outputs, given)])
        closest = min(closest, max(relative_l2(a, b) for a, b in zip(*results, strict=True)))
    assert closest < 1e-5


def _fast_bf16(case, t):
    return ops.processor(*t[:4], case.topology, t[4:8], t[8:12], case.steps, "bf16")


def _definition_bf16(case, t):
    return reference.processor(*t[:4], *case.topology[:2], t[4:8], t[8:12], case.steps, "bf16")


@pytest.mark.parametrize("level", ["generic", "avx2", "avx512"])
def test_narrower_instruction_sets(level, tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    command += ["-k", "test_processor or test_mlp or test_bf16 or by_hand"]
    environment = {**os.environ, "BOTAN_FAST_SIMD": level}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# ---- bit for bit the network that is embedded in zeros by hand ------------------------------------------------------


def embedded(tensor, shape, places):
    """Zeros of `shape` but for the numbers of `tensor` at the rows and columns `places`."""
    out = torch.zeros(shape)
    out[torch.meshgrid(*places, indexing="ij")] = tensor
    return out


def by_hand(case, hidden, width):
    """The tensors of a case, and which of their rows and columns hold numbers."""

    def blocks(count):
        return torch.cat([torch.arange(hidden) + width * k for k in range(count)])

    places = []
    for k, t in enumerate(case.tensors):
        if t is None:
            places.append(None)
        elif k < 4:
            places.append((torch.arange(len(t)), blocks(1)))
        else:
            places.append((blocks(1), blocks(t.shape[1] // hidden)) if t.ndim == 2 else (blocks(1),))
    shapes = []
    for k, t in enumerate(case.tensors):
        columns = None if t is None else [n // hidden * width for n in t.shape]
        shapes.append(None if t is None else [len(t), width] if k < 4 else columns)
    whole = [None if t is None else embedded(t, s, p) for t, s, p in zip(case.tensors, shapes, places, strict=True)]
    return whole, places


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("save_memory", [False, True])
@pytest.mark.parametrize("hidden", PADDED)
def test_processor_by_hand(hidden, precision, save_memory):
    case, width = Case(31, 197, hidden, steps=5, skip=True, start=True), ops.padded_width(hidden, CPU)
    whole, places = by_hand(case, hidden, width)

    def results(tensors, weights):
        t = leaves(tensors, torch.float32)
        outputs = ops.processor(*t[:4], case.topology, t[4:8], t[8:12], 5, precision, save_memory)
        loss = sum((o * w).sum() for o, w in zip(outputs, weights, strict=True))
        return [*outputs, *torch.autograd.grad(loss, t)]

    weights = case.weight_x, case.weight_e
    found = results(case.tensors, weights)
    expected = results(whole, [ops.padding.pad_features(w, width) for w in weights])
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        place = places[2 + k] if k < 2 else places[k - 2]
        inside = b[torch.meshgrid(*place, indexing="ij")]
        assert a.shape == inside.shape
        assert torch.equal(a, inside)
        b[torch.meshgrid(*place, indexing="ij")] = 0  # what is outside has no value and no gradient
        assert b.abs().sum() == 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("hidden", PADDED)
def test_mlp_by_hand(hidden, precision):
    """A decoder: its inputs are features."""
    g, width = torch.Generator().manual_seed(0), ops.padded_width(hidden, CPU)
    tensors = [torch.randn(97, hidden, generator=g), *random_mlp(hidden, hidden, g, True)]
    shapes = [[97, width], [width, width], [width], [width, width], [width], [1, width], [1]]
    places = [[torch.arange(n) for n in t.shape] for t in tensors]
    whole = [embedded(t, s, p) for t, s, p in zip(tensors, shapes, places, strict=True)]
    results = []
    for given in (tensors, whole):
        t = leaves(given, torch.float32)
        y = ops.mlp(t[0], t[1:], precision)
        results.append([y, *torch.autograd.grad(y.square().sum(), t)])
    assert torch.equal(results[0][0], results[1][0])
    for a, b, place in zip(results[0][1:], results[1][1:], places, strict=True):
        assert torch.equal(a, b[torch.meshgrid(*place, indexing="ij")])


# ---- as torch sees them ---------------------------------------------------------------------------------------------


def test_second_derivatives():
    case = clear_case(12, 70, 24, steps=2, start=True)
    decoder = random_mlp(24, 24, torch.Generator().manual_seed(4), True)
    results = []
    for dtype in (torch.float32, torch.float64):
        t = leaves(case.tensors, dtype)
        x, e = ops.processor(*t[:4], case.topology, t[4:8], t[8:12], 2)
        y = ops.mlp(e, [w.to(dtype) for w in decoder])
        first = torch.autograd.grad(x.square().sum() + y.square().sum(), [t[3], t[4]], create_graph=True)
        results.append([*first, *torch.autograd.grad(sum(f.square().sum() for f in first), t)])
    for fast, exact in zip(*results, strict=True):
        assert relative_l2(fast, exact) < 1e-4


def test_transforms():
    case = clear_case(12, 70, 24, steps=2)
    weights = case.tensors[4:]

    def energy(e0):
        state = (None, None, case.tensors[2].to(e0.dtype), e0)
        w = [t.to(e0.dtype) for t in weights]
        return ops.processor(*state, case.topology, w[:4], w[4:], 2)[0].square().sum()

    e0 = case.tensors[3]
    direction = torch.linspace(-1, 1, e0.numel()).view_as(e0)
    for transform in (
        lambda v: torch.func.jvp(energy, (v,), (direction.to(v.dtype),))[1],
        torch.func.grad(energy),
        lambda v: torch.func.vmap(energy)(torch.stack([v, 2 * v])),
    ):
        assert relative_l2(transform(e0), transform(e0.double())) < 1e-5


@pytest.mark.parametrize("dynamic", [False, True])
def test_inside_compile(dynamic):
    case = Case(40, 300, hidden=24, steps=2)
    encoder = random_mlp(24, 24, torch.Generator().manual_seed(1))

    def function(*t):
        return case.fast([None, None, ops.mlp(t[0], encoder), *t[1:]])

    eager_in, compiled_in = (leaves(case.tensors[2:], torch.float32) for _ in range(2))
    eager = function(*eager_in)
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=dynamic)(*compiled_in)
    sum(t.sum() for t in eager).backward()
    sum(t.sum() for t in compiled).backward()
    for a, b in zip([*compiled, *(t.grad for t in compiled_in)], [*eager, *(t.grad for t in eager_in)], strict=True):
        assert torch.equal(a, b)


def test_results_do_not_depend_on_threads():
    case, before, results = Case(900, 30000, 40, steps=2), torch.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            t = leaves(case.tensors, torch.float32)
            outputs = case.fast(t)
            results.append([*outputs, *case.gradients(outputs, t)])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_zero_steps_return_the_input():
    case = Case(5, 9, 24, steps=0)
    assert case.fast(case.tensors)[0] is case.tensors[2]


def test_messages_name_the_shapes_that_were_given():
    case = Case(5, 9, 24)
    t = list(case.tensors)
    t[3] = t[3][:, :20]
    with pytest.raises(InputError, match=r"e0 has shape \(9, 20\); beside x0 \(5, 24\) it must be \(9, 24\)"):
        case.fast(t)
    t = list(case.tensors)
    t[4] = t[4][:, :70]
    with pytest.raises(InputError, match=r"W1 of MLP_e has shape \(24, 70\).* it must be \(24, 96\)"):
        case.fast(t)
    weights = random_mlp(3, 24, torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match=r"x has shape \(2, 4\) and W1 \(24, 3\)"):
        ops.mlp(torch.ones(2, 4), weights)
    with pytest.raises(InputError, match=r"W2 has shape \(23, 24\)"):
        ops.mlp(torch.ones(2, 3), [*weights[:2], weights[2][:23], weights[3]])


def test_parts_of_a_network():
    """Padded once; what does not fit together, or is done by transforms, is left as it is."""
    g = torch.Generator().manual_seed(0)
    parts = {"encoder": random_mlp(3, 24, g), "decoder": random_mlp(24, 24, g, True)}
    found = ops.prepare_weights(parts)
    assert [tuple(w.shape) for w in found["encoder"].weights] == [(32, 3), (32,), (32, 32), (32,)]
    assert [tuple(w.shape) for w in found["decoder"].weights[:1]] == [(32, 32)]
    assert found["encoder"].buffer is None
    assert ops.prepare_weights(parts, whole=False) == {}
    assert ops.prepare_weights({}) == {}
    assert ops.prepare_weights({"encoder": [w.double() for w in parts["encoder"]]}) == {}
    assert ops.prepare_weights({"encoder": random_mlp(3, 32, g)}) == {}
    assert ops.prepare_weights({**parts, "other": random_mlp(3, 20, g)}) == {}
    assert ops.prepare_weights({**parts, "decoder": random_mlp(20, 24, g, True)}) == {}
    assert torch.func.vmap(lambda x: x + len(ops.prepare_weights(parts)))(torch.zeros(2)).tolist() == [0, 0]
