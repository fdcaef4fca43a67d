"""One model for several times, an output for each: in the loss, in the history, on the card; several temperatures."""

import csv
import json

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.data.times import join_times
from botan_fast.errors import InputError
from tests.helpers.authors_archive import warned, write_archive
from tests.helpers.runs import FAST, assert_same_run
from tests.helpers.structured import several

TIMES = [0.13, 13.0, 4120.0]
PER_TIME = [f"{end}_pearson[t={time:g}]" for end in ("node", "edge") for time in TIMES]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    write_archive(folder / "train", configurations=(1, 2, 3), tags=[1, 3, 7])
    write_archive(folder / "test", configurations=(5, 6), tags=[1, 3, 7])
    return folder


def train(archive, **options):
    data = archive / "train/*.npz", archive / "test/*.npz"
    return bf.train(*data, time=TIMES[::-1], **{**FAST, "epochs": 3, "target_scaling": True, **options})


@pytest.fixture(scope="module")
def result(archive, tmp_path_factory):
    return train(archive, output=tmp_path_factory.mktemp("times") / "run")


def test_an_output_for_each_time_in_ascending_order(archive, result):
    assert result.model.config["num_outputs"] == 3
    assert result.model.card.times == tuple(TIMES)
    assert result.model.card.num_configurations == 3
    samples = bf.load_samples(archive / "train/*.npz", time=4120)
    types = np.concatenate([s.types for s in samples])
    propensity = np.concatenate([s.targets.propensity.numpy() for s in samples])
    for species in (0, 1):
        mean = propensity[types == species].mean()
        assert result.model.node_output_mean[2, species].item() == pytest.approx(mean, rel=1e-5)


def test_the_history_has_means_and_each_time(archive, result):
    row = result.history[-1]
    for end in ("node", "edge"):
        each = [row[f"{end}_pearson[t={time:g}]"] for time in TIMES]
        assert len(set(each)) == 3
        assert row[f"{end}_pearson"] == pytest.approx(np.mean(each))
    [sample, *_] = samples = bf.load_samples(archive / "test/*.npz", time=13.0)
    chosen = sample.types == 0
    expected = []
    for one in samples:
        with torch.no_grad():
            node = result.model(one.graph).node[:, 1]
        expected.append(np.corrcoef(node[chosen], one.targets.propensity[chosen])[0, 1])
    assert row["node_pearson[t=13]"] == pytest.approx(np.mean(expected), rel=1e-4)
    with open(result.output / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert set(PER_TIME) <= set(rows[0])
    assert float(rows[-1]["node_pearson[t=13]"]) == row["node_pearson[t=13]"]
    assert rows[1]["node_pearson[t=13]"] == ""  # no evaluation there


def test_every_time_counts_alike(archive):
    """With target scaling a fresh model has a loss of about 1, whatever the widths of the targets."""
    first = train(archive, epochs=1, learning_rate=1e-12).history[0]
    assert first["train_node_loss"] == pytest.approx(1, abs=0.3)
    assert first["test_loss"] > 0.1
    assert train(archive, epochs=1, target_scaling=False).history[0]["test_loss"] < 0.1


def test_resume_is_bitwise_and_knows_its_times(archive, result, tmp_path):
    train(archive, epochs=1, output=tmp_path / "run")
    assert_same_run(train(archive, output=tmp_path / "run", resume=True), result)
    assert json.loads((result.output / "config.json").read_text())["times"] == TIMES
    data = archive / "train/*.npz", archive / "test/*.npz"
    options = {**FAST, "epochs": 3, "target_scaling": True, "output": result.output, "resume": True}
    with pytest.raises(InputError, match=r"num_outputs = 2 differs from the run in '.*', which has num_outputs = 3"):
        bf.train(*data, time=TIMES[:2], **options)


def test_one_of_a_list_is_one_output(archive):
    [one, number] = (bf.train(archive / "train/*.npz", time=t, **FAST, epochs=1) for t in ([13.0], 13.0))
    assert one.model.config["num_outputs"] == 1
    assert_same_run(one, number)


def test_a_configuration_without_one_of_the_times(archive, tmp_path):
    """Its other times are learnt from; what it lacks is no target of 0, nor NaN."""
    samples = bf.load_samples(archive / "train/*.npz", time=TIMES)
    joined = join_times(
        [s for s in samples if not (s.time == 4120 and s.name.startswith("isoconfig_N80T0.44_1"))], TIMES
    )
    result = bf.train(joined, **FAST, epochs=2, target_scaling=True, output=tmp_path / "run")
    assert all(value.isfinite().all() for value in result.model.state_dict().values())
    propensity = torch.cat([s.targets.propensity[s.graph.types == 0, 2] for s in joined[1:]])
    assert result.model.node_output_mean[2, 0].item() == pytest.approx(propensity.mean().item(), rel=1e-5)
    resumed = bf.train(joined, **FAST, epochs=3, target_scaling=True, output=tmp_path / "run", resume=True)
    assert len(resumed.history) == 3


def test_samples_of_other_times_do_not_mix():
    two, three = (join_times(several((seed,), times=times), times) for seed, times in ((1, (1.3, 13.0)), (2, (1.3,))))
    with pytest.raises(InputError, match=r"conf_2 has targets at 1\.3, but conf_1 at 1\.3, 13; join all samples"):
        bf.train(two, three, **FAST, epochs=1)
    single = bf.train(several((1,)), **FAST, epochs=1).model
    with pytest.raises(InputError, match="init has num_outputs = 1, but the data are of 2 times"):
        bf.train(two, **{**FAST, "hidden_size": None, "num_steps": None}, epochs=1, init=single)


def test_given_samples_of_several_times_are_mixed_with_a_word(archive):
    """From files, each time is an output of its own, and there is nothing to say."""
    samples, said = warned(lambda: bf.load_samples(archive / "train/*.npz", time=[0.13, 4120]))
    mixed, said_again = warned(lambda: bf.train(samples, **FAST, epochs=1))
    assert said == said_again
    assert said[0].startswith("two times are mixed in one target: 0.13, 4120; a model is for one")
    apart, said = warned(lambda: bf.train(archive / "train/*.npz", time=[0.13, 4120], **FAST, epochs=1))
    assert said == []
    assert [result.model.config["num_outputs"] for result in (mixed, apart)] == [1, 2]


def test_the_validation_part_has_them_too(archive):
    result = bf.train(archive / "train/*.npz", time=TIMES, **FAST, epochs=1, validation=1)
    row = result.history[-1]
    assert row["validation_loss"] > 0
    assert {f"validation_{name}" for name in PER_TIME} <= set(row)
    assert row["validation_node_pearson[t=13]"] is not None
    assert row["node_pearson"] is None


def test_temperatures_together_from_files(tmp_path):
    for temperature, seed in (("0.44", 1), ("0.50", 2)):
        write_archive(tmp_path / "train", temperature, (seed,), [7])
    options = {**FAST, "epochs": 1, "temperature": [0.44, 0.5], "time": None}
    result, said = warned(lambda: bf.train(tmp_path / "train/*T0.4*.npz", **{**options, "temperature": [0.44]}))
    assert said == []
    times = {s.time for s in bf.load_samples(tmp_path / "train/*.npz", temperature=[0.44, 0.5], time=[217, 4120])}
    assert times == {217.0, 4120.0}
    result = bf.train(
        tmp_path / "train/*.npz", **{**options, "time": [217, 4120]}, node_inputs=("species", "temperature")
    )
    assert result.model.card.temperatures == (0.44, 0.5)
    assert result.model.node_input_mean.tolist() == pytest.approx([0, 0, 0.47])
    assert result.model.config["num_outputs"] == 2
