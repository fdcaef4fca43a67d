"""Training: what it computes."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.training.augmentation import random_rotation
from botan_fast.training.run_directory import HISTORY_COLUMNS
from tests.helpers.runs import FAST, assert_same_run, run
from tests.helpers.tiny_data import TINY, write_tiny


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_one_epoch_is_adam_on_the_loss_of_the_paper(tiny_data, p):
    """The whole recipe again in plain torch, for one epoch of four batches of one graph."""
    result = run(tiny_data, epochs=1, p=p, seed=3, batch_size=1, decoders="separate")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = bf.BOTAN(**TINY)
    samples = bf.load_samples(tiny_data / "train/*.npz")
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence([3, 0]).generate_state(1, np.uint64)[0]) >> 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses, norms = [], []
    for k in torch.randperm(4, generator=generator).tolist():
        graph, targets = samples[k].graph, samples[k].targets
        q = random_rotation("octahedral", 3, generator)
        prediction = model(graph.replace(vectors=graph.vectors @ q.T))
        node = ((prediction.node - targets.propensity) ** 2).mean()
        edge = ((prediction.edge - targets.pair_change) ** 2).mean()
        loss = p * node + (1 - p) * edge
        optimizer.zero_grad()
        loss.backward()
        squares = sum(float((w.grad.double() ** 2).sum()) for w in model.parameters())
        norms.append(squares**0.5)
        for w in model.parameters():
            w.grad *= min(1.0, 1.0 / (norms[-1] + 1e-6))
        optimizer.step()
        losses.append(loss.item())
    [row] = result.history
    assert row["train_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert row["gradient_norm"] == pytest.approx(np.mean(norms), rel=1e-5)
    for a, b in zip(result.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_losses_decrease(tiny_data):
    history = run(tiny_data, epochs=15).history
    assert history[-1]["train_loss"] < 0.5 * history[0]["train_loss"]
    assert history[-1]["test_loss"] < 0.9 * history[0]["test_loss"]
    for part in ("train_node_loss", "train_edge_loss"):
        assert history[-1][part] < history[0][part]


def test_history_rows(tiny_data, uninterrupted):
    assert [row["epoch"] for row in uninterrupted.history] == list(range(6))
    assert all(set(row) == set(HISTORY_COLUMNS) for row in uninterrupted.history)
    for row in uninterrupted.history:
        assert row["train_loss"] == pytest.approx(0.4 * row["train_node_loss"] + 0.6 * row["train_edge_loss"], rel=1e-5)
        evaluated = row["epoch"] in (0, 2, 4, 5)
        assert (row["test_loss"] is not None) == (row["node_pearson_pooled"] is not None) == evaluated
    scores = bf.evaluate(uninterrupted.model, tiny_data / "test/*.npz")
    last = uninterrupted.history[-1]
    assert last["test_loss"] == 0.4 * scores["node_loss"] + 0.6 * scores["edge_loss"]
    assert last["edge_pearson"] == scores["edge_pearson"]


@pytest.mark.parametrize("hidden_size", [32, 12, 129])  # with kernels, padded to their width, and without
def test_seeds(tiny_data, hidden_size):
    options = {"epochs": 2, "augmentation": "o3", "hidden_size": hidden_size}
    results = [run(tiny_data, seed=seed, **options) for seed in (1, 1, 2)]
    assert_same_run(results[0], results[1])
    assert results[0].history[0]["train_loss"] != results[2].history[0]["train_loss"]


def test_the_global_random_state_is_neither_read_nor_changed(tiny_data):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 (the global state is what this is about)
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = run(tiny_data, epochs=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002
    torch.manual_seed(2)
    assert_same_run(first, run(tiny_data, epochs=1))


def test_nodes_only_uses_batches_of_five_and_no_edge_decoder(tiny_data, monkeypatch):
    sizes = []
    original = bf.batch_graphs
    monkeypatch.setattr(
        "botan_fast.training.objective.batch_graphs", lambda graphs: sizes.append(len(graphs)) or original(graphs)
    )
    files = [*sorted((tiny_data / "train").glob("*.npz")), *sorted((tiny_data / "test").glob("*.npz"))]
    result = bf.train(files, p=1, epochs=1, **FAST)
    assert sizes == [5]  # and a last batch of one graph, which needs no union
    assert result.model.config["decoders"] == "node"
    assert result.history[0]["train_edge_loss"] is None
    assert result.history[0]["train_loss"] == pytest.approx(result.history[0]["train_node_loss"])


def test_a_batch_is_the_mean_over_all_particles_and_edges(tmp_path):
    files = [write_tiny(tmp_path / f"n{n}.npz", seed=n, number=n) for n in (80, 140)]
    result = bf.train(files, batch_size=2, epochs=1, augmentation="none", **FAST)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = bf.BOTAN(**TINY)
    errors = [[], []]
    for s in bf.load_samples(files):
        prediction = model(s.graph)
        errors[0].append((prediction.node - s.targets.propensity) ** 2)
        errors[1].append((prediction.edge - s.targets.pair_change) ** 2)
    node, edge = (torch.cat(part).mean().item() for part in errors)
    assert result.history[0]["train_node_loss"] == pytest.approx(node, rel=1e-5)
    assert result.history[0]["train_edge_loss"] == pytest.approx(edge, rel=1e-5)


@pytest.mark.parametrize("weights", [0.0, 1.0])
def test_a_decoder_without_weight_in_the_loss_stays(tiny_data, weights, tiny_model):
    name = "edge_decoder" if weights == 1 else "node_decoder"
    options = {key: value for key, value in FAST.items() if key not in TINY}
    result = bf.train(tiny_data / "train/*.npz", p=weights, epochs=2, init=tiny_model, **options)
    for key, value in result.model.state_dict().items():
        assert torch.equal(value, tiny_model.state_dict()[key]) == key.startswith(name), key


def test_older_variant_with_self_edges(tiny_data):
    result = run(tiny_data, epochs=3, p=1, self_edges=True, edge_node_skip=True)
    assert result.model.config["self_edges"]
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]


def test_two_dimensions(tmp_path):
    write_tiny(tmp_path / "flat.npz", seed=0, dimensions=2)
    result = bf.train(tmp_path / "flat.npz", epochs=2, **FAST)
    assert result.model.config["dimensions"] == 2


def test_init_copies_and_leaves_the_source_alone(tiny_data, tiny_model, tiny_model_file):
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    a, b = (
        run(tiny_data, epochs=1, init=init, hidden_size=None, num_steps=2) for init in (tiny_model, tiny_model_file)
    )
    assert_same_run(a, b)
    assert all(torch.equal(value, before[name]) for name, value in tiny_model.state_dict().items())
