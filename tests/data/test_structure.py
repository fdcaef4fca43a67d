"""Graphs with what a model reads: it equals the functions of physics, is minimised once, and turns with the system."""

import functools
import pickle

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.data import making
from botan_fast.data.loading import read_samples
from botan_fast.data.times import join_times
from botan_fast.errors import BotanFastWarning, DataError, InputError
from botan_fast.graph.images import minimum_image
from botan_fast.graph.pairs import pair_list
from botan_fast.physics.inherent import energy_and_forces
from tests.helpers.records import make_record, write

NUMBER, EDGE = 160, (160 / 1.2) ** (1 / 3)
BOX = np.full(3, EDGE)
SETTINGS = bf.DescriptorSettings(
    radial_centres=[0.9, 1.1, 1.4], bond_orders=[4, 6], bond_shells=[(1.0, 0.15)], averages=1, average_radius=1.5,
    smear_lengths=[0.5], smear_radius=2.0, num_species=2,
)  # fmt: skip
ALL = ("descriptors", "energy", "displacement", "thermal_energy", "force", "mean_energy", "temperature", "diameter")


@functools.cache
def liquid(seed=0):
    """Positions near a minimum, as those of a cold liquid are, and types."""
    rng = np.random.default_rng(seed)
    cells = np.stack(np.meshgrid(*[np.arange(6)] * 3, indexing="ij"), -1).reshape(-1, 3)
    sites = rng.permutation(cells)[:NUMBER] + 0.5 + rng.uniform(-0.2, 0.2, (NUMBER, 3))
    types = np.arange(NUMBER) % 5 // 4
    return bf.inherent_structure(sites * EDGE / 6, types, BOX).positions + rng.normal(0, 0.05, (NUMBER, 3)), types


def make_sample(seed=0, targets=True, **more):
    x, types = liquid(seed)
    graph = bf.build_graph(x, types, BOX)
    runs = x + 0.1 * np.random.default_rng(seed + 100).standard_normal((4, NUMBER, 3))
    made = bf.isoconfigurational_targets(x, runs, graph) if targets else None
    return bf.Sample(graph, made, f"liquid{seed}", torch.from_numpy(x), 0.5, 13.0, **more)


def minimum(sample):
    return bf.inherent_structure(sample.positions, sample.types, BOX)


@pytest.fixture
def counted(monkeypatch):
    calls = []

    def count(*arguments, **options):
        calls.append(arguments)
        return bf.inherent_structure(*arguments, **options)

    monkeypatch.setattr(making, "inherent_structure", count)
    return calls


def test_arrays_are_those_of_physics():
    sample = make_sample(arrays={"charge": np.arange(NUMBER), "pressure": 2.5, "cage": np.ones((NUMBER, 3))})
    structure = bf.Structure((*ALL, "charge", "pressure", "cage"), True, descriptors=SETTINGS)
    graph = bf.with_structure(sample, structure).graph
    found = minimum(sample)
    x = sample.positions.numpy()
    wanted = {
        "descriptors": bf.descriptors(
            x, sample.types, BOX, inherent=found, potential=bf.KOB_ANDERSEN, settings=SETTINGS
        )[0],
        "energy": found.energy,
        "displacement": np.linalg.norm(found.positions - x, axis=1),
        "thermal_energy": bf.potential_energy(x, sample.types, BOX),
        "force": np.linalg.norm(energy_and_forces(x, sample.types, BOX)[1], axis=1),
        "mean_energy": np.full(NUMBER, found.energy.mean()),
        "temperature": np.full(NUMBER, 0.5),
        "diameter": np.where(sample.types == 0, 1.0, 0.88),
        "charge": np.arange(NUMBER),
        "pressure": np.full(NUMBER, 2.5),
        "cage": np.ones((NUMBER, 3)),
    }
    assert list(graph.arrays) == list(structure.arrays)
    for name, array in wanted.items():
        assert graph.arrays[name].dtype == torch.float32
        np.testing.assert_array_equal(graph.arrays[name].numpy(), np.asarray(array, np.float32), err_msg=name)
    senders, receivers = graph.senders.numpy(), graph.receivers.numpy()
    vectors = minimum_image(found.positions[receivers] - found.positions[senders], BOX)
    np.testing.assert_array_equal(graph.inherent_vectors.numpy(), vectors.astype(np.float32))
    assert torch.equal(graph.vectors, sample.graph.vectors)


def test_the_data_come_before_the_potential():
    sample = make_sample(arrays={"diameter": np.linspace(0.8, 1.2, NUMBER)})
    graph = bf.with_structure(sample, bf.Structure(("diameter",))).graph
    np.testing.assert_allclose(graph.arrays["diameter"], np.linspace(0.8, 1.2, NUMBER), rtol=1e-6)


def test_nothing_is_made_for_todays_models(counted):
    samples = [make_sample(0), make_sample(1)]
    structure = bf.Structure.from_config(bf.BOTAN(hidden_size=8).config)
    assert structure.is_plain
    assert all(a is b for a, b in zip(bf.with_structure(samples, structure), samples, strict=True))
    assert bf.with_structure(samples[0], structure) is samples[0]
    species = bf.BOTAN(hidden_size=8, node_inputs=("type", "species"), num_species=2, edge_inputs=("vector", "radial"))
    assert bf.Structure.from_config(species.config).is_plain
    assert not counted


def test_minimised_once(counted):
    one, two = make_sample(0), make_sample(1)
    x, types = liquid(0)
    later = bf.Sample(bf.build_graph(x, types, BOX), None, "later", torch.from_numpy(x), time=130.0)
    structure = bf.Structure(("energy",), True)
    made = bf.with_structure([one, two, later], structure)
    assert not counted  # only when a graph is asked for
    for _ in range(2):
        for sample in made:
            sample._made = None  # dropped, as after eight others
            assert sample.graph.inherent_vectors is not None
    assert len(counted) == 2
    assert bf.with_structure(one, bf.Structure(("displacement", "descriptors"), descriptors=SETTINGS)).graph.arrays
    assert bf.with_structure(made, structure)[2].graph.arrays is not None
    assert len(counted) == 2
    bf.with_structure([make_sample(3)], structure, progress=True)
    assert len(counted) == 3


def test_descriptors_are_computed_once(monkeypatch):
    calls = []
    function = making.descriptors
    monkeypatch.setattr(making, "descriptors", lambda *a, **o: calls.append(1) or function(*a, **o))
    sample = bf.with_structure(make_sample(), bf.Structure(("descriptors",), descriptors=SETTINGS))
    for _ in range(2):
        sample._made = None
        assert sample.graph.arrays["descriptors"].shape[0] == NUMBER
    assert len(calls) == 1


def test_thermal_descriptors_need_no_minimum(counted):
    settings = bf.DescriptorSettings(groups=["radial"], geometry="thermal", radial_centres=[1.0], smear_lengths=[])
    structure = bf.Structure(("descriptors", "temperature", "thermal_energy"), descriptors=settings)
    assert not structure.needs_minimum
    sample = make_sample()
    wanted, _ = bf.descriptors(sample.positions, sample.types, BOX, settings=settings)
    np.testing.assert_array_equal(bf.with_structure(sample, structure).graph.arrays["descriptors"], wanted)
    assert not counted


def test_stored_minima_are_used(counted):
    x, _types = liquid()
    held = bf.InherentStructure(x + 0.01, np.linspace(-1, 0, NUMBER), float("nan"), 0)  # of whatever potential
    graph = bf.with_structure(make_sample(inherent=held), bf.Structure(("energy", "displacement"), True)).graph
    np.testing.assert_array_equal(graph.arrays["energy"], held.energy.astype(np.float32))
    np.testing.assert_allclose(graph.arrays["displacement"], np.full(NUMBER, 0.01 * np.sqrt(3)), rtol=1e-5)
    assert not counted


def test_minima_of_another_potential_are_not(counted):
    other = bf.LennardJones(((1.0, 1.0), (1.0, 1.0)), ((1.0, 0.9), (0.9, 0.8)))
    x, types = liquid()
    held = bf.inherent_structure(x, types, BOX, other)
    sample = make_sample(inherent=held)
    with pytest.warns(BotanFastWarning, match="of another potential .* minimised anew"):
        made = bf.with_structure(sample, bf.Structure(("energy",), potential=bf.KOB_ANDERSEN))
    np.testing.assert_array_equal(made.graph.arrays["energy"], minimum(sample).energy.astype(np.float32))
    # A model that names no potential reads the one of the data, also where they hold no minimum.
    plain = bf.Structure(("energy",))
    assert plain.potential_for([make_sample(1), sample]) == other
    without = make_sample(1)
    made = bf.with_structure([without, sample], plain)
    wanted = bf.inherent_structure(without.positions, without.types, BOX, other)
    np.testing.assert_array_equal(made[0].graph.arrays["energy"], wanted.energy.astype(np.float32))
    both = [sample, make_sample(1, inherent=minimum(make_sample(1)))]
    with pytest.raises(InputError, match="say which potential the model reads"):
        bf.with_structure(both, plain)


def keys(pairs):
    return set(map(tuple, np.asarray(pairs).T.tolist()))


def stored(tmp_path, cutoff):
    """A data set of a liquid with runs, and the targets on all pairs of its cutoff."""
    x, types = liquid()
    graph = bf.build_graph(x, types, BOX, cutoff=cutoff)
    runs = x + 0.2 * np.random.default_rng(7).standard_normal((4, NUMBER, 3))
    np.savez(tmp_path / "runs.npz", types=types, initial_positions=x, positions=runs, box=BOX)
    path = tmp_path / f"data{cutoff}.h5"
    bf.convert(tmp_path / "runs.npz", path, cutoff=cutoff, time=1.0)
    return path, bf.isoconfigurational_targets(x, runs, graph), graph


@pytest.mark.parametrize("pairs", ["inherent", "union"])
def test_pairs_of_the_minimum(tmp_path, pairs):
    path, targets, wide = stored(tmp_path, 2.5)
    [sample] = bf.load_samples(path, cutoff=1.6)
    structure = bf.Structure((), True, pairs)
    made = bf.with_structure(sample, structure)
    graph, found = made.graph, minimum(sample)
    thermal = keys(pair_list(sample.graph))
    there = keys(pair_list(bf.build_graph(found.positions, sample.types, BOX, cutoff=1.6)))
    assert thermal - there
    assert there - thermal
    assert keys(pair_list(graph)) == (there if pairs == "inherent" else there | thermal)
    senders, receivers = graph.senders.numpy(), graph.receivers.numpy()
    assert (np.lexsort((senders, receivers)) == np.arange(graph.num_edges)).all()
    assert torch.equal(graph.senders[graph.reverse.long()], graph.receivers)
    assert (np.repeat(np.arange(NUMBER), np.diff(graph.row_ptr)) == receivers).all()
    x = sample.positions.numpy()
    for vectors, places in ((graph.vectors, x), (graph.inherent_vectors, found.positions)):
        at = minimum_image(places[receivers] - places[senders], BOX)
        np.testing.assert_allclose(vectors, at, atol=1e-6)
    # Targets of these pairs are those of the runs.
    value = dict(
        zip(zip(wide.receivers.tolist(), wide.senders.tolist(), strict=True), targets.pair_change, strict=True)
    )
    wanted = [value[edge] for edge in zip(receivers.tolist(), senders.tolist(), strict=True)]
    np.testing.assert_array_equal(made.targets.pair_change, np.asarray(wanted))
    np.testing.assert_array_equal(made.targets.propensity, targets.propensity)
    # Predictions of the default network exist for any pairs, with self edges or without.
    assert bf.BOTAN(hidden_size=8, num_steps=1, cutoff=1.6)(graph).edge.shape == (graph.num_edges,)


@pytest.mark.parametrize("pairs", ["inherent", "union"])
def test_files_know_their_runs(tmp_path, pairs, counted):
    """Of files every pair has its E_ij, whatever the cutoff, and the minimum that it took is used again."""
    path, targets, _ = stored(tmp_path, 2.5)
    structure = bf.Structure((), True, pairs)
    reading = {"self_edges": False, "box": None, "density": None, "temperature": None, "time": None, "species": None}
    reading |= {"node_target": "S", "require_targets": True, "progress": False}
    [sample] = read_samples(tmp_path / "runs.npz", cutoff=1.6, **reading, structure=structure)
    [other] = bf.load_samples(path, cutoff=1.6)
    made, same = bf.with_structure(sample, structure), bf.with_structure(other, structure)
    assert torch.equal(made.graph.senders, same.graph.senders)
    assert torch.equal(made.targets.pair_change, same.targets.pair_change)
    assert torch.equal(made.targets.propensity, targets.propensity)
    assert len(counted) == 2  # of each sample once


def test_pairs_whose_targets_nobody_has(tmp_path):
    path, _, _ = stored(tmp_path, 1.6)
    [sample] = bf.load_samples(path, cutoff=1.6)
    structure = bf.Structure(pairs="union")
    made = bf.with_structure(sample, structure)
    with pytest.raises(DataError, match=r"runs: E_ij of \d+ pairs .* a data set of convert with cutoff = \d\.\d"):
        _ = made.targets
    only_nodes = bf.with_structure(sample, structure, pair_targets=False)
    assert only_nodes.targets.pair_change is None
    assert not only_nodes.has_pair_targets
    assert torch.equal(only_nodes.targets.propensity, sample.targets.propensity)
    graph, targets = (found := bf.with_structure(sample, structure, pair_targets=None)).graph, found.targets
    beyond = graph.vectors.norm(dim=1) >= 1.6
    assert torch.equal(targets.pair_change.isnan(), beyond)
    assert torch.equal(targets.pair_change[~beyond], sample.targets.pair_change)


def test_joined_times(tmp_path):
    """Targets of other pairs are those of each time, whether samples are joined before or after."""
    path, _, _ = stored(tmp_path, 2.5)
    x, types = liquid()
    runs = x + 0.4 * np.random.default_rng(8).standard_normal((4, NUMBER, 3))
    np.savez(tmp_path / "late.npz", types=types, initial_positions=x, positions=runs, box=BOX)
    bf.convert(tmp_path / "late.npz", tmp_path / "late.h5", cutoff=2.5, time=10.0)
    parts = bf.load_samples([path, tmp_path / "late.h5"], cutoff=1.6, time=[1.0, 10.0])
    structure = bf.Structure(("energy",), True, "union")
    [after] = bf.with_structure(join_times(parts, [1.0, 10.0]), structure)
    [before] = join_times(bf.with_structure(parts, structure), [1.0, 10.0])
    single = [bf.with_structure(part, structure).targets for part in parts]
    for joined in (after, before):
        assert joined.graph.arrays is not None
        assert joined.graph.inherent_vectors is not None
        for name in ("pair_change", "propensity"):
            wanted = torch.stack([getattr(targets, name) for targets in single], 1)
            assert torch.equal(getattr(joined.targets, name), wanted)


def test_self_edges(tmp_path):
    x, types = liquid()
    sample = bf.Sample(bf.build_graph(x, types, BOX, self_edges=True), None, "loops", torch.from_numpy(x))
    graph = bf.with_structure(sample, bf.Structure((), True, "union")).graph
    loops = graph.senders == graph.receivers
    assert int(loops.sum()) == NUMBER
    assert graph.self_edges
    assert not graph.vectors[loops].any()
    assert not graph.inherent_vectors[loops].any()
    assert torch.equal(graph.reverse[loops], torch.nonzero(loops)[:, 0].int())


def test_turned_together():
    graph = bf.with_structure(make_sample(), bf.Structure(("energy",), True)).graph
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.manual_seed(1)))[0]
    turned = graph.rotate(turn)
    for name in ("vectors", "inherent_vectors"):
        torch.testing.assert_close(getattr(turned, name), getattr(graph, name) @ turn.float().T)
    assert torch.equal(turned.arrays["energy"], graph.arrays["energy"])


def test_samples_of_a_data_set(tmp_path, counted):
    """The same configuration at two times is minimised once; kind, pickles and targets stay."""
    path = write(tmp_path / "a.h5", [make_record(1)])
    samples = [bf.Dataset(path)[index] for index in (0, 1)]
    made = bf.with_structure(samples, bf.Structure(("temperature",)))
    for sample, base in zip(made, samples, strict=True):
        assert torch.equal(sample.targets.propensity, base.targets.propensity)
        assert (sample.name, sample.time, sample.num_runs, sample.cutoff) == (
            base.name, base.time, base.num_runs, base.cutoff
        )  # fmt: skip
        assert sample.has_pair_targets == base.has_pair_targets
        again = pickle.loads(pickle.dumps(sample))
        assert torch.equal(again.graph.arrays["temperature"], sample.graph.arrays["temperature"])
        assert sample.to("cpu").graph.arrays is not None
    assert not counted


def test_given_arrays_stay():
    sample = make_sample()
    own = sample.graph.replace(arrays={"charge": torch.ones(NUMBER)})
    given = bf.Sample(own, None, "given", sample.positions)
    graph = bf.with_structure(given, bf.Structure(("charge", "energy"))).graph
    assert torch.equal(graph.arrays["charge"], torch.ones(NUMBER))


def test_what_is_lacking_is_said_in_one_line():
    sample = make_sample(arrays={"mass": np.ones(NUMBER)})
    with pytest.raises(InputError, match="liquid0 has the arrays mass alone; the model reads 'charge'; made from"):
        bf.with_structure(sample, bf.Structure(("charge",)))
    sample.temperature = None
    with pytest.raises(InputError, match="liquid0: the temperature is unknown"):
        bf.with_structure(sample, bf.Structure(("temperature",)))
    one = bf.LennardJones(1.0, 1.0)
    with pytest.raises(InputError, match="liquid0 has particles of type 1, but the potential of the model knows 1 "):
        bf.with_structure(sample, bf.Structure(("energy",), potential=one))
    with pytest.raises(InputError, match=r"give Structure.from_config"):
        bf.with_structure(sample, {"pairs": "union"})


def config(structure, **more):
    return {"node_inputs": ["type", "descriptors"], "edge_inputs": ["vector"], "structure": structure, **more}


def test_there_and_back():
    structure = bf.Structure(("descriptors",), False, "inherent", bf.KOB_ANDERSEN, SETTINGS)
    assert bf.Structure.from_config(config(structure.as_dict())) == structure
    model = bf.BOTAN(hidden_size=8, node_inputs=("descriptors",), structure=structure.as_dict())
    assert bf.Structure.from_config(model.config) == structure
    assert bf.Structure.from_config(config({}, num_species=3)).descriptors.num_species == 3
    assert bf.Structure.from_config({}).is_plain


HOSTILE = [
    ([], None),
    ({"cake": 1}, "entry 'cake' is unknown; known are pairs"),
    ({"pairs": "all"}, "pairs = 'all'; it must be one of thermal, inherent, union"),
    ({"pairs": ["union"]}, "pairs = "),
    ({"pairs": None}, "pairs = None"),
    ({"potential": "kob-andersen"}, "potential holds str"),
    ({"potential": {**bf.KOB_ANDERSEN.as_dict(), "epsilon": [[1.0, "x"], [1.5, 0.5]]}}, "epsilon"),
    ({"potential": {**bf.KOB_ANDERSEN.as_dict(), "epsilon": [[10**400]]}}, "epsilon"),
    ({"potential": {**bf.KOB_ANDERSEN.as_dict(), "sigma": [[1.0, -1.0], [-1.0, 1.0]]}}, "sigma"),
    ({"potential": {**bf.KOB_ANDERSEN.as_dict(), "cutoff": None}}, "cutoff"),
    ({"potential": {**bf.KOB_ANDERSEN.as_dict(), "cutoff": {"a": 1}}}, "cutoff"),
    ({"potential": {**bf.KOB_ANDERSEN.as_dict(), "truncation": ["plain"]}}, "truncation"),
    ({"potential": {**bf.KOB_ANDERSEN.as_dict(), "more": 1}}, "potential holds"),
    ({"descriptors": [1]}, "descriptors"),
    ({"descriptors": {"colour": 1}}, "'colour' is no setting"),
    ({"descriptors": {"averages": 10**6}}, "averages"),
    ({"descriptors": {"radial_centres": [[1.0]]}}, "radial_centres"),
    ({"descriptors": {"bond_shells": [1.0]}}, "bond_shells"),
    ({"descriptors": {"groups": [["radial"]]}}, "groups"),
    ({"descriptors": {"geometry": {"a": 1}}}, "geometry"),
    ({"descriptors": {"num_species": 10**400}}, "num_species"),
    ({"descriptors": {"bond_by_species": 1}}, "bond_by_species"),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_structures(number):
    plain, words = HOSTILE[number]
    if words is None:
        assert bf.Structure.from_config(config(plain)).pairs == "thermal"  # an empty list says nothing
        return
    with pytest.raises(InputError, match=words) as caught:
        bf.Structure.from_config(config(plain))
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)
