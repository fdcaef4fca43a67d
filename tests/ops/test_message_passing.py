"""The compiled operations against their definition in float64, with all gradients, and as torch operators."""

import os
import subprocess
import sys

import pytest
import torch

import botan_fast as bf
from botan_fast import ops
from botan_fast.errors import InputError
from botan_fast.ops import reference
from tests.helpers.processor_case import Case, assert_same, clear_case, clear_of_kinks, leaves
from tests.helpers.random_graphs import random_mlp


@pytest.mark.parametrize("hidden", [16, 32, 48, 64, 96, 128])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("start", [False, True])
def test_processor(hidden, skip, start):
    clear_case(61, 487, hidden, skip=skip, start=start).check()


@pytest.mark.parametrize(
    ("nodes", "edges"),
    [(0, 0), (1, 0), (1, 1), (2, 1), (2, 96), (7, 97), (200, 191), (40, 3), (3, 1100), (130, 1536)],
)
def test_processor_sizes(nodes, edges):
    """No node, no edge, empty receivers, hubs, and edge counts on, below and above the tile."""
    clear_case(nodes, edges).check()


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_processor_steps(steps):
    clear_case(30, 150, steps=steps, symmetric=True).check()


@pytest.mark.parametrize("use", [(True, False), (False, True)])
def test_processor_with_one_output_used(use):
    clear_case(50, 600).check(use)


def test_zero_steps_return_the_input():
    case = Case(5, 9, steps=0)
    x, e = case.fast(case.tensors)
    assert x is case.tensors[2]
    assert e is case.tensors[3]


def test_processor_takes_strided_inputs():
    case = Case(30, 200, start=True)
    strided = [t if t is None else t.t().contiguous().t() if t.ndim == 2 else t for t in case.tensors]
    for a, b in zip(case.fast(strided), case.fast(case.tensors), strict=True):
        assert torch.equal(a, b)


def test_without_gradients_the_result_is_the_same():
    case = Case(90, 2000, steps=4)
    with torch.no_grad():
        quiet = case.fast(case.tensors)
    kept = case.fast(leaves(case.tensors, torch.float32))
    for a, b in zip(quiet, kept, strict=True):
        assert torch.equal(a, b)


def test_two_backward_passes_agree():
    case = Case(90, 2000)
    inputs = leaves(case.tensors, torch.float32)
    loss = sum(o.square().sum() for o in case.fast(inputs))
    present = [t for t in inputs if t is not None]
    first = torch.autograd.grad(loss, present, retain_graph=True)
    second = torch.autograd.grad(loss, present)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_bitwise_independent_of_threads(threads):
    case = Case(900, 30000, seed=3)
    results = []
    for count in (1, 2, 5, 2):
        threads(count)
        inputs = leaves(case.tensors, torch.float32)
        outputs = case.fast(inputs)
        results.append([*outputs, *case.gradients(outputs, inputs)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("save_memory", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_arrays_with_a_capacity_beyond_the_edges(precision, save_memory):
    """The same bits as without room; results and gradients of the rows beyond are zero, whatever stands there."""
    case = Case(40, 700, start=True, symmetric=True)
    x, e, x0, e0, *weights = leaves(case.tensors, torch.float32)
    number, room = e0.shape[0], e0.shape[0] + 300
    filled = [torch.cat([t.detach(), t.new_full((300, 64), torch.nan)]).requires_grad_() for t in (e, e0)]
    wide = [t if len(t) != number else torch.cat([t, t.new_zeros(300)]) for t in case.topology]
    results = []
    for edges, topology in (((e, e0), case.topology), (filled, wide)):
        inputs = [x, edges[0], x0, edges[1], *weights]
        outputs = ops.processor(*inputs[:4], topology, weights[:4], weights[4:], 5, precision, save_memory)
        present = outputs[0].sum() + outputs[1][:number].square().sum()
        results.append([*outputs, *torch.autograd.grad(present, inputs)])
    for want, got in zip(*results, strict=True):
        assert torch.equal(got[: len(want)], want)
        assert len(got) in (len(want), room)
        assert not got[len(want) :].any()


def test_nan_is_not_hidden():
    case = Case(10, 60)
    case.tensors[3][0, 0] = float("nan")
    x, e = case.fast(case.tensors)
    assert x.isnan().any()
    assert e.isnan().any()


@pytest.mark.parametrize("level", ["generic", "avx2"])
def test_narrower_instruction_sets(level, tmp_path):
    """The same tests with the instruction set of an older processor."""
    environment = {**os.environ, "BOTAN_FAST_SIMD": level}
    names = "test_processor or test_mlp"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        __file__,
        "-k",
        f"({names}) and not sets",
    ]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    probe = "from botan_fast import _core; print(_core.simd_level())"
    found = subprocess.run([sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() in (level, "generic")  # a machine without AVX2 has nothing but generic


@pytest.mark.parametrize("hidden", [16, 32, 48, 64, 96, 128])
@pytest.mark.parametrize("inputs", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 97, 1300])
def test_mlp(hidden, inputs, decode, rows):
    for seed in range(1000):
        g = torch.Generator().manual_seed(seed)
        tensors = [torch.randn(rows, inputs, generator=g), *random_mlp(inputs, hidden, g, decode)]
        if clear_of_kinks(lambda: reference.mlp(tensors[0].double(), [t.double() for t in tensors[1:]])):  # noqa: B023
            break
    else:
        raise AssertionError("no input without a ReLU at its kink")
    weight = 1 + torch.randn((rows,) if decode else (rows, hidden), generator=g)  # sums that do not cancel
    results = []
    for function, dtype in ((ops.mlp, torch.float32), (reference.mlp, torch.float64)):
        inputs_ = leaves(tensors, dtype)
        y = function(inputs_[0], inputs_[1:])
        results.append([y, *torch.autograd.grad((y * weight.to(dtype)).sum(), inputs_)])
    assert_same(*results)


def test_larger_sizes_and_other_dtypes_run_in_the_reference():
    case = Case(20, 100, hidden=129)
    for a, b in zip(case.fast(case.tensors), case.exact(case.tensors), strict=True):
        assert torch.equal(a, b)
    double = [None if t is None else t.double() for t in Case(20, 100).tensors]
    assert Case(20, 100).fast(double)[0].dtype == torch.float64


def test_gradcheck_of_the_reference():
    case = Case(4, 9, hidden=3, start=True, skip=True, steps=2, seed=8)
    inputs = leaves(case.tensors, torch.float64)
    assert torch.autograd.gradcheck(lambda *t: case.fast(t), inputs)
    weights = [t.double().requires_grad_() for t in random_mlp(2, 3, torch.Generator().manual_seed(0), True)]
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *t: ops.mlp(t[0], t[1:]), (x, *weights))


# ---- as torch operators -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [False, True])
def test_opcheck_processor(start):
    case = Case(12, 70, hidden=32, start=start, steps=2)
    t = leaves(case.tensors, torch.float32)
    torch.library.opcheck(torch.ops.botan_fast.processor, (*t[:4], case.topology, t[4:], 2, True, 0, False))
    torch.library.opcheck(
        torch.ops.botan_fast.processor, (*case.tensors[:4], case.topology, case.tensors[4:], 2, False, 0, False)
    )


@pytest.mark.parametrize("decode", [False, True])
def test_opcheck_mlp(decode):
    g = torch.Generator().manual_seed(2)
    tensors = leaves([torch.randn(9, 3, generator=g), *random_mlp(3, 32, g, decode)], torch.float32)
    torch.library.opcheck(torch.ops.botan_fast.mlp, (tensors[0], tensors[1:], 0))


def transposed(t):
    """The same numbers, column by column."""
    return t if t.ndim < 2 else t.t().contiguous().t()


def test_opcheck_of_strided_tensors():
    """What is made is dense, for tracers too, however the inputs lie."""
    check, library = torch.library.opcheck, torch.ops.botan_fast
    case = Case(6, 30, hidden=32, start=True)
    t = [transposed(x) for x in case.tensors]
    check(library.processor, (*t[:4], case.topology, t[4:], 2, True, 0, False))
    outputs = library.processor(*t[:4], case.topology, t[4:], 2, True, 0, False)
    kept, grads = [outputs[0], *outputs[2:]], [transposed(outputs[0]), transposed(outputs[1])]
    check(library.processor_backward, (*t[:4], case.topology, t[4:], 2, kept, *grads, 0, False))
    g = torch.Generator().manual_seed(0)
    x, weights = transposed(torch.randn(9, 32, generator=g)), [transposed(w) for w in random_mlp(32, 32, g)]
    y = library.mlp(x, weights, 0)
    check(library.mlp_backward, (x, weights, y, transposed(y), True, 0))


def test_opcheck_sums():
    values = torch.randn(6, 3, requires_grad=True)
    row_ptr = torch.tensor([0, 2, 2, 6])
    torch.library.opcheck(torch.ops.botan_fast.segment_sum, (values, row_ptr))
    torch.library.opcheck(torch.ops.botan_fast.segment_expand, (torch.randn(3, 3, requires_grad=True), row_ptr, 6))
    torch.library.opcheck(torch.ops.botan_fast.scatter_sum, (values, torch.tensor([0, 3, 3, 1, 0, 0]), 5))


def test_inside_compile():
    case = Case(40, 300, hidden=32, steps=2)
    g = torch.Generator().manual_seed(1)
    encoder = random_mlp(32, 32, g)

    def function(*t):
        x, e = case.fast([None, None, ops.mlp(t[0], encoder), t[1], *t[2:]])
        return x, e, ops.segment_sum(e, case.topology[2])

    eager_in, compiled_in = (leaves(case.tensors[2:], torch.float32) for _ in range(2))
    eager = function(*eager_in)
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")(*compiled_in)
    assert_same(compiled, [t.double() for t in eager])
    sum(t.sum() for t in eager).backward()
    sum(t.sum() for t in compiled).backward()
    assert_same([t.grad for t in compiled_in], [t.grad.double() for t in eager_in])


# ---- sums ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("index_dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("width", [(), (1,), (7,), (64,), (3, 5)])
def test_sums(dtype, index_dtype, width):
    g = torch.Generator().manual_seed(0)
    nodes, edges = 83, 1009
    index = torch.randint(nodes // 2, (edges,), generator=g).sort().values * 2  # odd rows stay empty
    values = torch.randn(edges, *width, generator=g, dtype=torch.float64).to(dtype)
    row_ptr = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(index, minlength=nodes).cumsum(0)])
    exact = torch.zeros(nodes, *width, dtype=torch.float64)
    for k in range(edges):
        exact[index[k]] += values[k].double()
    by_segment = bf.segment_sum(values, row_ptr.to(index_dtype))
    shuffle = torch.randperm(edges, generator=g)
    by_scatter = bf.scatter_sum(values[shuffle], index[shuffle].to(index_dtype), nodes)
    for found in (by_segment, by_scatter):
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), exact, rtol=2e-7, atol=1e-7 if dtype == torch.float32 else 1e-13)


def test_sums_gradients():
    values = torch.randn(7, 2, dtype=torch.float64, requires_grad=True)
    row_ptr, index = torch.tensor([0, 0, 3, 7]), torch.tensor([2, 0, 2, 4, 4, 0, 2])
    for function in (lambda v: bf.segment_sum(v, row_ptr), lambda v: bf.scatter_sum(v, index, 5)):
        assert torch.autograd.gradcheck(function, values)
        assert torch.autograd.gradgradcheck(function, values)


def test_half_precision_sums_run_in_torch():
    values = torch.ones(4, 2, dtype=torch.bfloat16)
    assert bf.segment_sum(values, torch.tensor([0, 4])).tolist() == [[4, 4]]
    assert bf.scatter_sum(values, torch.tensor([1, 1, 0, 1]), 2).tolist() == [[1, 1], [3, 3]]


@pytest.mark.parametrize(
    ("row_ptr", "message"),
    [
        (torch.tensor([0, 3]), "must equal the 4 rows"),
        (torch.tensor([1, 4]), "row_ptr\\[0\\] = 1 must be 0"),
        (torch.tensor([0, 3, 2, 4]), "is smaller than row_ptr\\[1\\] = 3"),
        (torch.tensor([0.0, 4.0]), "float32"),
        (torch.tensor([], dtype=torch.int64), "row_ptr is empty"),
    ],
)
def test_segment_sum_refuses(row_ptr, message):
    with pytest.raises(InputError, match=message):
        bf.segment_sum(torch.ones(4, 2), row_ptr)


@pytest.mark.parametrize(
    ("index", "dim_size", "message"),
    [
        (torch.tensor([0, 1, 5]), 5, "5"),
        (torch.tensor([0, -1, 1]), 5, "-1"),
        (torch.tensor([0, 1]), 5, "index has 2 entries and values 3 rows"),
        (torch.tensor([0, 1, 2]), -1, "dim_size = -1"),
    ],
)
def test_scatter_sum_refuses(index, dim_size, message):
    with pytest.raises(ValueError, match=message):
        bf.scatter_sum(torch.ones(3, 2), index, dim_size)


def test_operators_are_registered_once():
    """Torch warns of a kernel that takes the place of another, on every import."""
    command = [sys.executable, "-W", "error", "-c", "import botan_fast.ops"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""
