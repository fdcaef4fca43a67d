"""precision="bf16": against its definition, against float64, bitwise repeatable, and through training and commands."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast import ops
from botan_fast.cli import main
from botan_fast.errors import InputError
from botan_fast.ops import reference
from tests.helpers.processor_case import Case, leaves
from tests.helpers.random_graphs import cosine, random_mlp, relative_l2
from tests.helpers.tiny_data import TINY

# A number at the border between two bfloat16 goes to either side with the last bit of a float32 sum: a step of 2^-8,
# which may carry a ReLU across its kink. Such a number is rare, a wrong result is not: one of a few random inputs must
# agree with the definition to the rounding of float32, and all of them roughly.
DEFINITION, BORDER, TRIALS = 1e-5, 0.1, 12  # relative L2 of outputs and gradients
# Rounding to 8 bits moves ReLUs across their kink: random weights and inputs are the worst case, see docs/precision.md.
OUTPUT, GRADIENT = 2e-2, 0.25


class Bf16Case(Case):
    def fast(self, t):
        return ops.processor(*t[:4], self.topology, t[4:8], t[8:12], self.steps, "bf16")

    def definition(self, t):
        return reference.processor(*t[:4], *self.topology[:2], t[4:8], t[8:12], self.steps, "bf16")

    def results(self, function, dtype):
        inputs = leaves(self.tensors, dtype)
        outputs = function(inputs)
        return [*outputs, *self.gradients(outputs, inputs)]


def test_rounding_of_the_definition():
    """To nearest, ties to even; each of the three products of a layer, and no bias."""
    x = torch.tensor([[1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-9]], dtype=torch.float64, requires_grad=True)
    weight = torch.eye(3, dtype=torch.float64).requires_grad_()
    bias = torch.full((3,), 2.0**-9, dtype=torch.float64, requires_grad=True)
    y = reference.linear(x, weight, bias, "bf16")
    assert (y - 2.0**-9).tolist() == [[1.0, 1 + 2**-6, 1.0]]
    gradient = torch.tensor([[1 + 2**-9, 0.0, 0.0]], dtype=torch.float64)
    grad_x, grad_weight, grad_bias = torch.autograd.grad(y, [x, weight, bias], gradient)
    assert grad_x.tolist() == [[1.0, 0.0, 0.0]]
    assert grad_weight[0].tolist() == [1.0, 1 + 2**-6, 1.0]
    assert grad_bias[0] == 1 + 2**-9


def difference(found, expected):
    """Largest relative L2 of any tensor."""
    assert all(a.dtype == torch.float32 and a.shape == b.shape for a, b in zip(found, expected, strict=True))
    return max((relative_l2(a, b) for a, b in zip(found, expected, strict=True) if b.numel()), default=0.0)


def assert_by_definition(pairs):
    """`pairs` gives results of the fast path and of the definition for one random input after the other."""
    smallest = float("inf")
    for found, expected in pairs:
        smallest = min(smallest, difference(found, expected))
        if smallest < DEFINITION:
            return
        assert difference(found, expected) < BORDER
    raise AssertionError(f"the fast path differs from the definition by at least {smallest}")


@pytest.mark.parametrize("hidden", [16, 32, 48, 64, 96, 128])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("start", [False, True])
def test_processor(hidden, skip, start):
    def pairs():
        for seed in range(TRIALS):
            case = Bf16Case(14, 70, hidden, steps=2, skip=skip, start=start, seed=seed)
            yield case.results(case.fast, torch.float32), case.results(case.definition, torch.float64)

    assert_by_definition(pairs())


@pytest.mark.parametrize("steps", [1, 3])
def test_processor_against_float64(steps):
    case = Bf16Case(61, 487, steps=steps)
    found, exact = case.results(case.fast, torch.float32), case.results(case.exact, torch.float64)
    assert 1e-4 < difference(found[:2], exact[:2]) < OUTPUT  # it does round
    assert difference(found, exact) < GRADIENT


@pytest.mark.parametrize(
    ("nodes", "edges"), [(0, 0), (1, 0), (1, 1), (2, 96), (7, 97), (100, 191), (40, 3), (3, 300), (20, 1100)]
)
def test_processor_sizes(nodes, edges):
    def pairs():
        for seed in range(2 * TRIALS):
            case = Bf16Case(nodes, edges, steps=1 if edges > 500 else 2, seed=seed)
            yield case.results(case.fast, torch.float32), case.results(case.definition, torch.float64)

    assert_by_definition(pairs())


@pytest.mark.parametrize("inputs", [1, 3, 5, 64])
@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 97, 301])
def test_mlp(inputs, decode, rows):
    def results(function, dtype, precision):
        t = leaves(tensors, dtype)
        y = function(t[0], t[1:], precision)
        return [y, *torch.autograd.grad((y * weight.to(dtype)).sum(), t)]

    def pairs():
        nonlocal tensors, weight
        for seed in range(TRIALS):
            g = torch.Generator().manual_seed(seed)
            tensors = [torch.randn(rows, inputs, generator=g), *random_mlp(inputs, 64, g, decode)]
            weight = 1 + torch.randn((rows,) if decode else (rows, 64), generator=g)
            yield results(ops.mlp, torch.float32, "bf16"), results(reference.mlp, torch.float64, "bf16")

    tensors = weight = None
    assert_by_definition(pairs())
    found, exact = results(ops.mlp, torch.float32, "bf16"), results(reference.mlp, torch.float64, "fp32")
    if rows > 1:  # a single number may cancel
        assert difference(found[:1], exact[:1]) < OUTPUT
        assert min(cosine(a, b) for a, b in zip(found, exact, strict=True)) > 0.97


@pytest.mark.parametrize("level", ["generic", "avx2", "avx512"])
def test_narrower_instruction_sets(level, tmp_path):
    """Emulation on older processors: the same tests against the definition."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "processor or mlp"]
    environment = {**os.environ, "BOTAN_FAST_SIMD": level}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_bitwise_repeatable_for_any_number_of_threads():
    case = Bf16Case(900, 30000, steps=2, seed=3)
    before = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 5, 2):
            torch.set_num_threads(count)
            results.append(case.results(case.fast, torch.float32))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_without_gradients_the_result_is_the_same():
    case = Bf16Case(90, 2000, steps=4)
    with torch.no_grad():
        alone = case.fast(case.tensors)
    kept = case.fast(leaves(case.tensors, torch.float32))
    assert all(torch.equal(a, b) for a, b in zip(alone, kept, strict=True))


def test_nan_is_not_hidden():
    case = Bf16Case(10, 60)
    case.tensors[3][0, 0] = float("nan")
    x, e = case.fast(case.tensors)
    assert x.isnan().any()
    assert e.isnan().any()


def test_opcheck():
    case = Bf16Case(12, 70, hidden=32, steps=2)
    t = leaves(case.tensors, torch.float32)
    torch.library.opcheck(torch.ops.botan_fast.processor, (*t[:4], case.topology, t[4:], 2, True, 1, False))
    x, *weights = leaves([torch.randn(9, 3), *random_mlp(3, 32, torch.Generator().manual_seed(2), True)], torch.float32)
    torch.library.opcheck(torch.ops.botan_fast.mlp, (x, weights, 1))


def test_model_and_layer():
    torch.manual_seed(0)
    positions = np.random.default_rng(0).random((90, 3)) * 4.3
    graph = bf.build_graph(positions, np.arange(90) % 2, np.full(3, 4.3))
    model = bf.BOTAN()
    exact, rounded = model.double()(graph), model.float()(graph, precision="bf16")
    for a, b in zip(rounded, exact, strict=True):
        assert 1e-6 < relative_l2(a, b) < 1e-2
    layer = bf.BOTANLayer()
    x, e = torch.randn(90, 64), torch.randn(graph.num_edges, 64)
    for found in (graph, graph.edge_index):
        assert difference(layer(x, e, x, e, found, precision="bf16"), layer(x, e, x, e, found)) < OUTPUT


def test_larger_sizes_run_in_the_definition():
    case = Bf16Case(20, 100, hidden=129)
    for a, b in zip(case.fast(case.tensors), case.definition(case.tensors), strict=True):
        assert torch.equal(a, b)


def test_refused_values(tiny_data, tiny_model):
    message = r"precision = 'fp8'; choose one of 'fp32', 'bf16'"
    with pytest.raises(InputError, match=message):
        bf.MLP(3, 64)(torch.randn(2, 3), precision="fp8")
    with pytest.raises(InputError, match=message):
        ops.processor(None, None, torch.zeros(1, 64), torch.zeros(0, 64), [], [], [], 1, "fp8")
    with pytest.raises(InputError, match=message):
        bf.train(tiny_data / "train/*.npz", precision="fp8", progress=False)
    for function in (bf.evaluate, bf.predict):
        with pytest.raises(InputError, match=message):
            function(tiny_model, tiny_data / "test/*.npz", precision="fp8")


def test_training_and_resume(tiny_data, tmp_path):
    options = {"test": tiny_data / "test/*.npz", "progress": False, "precision": "bf16", **TINY}
    data = tiny_data / "train/*.npz"
    whole = bf.train(data, epochs=4, **options)
    bf.train(data, epochs=2, output=tmp_path / "run", **options)
    resumed = bf.train(data, epochs=4, output=tmp_path / "run", resume=True, **options)
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True))
    assert json.loads((tmp_path / "run/config.json").read_text())["settings"]["precision"] == "bf16"
    with pytest.raises(
        InputError, match=r"precision = 'fp32' differs from the run in '.*', which has precision = 'bf16'"
    ):
        bf.train(data, epochs=5, output=tmp_path / "run", resume=True, **{**options, "precision": "fp32"})
    single = bf.train(data, epochs=4, **{**options, "precision": "fp32"})
    losses = [result.history[-1]["train_loss"] for result in (whole, single)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_runs_without_a_record_of_precision_are_fp32(tiny_data, tmp_path):
    options = {"progress": False, "output": tmp_path, **TINY}
    bf.train(tiny_data / "train/*.npz", epochs=1, **options)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    del config["settings"]["precision"]
    file.write_text(json.dumps(config))
    bf.train(tiny_data / "train/*.npz", epochs=2, resume=True, **options)
    with pytest.raises(InputError, match="precision = 'bf16' differs"):
        bf.train(tiny_data / "train/*.npz", epochs=3, resume=True, precision="bf16", **options)


def test_commands(tiny_data, tiny_model_file, tmp_path, capsys):
    data = ["--data", str(tiny_data / "test/conf_20.npz"), "--model", str(tiny_model_file), "--quiet"]
    scores = []
    for precision in ("fp32", "bf16"):
        assert main(["evaluate", *data[:-1], "--json", "--precision", precision]) == 0
        scores.append(json.loads(capsys.readouterr().out.splitlines()[-1])["node_loss"])
        assert main(["predict", *data, "-o", str(tmp_path / f"{precision}.npz"), "--precision", precision]) == 0
    predicted = [np.load(tmp_path / f"{p}.npz")["propensity"] for p in ("fp32", "bf16")]
    assert scores[0] != scores[1]
    assert scores[0] == pytest.approx(scores[1], rel=0.02)
    assert 0 < np.linalg.norm(predicted[0] - predicted[1]) < 0.02 * np.linalg.norm(predicted[0])
    capsys.readouterr()
    assert main(["evaluate", *data, "--precision", "half"]) == 2
    assert "precision = 'half'" in capsys.readouterr().err


def test_what_is_slow_is_said_once(tiny_data, monkeypatch):
    monkeypatch.setattr("botan_fast.ops.precision._warned", set())
    monkeypatch.setattr("botan_fast.ops.precision._core.simd_level", lambda: "avx2")
    options = {"epochs": 1, "num_steps": 1, "progress": False}
    bf16 = {"hidden_size": 32, "precision": "bf16", **options}
    with pytest.warns(bf.BotanFastWarning, match="no faster than 'fp32' on this processor, .* it saves memory"):
        bf.train(tiny_data / "train/*.npz", **bf16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bf.train(tiny_data / "train/*.npz", **bf16)
    with pytest.warns(UserWarning, match="hidden_size = 129 runs in plain torch, slowly; there are kernels up to 128"):
        bf.train(tiny_data / "train/*.npz", hidden_size=129, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for hidden in (7, 32, 48):
            bf.train(tiny_data / "train/*.npz", hidden_size=hidden, **options)


def test_a_width_is_not_read_as_decode():
    with pytest.raises(TypeError):
        bf.MLP(3, 64, 64)
