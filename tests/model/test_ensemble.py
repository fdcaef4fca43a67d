"""Ensemble: means and deviations by hand, and members that do not go together."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import CheckpointError, InputError
from botan_fast.model import shipped


@pytest.fixture(scope="module")
def graph():
    rng = np.random.default_rng(0)
    graph = bf.build_graph(rng.random((60, 3)) * 4.5, rng.integers(0, 2, 60), [4.5] * 3)
    return graph.replace(arrays={"energy": torch.tensor(rng.normal(-7, 1, 60), dtype=torch.float32)})


def network(seed, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return bf.BOTAN(**{"hidden_size": 8, "num_steps": 1, **options})


def linear():
    model = bf.LinearBaseline(node_inputs=["energy"], num_species=2)
    model.node_weight.fill_(0.1)
    model.edge_bias.fill_(0.3)
    return model


def test_mean_and_deviation(graph):
    members = [network(0), network(1, decoders="node"), linear()]
    ensemble = bf.Ensemble(members)
    with torch.no_grad():
        each = [member(graph) for member in members]
        mean, spread = ensemble(graph), ensemble.spread(graph)
    nodes = np.stack([p.node.numpy() for p in each])
    edges = np.stack([p.edge.numpy() for p in (each[0], each[2])])  # the second has no edge output
    np.testing.assert_allclose(mean.node, nodes.mean(0), rtol=1e-5)
    np.testing.assert_allclose(spread.node, nodes.std(0), rtol=1e-4)
    np.testing.assert_allclose(mean.edge, edges.mean(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(spread.edge, edges.std(0), rtol=1e-4, atol=1e-6)


def test_rotations(graph):
    """The first is the identity; the mean over many of them hardly depends on how the data lie."""
    model = network(3)
    with torch.no_grad():
        one = bf.Ensemble([model], rotations=1)(graph)
        torch.testing.assert_close(one.node, model(graph).node)
        many = bf.Ensemble([model], rotations=40, seed=1)
        each = many.predictions(graph)
        assert [len(part) for part in each] == [40]
        torch.testing.assert_close(each[0][0].node, model(graph).node)
        torch.testing.assert_close(many(graph).node, torch.stack([p.node for p in each[0]]).mean(0))
        turned = graph.rotate(torch.tensor([[0.0, 1, 0], [0, 0, -1], [1, 0, 0]]))
        apart = (many(turned).node - many(graph).node).norm()
        assert apart < 0.5 * (model(turned).node - model(graph).node).norm()
        same = bf.Ensemble([model], rotations=40, seed=1)(graph)
        assert torch.equal(same.node, many(graph).node)


def test_members_that_read_no_vectors_run_once(graph):
    model = network(0, edge_inputs=["radial"])
    assert [len(part) for part in bf.Ensemble([model, linear()], rotations=5).predictions(graph)] == [1, 1]
    assert not bf.Ensemble([linear()], rotations=5).spread(graph).node.any()


def test_what_the_members_read_together():
    one = network(0, node_inputs=["species", "energy"], num_species=2)
    config = bf.Ensemble([network(1), one, linear()]).config
    assert config["node_inputs"] == ["type", "species", "energy"]
    assert config["edge_inputs"] == ["vector", "radial"]
    assert config["num_species"] == 2
    assert config["decoders"] == "separate"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "empty"),
        (["model.pth"], "holds a str"),
        ([network(0), network(0, cutoff=1.5)], r"members\[1\] has cutoff = 1.5, members\[0\] has 2.0"),
        ([network(0), network(0, node_target="R")], "node_target"),
        (
            [network(0, node_inputs=["energy"], input_columns={"energy": 2}), linear()],
            r"members\[1\] reads 1 columns of 'energy', another member 2",
        ),
        (
            [network(0, node_inputs=["energy"], structure={"pairs": "union"}), linear()],
            r"members\[1\] makes its inputs in another way",
        ),
    ],
)
def test_what_does_not_go_together(members, message):
    with pytest.raises(InputError, match=message):
        bf.Ensemble(members)


def test_options():
    for options in ({"rotations": -1}, {"rotations": 1.5}, {"rotations": 10**9}, {"seed": -1}):
        with pytest.raises(InputError, match=next(iter(options))):
            bf.Ensemble([linear()], **options)


def test_load_model_of_a_list(graph, tmp_path):
    paths = []
    for seed in range(2):
        paths.append(tmp_path / f"{seed}.safetensors")
        bf.save_model(network(seed), paths[-1])
    ensemble = bf.load_model([*paths, linear()], rotations=3)
    assert isinstance(ensemble, bf.Ensemble)
    assert ensemble.rotations == 3
    with torch.no_grad():
        torch.testing.assert_close(
            bf.load_model(paths)(graph).node, (network(0)(graph).node + network(1)(graph).node) / 2
        )
    with pytest.raises(InputError, match="rotations = 3"):
        bf.load_model(paths[0], rotations=3)
    with pytest.raises(CheckpointError, match="missing"):
        bf.load_model([paths[0], tmp_path / "missing.pth"])


def test_names_of_shipped_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert bf.shipped_models() == []
    bf.save_model(network(5), tmp_path / "ka-here.safetensors")
    assert bf.shipped_models() == ["ka-here"]
    assert torch.equal(bf.load_model("ka-here").node_decoder.fc3.weight, network(5).node_decoder.fc3.weight)
    with pytest.raises(CheckpointError, match="did you mean 'ka-here'"):
        bf.load_model("ka-hare")
    with pytest.raises(CheckpointError, match="does not exist"):
        bf.load_model(tmp_path / "elsewhere/ka-here")
    bf.save_model(network(6), tmp_path / "ka-here")  # a file of that name comes first
    assert torch.equal(bf.load_model("ka-here").node_decoder.fc3.weight, network(6).node_decoder.fc3.weight)


def test_an_unknown_name_is_told_the_known_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    bf.save_model(network(5), tmp_path / "ka-here.safetensors")
    told = r"models that come with botan_fast: ka-here"
    with pytest.raises(CheckpointError, match=told):
        bf.load_model("quite-other")
    for path in ("quite-other.pth", "./folder/quite-other"):
        with pytest.raises(CheckpointError) as raised:
            bf.load_model(path)
        assert "come with" not in str(raised.value)


def carded(seed, outputs, times=(13.0,), temperatures=(0.44,), **options):
    model = network(seed, **options)
    model.card = bf.ModelCard(outputs=outputs, times=times, temperatures=temperatures)
    return model


def test_a_member_has_no_part_in_what_it_was_not_trained_for(graph):
    both, nodes, pairs = carded(0, ("S", "E")), carded(1, ("S",)), carded(2, ("E",))
    ensemble = bf.Ensemble([both, nodes, pairs])
    with torch.no_grad():
        node = torch.stack([both(graph).node, nodes(graph).node])
        edge = torch.stack([both(graph).edge, pairs(graph).edge])
        mean, spread = ensemble(graph), ensemble.spread(graph)
        torch.testing.assert_close(mean.node, node.mean(0))
        torch.testing.assert_close(mean.edge, edge.mean(0))
        torch.testing.assert_close(spread.node, node.std(0, correction=0))
        torch.testing.assert_close(spread.edge, edge.std(0, correction=0))
        # Where none was trained for it there is nothing better, and the card tells.
        noise = bf.Ensemble([pairs, carded(3, ("E",))])
        assert noise(graph).node.shape == (60,)
    assert set(ensemble.card.outputs) == {"S", "E"}
    assert noise.card.outputs == ("E",)
    assert bf.Ensemble([nodes, carded(4, ("S",), decoders="node")])(graph).edge is not None
    assert bf.Ensemble([both, network(1)]).card is None
    assert bf.Ensemble([both, carded(1, ("S",), temperatures=(0.5,))]).card is None


def test_members_for_other_times_do_not_go_together():
    with pytest.raises(InputError, match=r"members\[2\] was trained for the times 4120, members\[1\] for 13"):
        bf.Ensemble([network(0), carded(1, ("S",)), carded(2, ("S",), times=(4120.0,))])
