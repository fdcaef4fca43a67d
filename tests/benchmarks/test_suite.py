"""The models that botan_fast is measured against compute the same function; the report makes the right table."""

import copy
import json

import pytest
import torch

import botan_fast as bf
from benchmarks import inputs, machine, report, run
from benchmarks.peers import authors
from benchmarks.peers.split import SplitBOTAN
from botan_fast.bench import floor
from botan_fast.bench.synthetic import dense_liquid
from botan_fast.physics.kob_andersen import DENSITY

NUMBER = 100


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """On a busy machine the threads of torch would spend their time waiting for each other on arrays this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def problem():
    found = inputs.problem(NUMBER)
    inputs.problem.cache_clear()
    return found


def lively_model(decoders):
    """BOTAN whose features spread: torch's own initial weights leave little of them after seven steps."""
    ours = inputs.model(decoders)
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            parameter.mul_(1.5 if name.endswith("weight") else 3.0)
    return ours


def spread_error(a, b):
    """Relative L2 norm of a - b, by the spread of b."""
    a, b = a.detach().double(), b.detach().double()
    return float((a - b).norm() / (b - b.mean()).norm())


@pytest.mark.parametrize("decoders", ["shared", "separate"])
@pytest.mark.parametrize("other", [authors.AuthorsBOTAN, SplitBOTAN])
def test_model_agrees_with_independent_writing(problem, decoders, other):
    """Predictions, loss and the gradient of every weight, against float64 of the other."""
    ours = lively_model(decoders)
    theirs = other(decoders=decoders)
    theirs.load_state_dict(ours.state_dict())
    theirs.double()
    by_sender = other is authors.AuthorsBOTAN
    data = (problem.inputs if by_sender else problem.sorted_inputs).to(torch.float64)
    order = problem.graph.reverse.long() if by_sender else slice(None)

    prediction = ours(problem.graph)
    node, edge = theirs(data)
    assert spread_error(prediction.node, node) < 1e-5
    assert spread_error(prediction.edge[order], edge) < 1e-5

    loss = authors.loss_of(prediction.node, prediction.edge, problem.targets.propensity, problem.targets.pair_change)
    expected = authors.loss_of(node, edge, data.propensity, data.pair_change)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        error = float((parameter.grad.double() - gradients[name]).norm() / gradients[name].norm())
        assert error < 1e-4, f"{name}: {error}"


def test_authors_and_split_agree_in_float64(problem):
    first = authors.AuthorsBOTAN().double()
    second = SplitBOTAN().double()
    second.load_state_dict(first.state_dict())
    data = problem.inputs.to(torch.float64)  # both take edges in any order
    for a, b in zip(first(data), second(data), strict=True):
        assert spread_error(a, b) < 1e-11


def test_training_step_follows_the_recipe(problem):
    """botan_fast and the authors' sequence take the same steps."""
    ours = lively_model("shared")
    theirs = authors.AuthorsBOTAN()
    theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
    data, targets = problem.inputs, problem.targets
    losses = []
    for model, predict, wanted in (
        (ours, lambda: ours(problem.graph), (targets.propensity, targets.pair_change)),
        (theirs, lambda: theirs(data), (data.propensity, data.pair_change)),
    ):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
        losses.append([authors.training_step(predict, optimizer, *wanted) for _ in range(4)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][-1] < losses[0][0]


def test_loading_agrees_with_distance_matrix(problem):
    [sample], theirs = bf.load_samples(problem.path), authors.load(problem.path)
    order = sample.graph.reverse.long()
    assert torch.equal(sample.graph.edge_index[:, order], theirs.edge_index)
    for ours, expected in (
        (sample.graph.vectors[order], theirs.vectors),
        (sample.graph.types.float()[:, None], theirs.types),
        (sample.targets.propensity, theirs.propensity),
        (sample.targets.pair_change[order], theirs.pair_change),
    ):
        torch.testing.assert_close(ours, expected, rtol=0, atol=2e-6)


def test_synthetic_configuration_is_a_dense_liquid():
    arrays = dense_liquid(4096)
    length = (4096 / DENSITY) ** (1 / 3)
    graph = bf.build_graph(arrays["initial_positions"], arrays["types"], [length] * 3)
    assert graph.num_edges == pytest.approx(166_484, rel=0.005)  # a configuration of the authors
    assert graph.vectors.norm(dim=1).min() > 0.75
    assert arrays["initial_positions"].min() >= 0
    assert arrays["initial_positions"].max() < length


def test_floor():
    """Hand count for one node, one edge, H = 1, one step, D = 1: 8 multiply-adds per edge, 11 per node."""
    assert floor.forward_flops(1, 1, hidden=1, steps=1, dimensions=1) == 2 * (8 + 11)
    assert floor.training_flops(1, 1, hidden=1, steps=1, dimensions=1) == 6 * (8 + 11) - 4
    assert floor.forward_flops(4096, 166_484) == pytest.approx(26e9, rel=0.02)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", "intel-xeon-gold-6338"),
        ("AMD EPYC 9654 96-Core Processor", "amd-epyc-9654"),
        ("Apple M2 Pro", "apple-m2-pro"),
    ],
)
def test_device_names(model, expected):
    assert machine.slug(model) == expected


def entry(operation, implementation, seconds, **facts):
    """As pytest-benchmark writes them."""
    sizes = {} if operation in ("copy", "matrix_product") else {"particles": 4096, "edges": 1000, "input": "synthetic"}
    extra = {"operation": operation, "implementation": implementation, "threads": 2} | sizes | facts
    stats = {"median": seconds, "iqr": 0.01, "min": seconds, "max": seconds, "rounds": 7, "mean": seconds}
    return {"extra_info": extra, "stats": stats}


@pytest.fixture
def record():
    large = {"particles": 8192, "edges": 2000, "per_edge": 5.5e-4}
    timings = [
        entry("copy", "torch", 0.5, bytes=10_000_000_000),
        entry("matrix_product", "torch", 0.1, flops=20_000_000_000),
        entry("training_step", "botan_fast", 0.5, flops=75_000_000_000),
        entry("training_step", "authors", 4.0, flops=75_000_000_000),
        entry("training_step", "pyg", 3.9, flops=75_000_000_000),
        entry("training_step", "split", 2.5, flops=75_000_000_000),
        entry("neighbor_list", "botan_fast", 0.004),
        entry("neighbor_list", "vesin", 0.014),
        entry("loading", "authors", 1.9),  # without ours: no row
        entry("training_step_by_threads", "botan_fast", 0.5, one_thread_median=0.95, speedup=1.9),
        entry("training_step_by_size", "botan_fast", 1.1, flops=150_000_000_000, **large, over_reference=1.1),
        entry("inference_by_size", "botan_fast", 0.2, **(large | {"per_edge": 1e-4}), over_reference=1.05),
    ]
    memory = {"operation": "training_step", "particles": 4096, "threads": 2, "start_bytes": 1}
    return {
        "date": "2026-01-02",
        "machine": {"cpu": "A CPU", "cores": 2, "simd": "avx512"},
        "threads": 2,
        "versions": {"torch": "2.13.0", "botan_fast": "0.1.0"},
        "commit": "0123456789abcdef+changes",
        "memory": [
            memory | {"implementation": "botan_fast", "peak_bytes": 800_000_000},
            memory | {"implementation": "authors", "peak_bytes": 2_400_000_000},
            {
                "operation": "training_step_by_size",
                "implementation": "botan_fast",
                "particles": 8192,
                "threads": 2,
                "peak_bytes": 1_500_000_000,
            },
        ],
        "profile": [
            {
                "particles": 4096,
                "threads": 2,
                "precision": "fp32",
                "wall": 0.5,
                "parts": {"backward: edge_backward": 0.3},
            },
            {
                "particles": 4096,
                "threads": 1,
                "precision": "fp32",
                "wall": 1.0,
                "parts": {"backward: edge_backward": 0.58, "Adam": 0.001},
            },
        ],
    } | run.summarize(timings)


def test_summary(record):
    assert record["ceilings"] == {"copy_bytes_per_second": 2e10, "matrix_product_flops_per_second": 2e11}
    assert record["timings"][0]["fraction_of_floor"] == pytest.approx(0.75)
    found = {(r["operation"], r["implementation"]): r["over_botan_fast"] for r in record["ratios"]}
    assert found == pytest.approx(
        {
            ("training_step", "authors"): 8.0,
            ("training_step", "pyg"): 7.8,
            ("training_step", "split"): 5.0,
            ("neighbor_list", "vesin"): 3.5,
        }
    )


def test_table(record):
    lines = report.table(record, "a-2026-01-02.json").splitlines()
    assert lines[2:5] == [
        "| training step | 4.00 s | PyTorch Geometric 3.90 s (7.8×); split weights in torch 2.50 s (5.0×) | 500 ms "
        "| **8.0×** | 75 % |",
        "| neighbour list |  | vesin 14.0 ms (3.5×) | 4.00 ms |  |  |",
        "| peak memory, training step | 2.40 GB |  | 0.80 GB | **3.0×** |  |",
    ]
    assert len(lines) == 7
    for part in (
        "Medians of 7 rounds",
        "2 threads of A CPU",
        "AVX-512",
        "at 0123456+changes",
        "200 GFLOP/s",
        "20 GB/s",
    ):
        assert part in lines[6]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.99949, "999 ms"), (0.9996, "1.00 s"), (12.34, "12.3 s"), (0.0099999, "10.0 ms")]
)
def test_durations(seconds, shown):
    assert report.duration(seconds) == shown


def marked(marker, text):
    return f"<!-- {marker}:begin -->\n{text}<!-- {marker}:end -->\n"


def test_report_writes_and_checks_the_files(record, tmp_path):
    result, readme, docs = tmp_path / "a-2026-01-02.json", tmp_path / "README.md", tmp_path / "docs"
    docs.mkdir()
    performance = docs / "performance.md"
    result.write_text(json.dumps(record))
    readme.write_text(f"before\n\n{marked('benchmark', 'old')}\nafter\n")
    marks = ("operations", "threads", "sizes", "profile")
    performance.write_text("".join(f"{name}\n{marked(name, 'old')}" for name in marks))
    arguments = [str(result), "--root", str(tmp_path)]
    with pytest.raises(SystemExit, match=r"is not what a-2026-01-02\.json gives"):
        report.main([*arguments, "--check"])
    report.main(arguments)
    report.main([*arguments, "--check"])
    text = readme.read_text()
    assert text.startswith("before\n\n<!-- benchmark:begin -->\n| |")
    assert text.endswith("\n<!-- benchmark:end -->\n\nafter\n")
    assert "| training step | 4.00 s | 500 ms | **8.0×** |\n" in text
    assert "| peak memory, training step | 2.40 GB | 0.80 GB | **3.0×** |\n" in text
    assert "neighbour list" not in text
    assert "PyTorch Geometric" not in text
    shown = performance.read_text()
    for line in (
        "| neighbour list |  | vesin 14.0 ms (3.5×) | 4.00 ms |  |  |",
        "| training step | 2 | 950 ms | 500 ms | 1.90× |",
        "| 8,192 | 2,000 | 1.10 s | 550 µs | 1.10 | 68 % | 1.50 GB | 200 ms | 100 µs | 1.05 |",
        "| backward: edges | 300 ms (60.0 %) | 580 ms (58.0 %) |",
        "| Adam |  | 1.00 ms (0.1 %) |",
        "| **all** | **500 ms** | **1.00 s** |",
    ):
        assert line in shown
    for file, (old, new) in ((readme, ("500 ms", "400 ms")), (performance, ("1.90×", "1.95×"))):
        good = file.read_text()
        file.write_text(good.replace(old, new))
        with pytest.raises(SystemExit, match="is not what"):
            report.main([*arguments, "--check"])
        file.write_text(good)
    performance.write_text("no markers")
    with pytest.raises(SystemExit, match=r"docs/performance\.md must hold"):
        report.main(arguments)


def test_report_of_a_narrow_processor(record, tmp_path, monkeypatch):
    """Its tables stand beside those of the wide one, and neither replaces the other."""
    monkeypatch.setattr(report, "RESULTS", tmp_path / "benchmarks/results")
    report.RESULTS.mkdir(parents=True)
    wide, narrow = report.RESULTS / "a-2026-01-02.json", report.RESULTS / "a-avx2-2026-01-03.json"
    wide.write_text(json.dumps(record))
    machine_of_narrow = record["machine"] | {"simd": "avx2", "simd_forced": True}
    narrow.write_text(json.dumps(record | {"date": "2026-01-03", "machine": machine_of_narrow}))
    readme, performance = tmp_path / "README.md", tmp_path / "docs/performance.md"
    performance.parent.mkdir()
    readme.write_text(marked("benchmark", "old"))
    marks = ("operations", "threads", "sizes", "profile", "operations-avx2", "profile-avx2")
    performance.write_text("".join(marked(name, "old") for name in marks))
    monkeypatch.setattr(report.gpu, "choose", lambda *_: None)
    monkeypatch.setattr(report.gpu, "block", lambda _: "none")
    readme.write_text(readme.read_text() + marked(report.gpu.MARKER, "old"))
    report.main(["--root", str(tmp_path)])
    report.main(["--root", str(tmp_path), "--check"])
    assert "a-avx2" not in readme.read_text()
    long, short = performance.read_text().split("<!-- operations-avx2:begin -->")
    short = short.split("<!-- operations-avx2:end -->")[0]
    assert "(2 cores, AVX-512)" in long
    assert "a-avx2" not in long
    assert "AVX2 alone, torch too, of the wider ones that it has" in short
    assert "training step" in short
    assert "neighbour list" not in short
    assert performance.read_text().count("From [a-2026-01-02.json]") == 4
    assert performance.read_text().count("From [a-avx2-2026-01-03.json]") == 2
    narrow.write_text(narrow.read_text().replace('"wall": 0.5', '"wall": 0.6'))
    with pytest.raises(SystemExit, match=r"docs/performance\.md is not what a-avx2"):
        report.main(["--root", str(tmp_path), "--check"])


def test_a_run_with_a_narrower_set_begins_again(monkeypatch):
    """Libraries choose their instructions when they are loaded."""

    class Begun(Exception):
        pass

    def begin(program, arguments):
        raise Begun(program, arguments)

    monkeypatch.setattr(run.os, "execv", begin)
    monkeypatch.setattr(run.os, "environ", {})
    with pytest.raises(Begun) as begun:
        run.main(["--simd", "avx2", "--quick"])
    assert begun.value.args[1][1:] == ["-m", "benchmarks.run", "--simd", "avx2", "--quick"]
    assert run.os.environ["BOTAN_FAST_SIMD"] == run.os.environ["ATEN_CPU_CAPABILITY"] == "avx2"


def test_report_chooses_the_result(record, tmp_path):
    old, new = tmp_path / "b-2026-01-02.json", tmp_path / "a-2026-01-03.json"
    old.write_text(json.dumps(record))
    new.write_text(json.dumps(record | {"date": "2026-01-03"}))
    readme = "From [b-2026-01-02.json](benchmarks/results/b-2026-01-02.json)."
    assert report.choose(readme, tmp_path, check=True) == old
    assert report.choose(readme, tmp_path, check=False) == new
    with pytest.raises(SystemExit, match="no result"):
        report.choose("", tmp_path / "empty", check=False)


def test_accuracy_of_each_precision():
    from benchmarks.accuracy import measure

    rows = {row["precision"]: row for row in measure(128)}
    for name in ("node_relative_l2", "edge_relative_l2", "gradient_relative_l2"):
        assert 0 < rows["fp32"][name] < 1e-5 < rows["bf16"][name] < 0.1


def test_what_save_memory_saves():
    from benchmarks.save_memory import measure

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so that the eight processes run side by side where there are several cores
    try:
        rows = {row["precision"]: row for row in measure((128, 1024), rounds=1)}
    finally:
        torch.set_num_threads(threads)
    for row in rows.values():
        assert row["seconds"] > 0
        assert row["time_ratio"] > 0
        assert row["bytes_per_particle_save_memory"] < row["bytes_per_particle"]


def test_a_record_on_disk(tmp_path):
    from benchmarks.machine import write_record

    path = write_record(tmp_path / "new", results=[1, 2])
    record = json.loads(path.read_text())
    assert record["results"] == [1, 2]
    assert path.name.endswith(f"-{record['date']}.json")
    assert {"machine", "versions", "commit"} <= record.keys()
