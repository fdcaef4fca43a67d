"""Samples at several times become one, with a column of targets for each."""

import pytest
import torch

import botan_fast as bf
from botan_fast.data.times import join_times
from botan_fast.errors import InputError
from tests.helpers.authors_archive import write_archive
from tests.helpers.structured import several, structured

TIMES = (1.3, 13.0, 130.0)


def test_columns_are_the_targets_of_the_parts_in_ascending_order():
    parts = structured(1, TIMES)
    [joined] = join_times([parts[2], parts[0], parts[1]], [13.0, 130.0, 1.3])
    assert (joined.times, joined.time, joined.name) == (TIMES, None, "conf_1")
    assert joined.targets.num_runs == 6
    for k, part in enumerate(parts):
        assert torch.equal(joined.targets.propensity[:, k], part.targets.propensity)
        assert torch.equal(joined.targets.pair_change[:, k], part.targets.pair_change)
    assert joined.targets.local_strain is None
    assert joined.graph is parts[2].graph


def test_configurations_stay_apart_and_in_order():
    samples = several((3, 1, 2), times=TIMES[:2])
    mixed = [samples[k] for k in (0, 3, 1, 4, 2, 5)]
    assert [sample.name for sample in join_times(mixed, TIMES[:2])] == ["conf_3", "conf_1", "conf_2"]
    one, other = structured(1, (1.3,), temperature=0.44), structured(1, (13.0,), temperature=0.5)
    assert [s.temperature for s in join_times([*one, *other], TIMES[:2])] == [0.44, 0.5]


def test_a_time_that_a_configuration_lacks_is_nan():
    first, second = structured(1, TIMES), structured(2, TIMES)[1:2]
    joined = join_times([*first, *second], TIMES)[1]
    known = torch.tensor([False, True, False])
    for values in (joined.targets.propensity, joined.targets.pair_change):
        assert torch.equal(values.isnan().all(0), ~known)
        assert torch.equal(values.isnan().any(0), ~known)
    assert torch.equal(joined.targets.propensity[:, 1], second[0].targets.propensity)


def test_pairs_within_the_cutoff_by_rounding_alone():
    """The second file's graph lacks the two edges of one pair: their E is unknown there, all others are in place."""
    one, two = structured(1, TIMES[:2])
    x, graph = one.positions, one.graph
    longest = graph.vectors.norm(dim=1).max().item()
    smaller = bf.build_graph(x, one.types, graph.box, cutoff=longest * (1 - 1e-6))
    assert smaller.num_edges == graph.num_edges - 2
    targets = bf.isoconfigurational_targets(x, x + torch.rand(1, *x.shape, dtype=torch.float64), smaller)
    [joined] = join_times([one, bf.Sample(smaller, targets, "b", x, time=two.time)], TIMES[:2])
    column = joined.targets.pair_change[:, 1]
    assert column.isnan().sum() == 2
    assert torch.equal(column[~column.isnan()], targets.pair_change)
    edges = {(int(a), int(b)): float(e) for a, b, e in zip(graph.senders, graph.receivers, column, strict=True)}
    for a, b, e in zip(smaller.senders, smaller.receivers, targets.pair_change, strict=True):
        assert edges[int(a), int(b)] == float(e)


def test_what_only_some_parts_hold_is_none():
    one, two = structured(1, TIMES[:2])
    more = bf.isoconfigurational_targets(one.positions, one.positions[None] + 0.1, one.graph, which="SEC")
    [joined] = join_times([bf.Sample(one.graph, more, "a", one.positions, time=1.3), two], TIMES[:2])
    assert joined.targets.relative_propensity is None
    assert not joined.has_node_target("C")
    assert joined.has_pair_targets


def test_samples_of_a_data_set_are_made_on_demand(tmp_path):
    write_archive(tmp_path / "files", tags=[1, 7])
    samples = bf.load_samples(bf.convert(tmp_path / "files/*.npz", tmp_path / "a.h5"), time=[0.13, 4120])
    joined = join_times(samples, [0.13, 4120])
    assert [sample.name for sample in joined] == ["isoconfig_N80T0.44_1", "isoconfig_N80T0.44_2"]
    assert all(sample.on_file and sample.has_pair_targets for sample in joined)
    assert not joined[0].has_node_target("C")
    assert joined[0].num_runs == 6
    for k in (0, 1):
        assert torch.equal(joined[1].targets.propensity[:, k], samples[2 + k].targets.propensity)


@pytest.mark.parametrize(
    ("samples", "times", "message"),
    [
        (structured(1, TIMES), TIMES[:2], r"sample conf_1 has time = 130\.0; join samples with targets at 1\.3, 13"),
        (structured(1), TIMES, r"has time = None"),
        (structured(1, TIMES), [], r"times = \[\] is empty"),
        (structured(1, (1.3, 1.3)), TIMES, r"the same configuration twice at time 1\.3: conf_1 and conf_1"),
    ],
)
def test_what_cannot_be_joined(samples, times, message):
    with pytest.raises(InputError, match=message):
        join_times(samples, times)


def test_a_sample_without_targets():
    [sample] = structured(1, (1.3,))
    bare = bf.Sample(sample.graph, None, "bare", sample.positions, time=1.3)
    with pytest.raises(InputError, match="bare has no targets"):
        join_times([bare], [1.3])


def test_on_another_device_it_has_its_times_still():
    [joined] = join_times(structured(1, TIMES), TIMES)
    assert joined.to("cpu").times == TIMES
