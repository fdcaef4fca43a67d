"""botan-fast bench --device cuda without a GPU: the CPU stands in for it, by a clock that is made up."""

import json

import pytest
import torch

from botan_fast.bench import benchmark, gpu
from botan_fast.bench.clock import Clock, matmul_precision
from botan_fast.bench.floor import gpu_bytes, gpu_floor, training_flops
from botan_fast.bench.table import table
from botan_fast.cli import main
from tests.helpers.command_line import error_line

SIZE = 128
TICK = 250.0  # microseconds that everything takes


def fake_timer(run):
    run()
    return TICK


def stand_in():
    return Clock("cpu", fake_timer, most=2)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # they would wait for each other on arrays this small
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def record():
    return gpu.benchmark_gpu(SIZE, clock=stand_in())


def test_the_record(record):
    rows = {(r["operation"], r["implementation"], r["precision"], r["captured"]): r for r in record["rows"]}
    assert len(rows) == len(record["rows"]) == 2 + 1 + 2 * (6 + 1)
    for operation in ("inference", "training_step"):
        for precision in gpu.PRECISIONS:
            assert {(operation, "botan_fast", precision, captured) for captured in (False, True)} < rows.keys()
        assert (operation, "plain_torch", "fp32", False) in rows
    edges = record["edges"]
    row = rows["training_step", "botan_fast", "bf16", True]
    assert row["median"] == pytest.approx(TICK * 1e-6)
    assert row["edge_steps_per_second"] == pytest.approx(7 * edges / (TICK * 1e-6))
    floor = gpu_floor(record["ceilings"], gpu_bytes(edges, True, "bf16"), training_flops(SIZE, edges), "bf16")
    assert row["fraction_of_floor"] == pytest.approx(floor / (TICK * 1e-6))
    assert record["date"]
    json.dumps(record)


def test_the_table(record):
    lines = table(record).splitlines()
    assert "of the floor" in lines[3]
    for title in ("graph, CUDA graph", "training step, tf32, CUDA graph", "inference, bf16", "targets from 32 runs"):
        [line] = [line for line in lines if line.startswith(f"{title}  ")]
        assert "0.25 ms" in line
    [line] = [line for line in lines if line.startswith("training step, fp32, CUDA graph")]
    assert line.endswith("1.0x")
    assert lines[-1].startswith("copy: ")


def test_a_step_is_that_of_training():
    """Loss, clipping and Adam in the form that can be captured give the weights of the CPU's step."""
    task, weights = benchmark.problem(SIZE), []
    for make in (benchmark.training_step, gpu.training_step):
        model = benchmark.untrained()
        step = make(model, benchmark.fused(model, task.graph, "fp32"), task.targets)
        losses = [float(step()) for _ in range(3)]
        assert losses[2] < losses[0]
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    moved = weights[0] - torch.cat([p.detach().flatten() for p in benchmark.untrained().parameters()])
    assert (weights[1] - weights[0]).norm() < 1e-3 * moved.norm()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("build_graph", "build_graph gives other edges"),
        ("fused", "node predictions in fp32 of botan_fast"),
        ("isoconfigurational_targets", "targets on the device are not those of the CPU"),
    ],
)
def test_wrong_results_are_not_timed(monkeypatch, name, message):
    right, clock = getattr(gpu, name), stand_in()

    def wrong(*arguments, **options):
        if name == "fused":
            return lambda: tuple(out * (1 + 0.05 * torch.rand_like(out)) for out in right(*arguments)())
        if name == "build_graph":
            return right(*arguments, cutoff=0.99 * options["cutoff"])
        found = right(*arguments, **options)
        found.pair_change.mul_(1.01)
        return found

    monkeypatch.setattr(gpu, name, wrong)
    monkeypatch.setattr(clock, "measure", lambda *_: pytest.fail("it was timed"))
    with pytest.raises(gpu.BenchmarkError, match=message.replace("edges", "senders")):
        gpu.benchmark_gpu(SIZE, clock=clock)


def test_mistakes(capsys, monkeypatch):
    if not torch.cuda.is_available():
        message = error_line(["bench", "--device", "cuda"], capsys)
        assert "--device = 'cuda' but torch" in message
        assert "finds no CUDA device; use --device cpu" in message
    assert "--device = 'warp'" in error_line(["bench", "--device", "warp"], capsys)
    with pytest.raises(gpu.InputError, match="size = 50; give at least 100"):
        gpu.benchmark_gpu(50, clock=stand_in())
    clock = stand_in()
    monkeypatch.setattr(clock, "free_bytes", lambda: 1e9)
    with pytest.raises(gpu.InputError, match="needs about 2 GB of device memory and 1 GB are free; give at most 6666"):
        gpu.benchmark_gpu(10_000, clock=clock)


def test_a_build_without_kernels(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "choose_device", torch.device)
    monkeypatch.setattr(gpu, "CUDA_KERNELS", None)
    assert "has no CUDA kernels for it; install with -C" in error_line(["bench", "--device", "cuda"], capsys)
    assert "leave it out to measure the CPU" in error_line(["bench", "--device", "meta"], capsys)


def test_a_gpu_that_the_kernels_cannot_run_on(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "choose_device", torch.device)
    monkeypatch.setattr(gpu, "CUDA_KERNELS", object())
    monkeypatch.setattr(gpu, "kernels_for", lambda device: None)
    message = error_line(["bench", "--device", "cuda"], capsys)
    assert "has compute capability below 8.0, which the CUDA kernels need; leave it out to measure the CPU" in message


def test_the_command_prints_and_writes(monkeypatch, tmp_path, capsys, record):
    """What the command hands on, and what it does with the record."""
    seen = []
    monkeypatch.setattr(
        gpu, "benchmark_gpu", lambda size, device, progress: seen.append((size, device, progress)) or record
    )
    file = tmp_path / "gpu.json"
    assert main(["bench", "--device", "cuda:0", "--size", "300", "--quiet", "--json", str(file)]) == 0
    assert seen == [(300, "cuda:0", None)]
    assert json.loads(file.read_text()) == record
    assert table(record) in capsys.readouterr().out


def test_the_cache_is_flushed_by_reading():
    """What is written would be written back inside of the timed run."""
    clock = Clock("cpu")
    clock.flush(4096)
    buffer = clock._flushed
    assert buffer.nbytes == 4096
    for _ in range(3):
        clock.flush(4096)
    assert clock._flushed is buffer
    assert buffer._version == 0  # nothing wrote into it
    assert bool((buffer == 1).all())


def test_the_precision_of_torch_is_put_back():
    assert torch.get_float32_matmul_precision() == "highest"
    seen = []

    def body():
        with matmul_precision("high"):
            seen.append(torch.get_float32_matmul_precision())
            raise KeyError

    with pytest.raises(KeyError):
        body()
    assert seen == ["high"]
    assert torch.get_float32_matmul_precision() == "highest"


def test_bytes_of_bf16_are_fewer():
    """One (E, 64) array is 256 bytes an edge in float32, half of that where it is stored as bfloat16."""
    assert gpu_bytes(1, False, "fp32") == 256 * 25
    assert gpu_bytes(1, True, "tf32") == 256 * 75
    assert gpu_bytes(1, True, "bf16") == 256 * (19 + 57 / 2)


def test_floor():
    ceilings = {"copy": 4e12, "float32": 50e12, "tf32": 300e12, "bf16": 600e12}
    assert gpu_floor(ceilings, 4e9, 1, "fp32") == pytest.approx(1e-3)  # memory
    assert gpu_floor(ceilings, 1, 1e11, "fp32") == pytest.approx(1e-3)  # three tf32 products
    assert gpu_floor(ceilings | {"tf32": 60e12}, 1, 1e11, "fp32") == pytest.approx(2e-3)  # float32 units
    assert gpu_floor(ceilings, 1, 3e11, "tf32") == pytest.approx(1e-3)
    assert gpu_floor(ceilings, 1, 6e11, "bf16") == pytest.approx(1e-3)
