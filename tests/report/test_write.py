"""write_report: what the page says, from files of runs that may be anybody's."""

import json
import re
from base64 import b64encode
from hashlib import sha256

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import BotanFastError, InputError
from botan_fast.report.drawings import drawings
from botan_fast.report.pictures import picture
from botan_fast.report.results import results_of
from botan_fast.report.runs import read_run
from botan_fast.report.write import write_report
from tests.helpers.pages import read_page
from tests.helpers.runs import FAST
from tests.report.conftest import NAME


@pytest.fixture(scope="module")
def page(report_file):
    return read_page(report_file)


def shown(number, form=".3f"):
    """As the page has it."""
    return f"{number:{form}}".replace("-", "−")


def test_scores_are_those_of_evaluate(page, run_folder, tiny_data):
    scores = bf.evaluate(run_folder, str(tiny_data / "test/*.npz"))
    for name in ("node_pearson", "edge_pearson"):
        assert shown(scores[name]) in page.text
    assert "Means over 2 configurations" in page.text


def test_ceiling_and_heterogeneity_are_there(page, run_folder, tiny_data):
    scores = bf.evaluate(run_folder, str(tiny_data / "test/*.npz"))
    assert f"ceiling {shown(scores['ceiling']['node'])}" in page.text
    assert f"means over {scores['ceiling']['runs']} runs" in page.text
    assert shown(scores["heterogeneity"]["chi_4"]["actual"], "#.3g") in page.text
    assert any("correlation of S of two particles" in image["alt"] for image in page.all("img"))


def test_windows_have_rows(run_folder, tmp_path):
    page = read_page(write_report(run_folder, tmp_path / "r.html", windows=[0, 1.1, 1.35]))
    assert "A-A pairs, 1.1 ≤ r < 1.35 σ" in page.text
    assert "--windows 0 1.1 1.35" in page.text


def test_arrows_are_the_field_of_the_runs(run_folder, tiny_data, tmp_path):
    """Where the files hold runs; a data set does not."""
    results = results_of(read_run(run_folder))
    file = np.load(tiny_data / "test/conf_20.npz")
    graph = results.samples[0].graph
    runs = bf.local_displacement_field(file["initial_positions"], file["positions"], graph)
    np.testing.assert_allclose(results.field, runs.mean(0), atol=1e-6)
    [text] = [p.caption for p in drawings(read_run(run_folder), results) if p.title == "Propensity in a slice"]
    assert "local displacement field" in text
    bf.convert(str(tiny_data / "test/*.npz"), tmp_path / "test.h5", time=1.0, progress=False)
    assert results_of(read_run(run_folder), tmp_path / "test.h5").field is None
    assert results_of(read_run(run_folder), results.samples).field is None


def test_it_says_what_was_trained_on_what(page, run_folder, tiny_data):
    for text in ("propensity and pair changes (p = 0.4)", str(tiny_data / "train/*.npz"), "conf_20, conf_21"):
        assert text in page.text
    assert f"botan_fast {bf.__version__}" in page.text


def test_the_command_is_that_of_run_toml(page, run_folder):
    first = (run_folder / "run.toml").read_text().splitlines()[1].removeprefix("#").strip()
    assert first.startswith("botan-fast train --config")
    assert first in page.text
    assert "learning_rate = 0.001" in page.text  # run.toml itself


def test_nothing_is_loaded_and_nothing_else_may_run(page):
    assert page.all("link") == []
    sources = [attributes[name] for _, attributes in page.tags for name in ("src", "srcset") if name in attributes]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert all(attributes["href"].startswith("#") for attributes in page.all("a"))
    [policy] = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    code = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    assert len(code) == 1
    [allowed] = re.findall(r"script-src '(\S+)'", policy)
    assert allowed == f"sha256-{b64encode(sha256(code[0].encode()).digest()).decode()}"
    assert "default-src 'none'" in policy


def test_names_of_strangers_are_text(page, report_file):
    assert NAME in page.text
    assert {attributes.get("type") for attributes, _ in page.scripts} == {"application/json", None}
    assert "<script>alert" not in report_file.read_text()


def test_hostile_configurations_and_options_are_text(tiny_data, run_folder, tmp_path):
    evil = "</script><img src=x onerror=alert(1)>"
    arrays = dict(np.load(tiny_data / "test/conf_20.npz"))
    np.savez(tmp_path / "a.npz", **arrays)
    [sample] = bf.load_samples(tmp_path / "a.npz")
    sample.name = evil
    path = write_report(run_folder, tmp_path / "report.html", data=[sample], title=evil, command=evil)
    page = read_page(path)
    assert evil in page.text
    assert [image for image in page.all("img") if "onerror" in image] == []
    assert "</script><img" not in path.read_text()


def test_pictures_have_a_text_and_a_dark_half(page):
    images = page.all("img")
    assert len(images) >= 4  # curves, S, E, slices
    assert all(len(image["alt"]) > 20 for image in images)
    dark = page.all("source")
    assert len(dark) == len(images)
    assert all(source["media"] == "screen and (prefers-color-scheme: dark)" for source in dark)


def test_the_same_run_gives_the_same_page(run_folder, report_file, tmp_path):
    again = write_report(run_folder, report_file.with_name("again.html"))
    assert again.read_text().replace("again.html", "report.html") == report_file.read_text()


def test_it_is_small(report_file):
    assert report_file.stat().st_size < 3_000_000


def test_several_runs_are_compared(run_folder, tiny_data, tmp_path, monkeypatch):
    titles = []

    def kept(drawn, *texts):
        titles.extend(ax.get_title(loc="left").partition("\n")[0] for ax in (drawn if isinstance(drawn, tuple) else ()))
        return picture(drawn, *texts)

    monkeypatch.setattr("botan_fast.report.drawings.picture", kept)
    settings = bf.DescriptorSettings(
        groups=["radial"], geometry="thermal", radial_centres=[1.0, 1.3], averages=0, smear_lengths=[]
    )
    files = str(tiny_data / "train/*.npz"), str(tiny_data / "test/*.npz")
    fit = bf.train_baseline(
        *files, descriptors=settings, edge_inputs=["radial"], output=tmp_path / "linear", progress=False
    )
    page = read_page(write_report([run_folder, tmp_path / "linear"], tmp_path / "report.html"))
    assert "Pearson of each run" in page.text
    assert f"linear {shown(fit.scores['node_pearson'])}" in page.text
    assert [a["href"] for a in page.all("a")] == ["#content", "#run-1", "#run-2"]
    assert len(page.all("canvas")) == 2
    named = [title.split(",")[0] for title in titles if title and title != "simulation" and "error" not in title]
    assert named == ["BOTAN", "BOTAN", "linear baseline", "linear baseline"]  # S and E in a slice, of each run


def test_without_test_data_it_says_so(tiny_data, tmp_path):
    bf.train(str(tiny_data / "train/*.npz"), epochs=1, output=tmp_path / "run", **FAST)
    page = read_page(write_report(tmp_path / "run", tmp_path / "report.html"))
    assert "No test data: the run names none" in page.text
    assert page.all("canvas") == []
    assert len(page.all("img")) == 1  # the curves
    train, test = (bf.load_samples(tiny_data / f"{part}/*.npz") for part in ("train", "test"))
    bf.train(train, test, epochs=1, output=tmp_path / "memory", **FAST)
    page = read_page(write_report(tmp_path / "memory", tmp_path / "report.html"))
    assert "objects in Python, which run.toml cannot hold" in page.text
    assert "Not in run.toml, to be given besides: train, test." in page.text


def test_weights_of_the_package_have_no_folder(tmp_path):
    text = read_page(write_report("ka-t0.44-tau", tmp_path / "r.html")).text
    assert "ka-t0.44-tau, which comes with botan_fast" in text
    assert str(tmp_path) not in text.split("This page:")[0]


def test_a_run_that_is_not_finished_says_so(tiny_data, tmp_path):
    files = str(tiny_data / "train/*.npz"), str(tiny_data / "test/*.npz")
    bf.train(*files, epochs=1, output=tmp_path / "run", **FAST)
    config = json.loads((tmp_path / "run/config.json").read_text())
    config["settings"]["epochs"] = 5
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    assert "not finished: 1 of 5 epochs" in read_page(write_report(tmp_path / "run", tmp_path / "r.html")).text


def test_a_model_with_several_times(tiny_data, tmp_path):
    sets = {}
    for part, names in (("train", ("conf_1", "conf_2")), ("test", ("conf_20",))):
        sets[part] = tmp_path / f"{part}.h5"
        for name in names:
            arrays = dict(np.load(tiny_data / f"{part}/{name}.npz"))
            x, moved = arrays["initial_positions"], arrays["positions"]
            for time, scale in ((1.0, 0.5), (4.0, 1.0)):
                np.savez(tmp_path / f"{name}.npz", **{**arrays, "positions": x + scale * (moved - x)})
                append = sets[part].exists()
                bf.convert(tmp_path / f"{name}.npz", sets[part], time=time, append=append, progress=False)
    options = {"time": [1.0, 4.0], "epochs": 1, "output": tmp_path / "run", **FAST}
    run = bf.train(sets["train"], sets["test"], **options)
    assert run.model.card.times == (1.0, 4.0)
    page = read_page(write_report(tmp_path / "run", tmp_path / "report.html"))
    [view] = [json.loads(text) for a, text in page.scripts if a.get("id") == "view-1"]
    assert [field["label"] for field in view["fields"]] == ["t = 1", "t = 4"]
    assert "Pearson, by temperature and time" in page.text


# ---- mistakes -------------------------------------------------------------------------------------------------------


def test_test_data_that_are_gone(tiny_data, tmp_path):
    (tmp_path / "test.npz").write_bytes((tiny_data / "test/conf_20.npz").read_bytes())
    bf.train(str(tiny_data / "train/*.npz"), tmp_path / "test.npz", epochs=1, output=tmp_path / "run", **FAST)
    (tmp_path / "test.npz").unlink()
    with pytest.raises(InputError, match=r"its test data cannot be used \(.*test\.npz.*\); give data"):
        write_report(tmp_path / "run", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
    assert write_report(tmp_path / "run", tmp_path / "report.html", data=str(tiny_data / "test/*.npz")).exists()


def test_only_a_report_is_written_over(tmp_path):
    other = tmp_path / "index.html"
    other.write_text("<p>mine</p>")
    with pytest.raises(InputError, match="exists and is no report of botan_fast"):
        write_report("ka-t0.44-tau", other)
    assert other.read_text() == "<p>mine</p>"
    write_report("ka-t0.44-tau", other, force=True)
    write_report("ka-t0.44-tau", other)  # now it is one


@pytest.mark.parametrize(
    ("runs", "output", "message"),
    [
        ([], "a.html", "runs is empty; give at least one run folder"),
        ("missing", "a.html", "'missing' does not exist; give a run folder, or a model file"),
        ("ka-t0.44-tau", "", "is not the name of a file"),
        ("ka-t0.44-tau", "missing/a.html", "folder 'missing' does not exist"),
    ],
)
def test_mistakes_are_said_in_one_line(runs, output, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        write_report(runs, output)
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.toml", b"p = [["),
        ("run.toml", b"\xff\xfe"),
        ("run.toml", b"objects = 3\n"),
        ("config.json", b"[1, 2"),
        ("baseline.json", b"[]"),
        ("baseline.json", b"[" * 100_000),
    ],
)
def test_broken_files_of_a_run_are_said_in_one_line(run_folder, tmp_path, name, content):
    folder = tmp_path / "run"
    folder.mkdir()
    for file in run_folder.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    (folder / name).write_bytes(content)
    with pytest.raises(BotanFastError) as raised:
        write_report(folder, tmp_path / "report.html")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "report.html").exists()
