"""What a step minimises, against NumPy in float64: scaled units, species, times; and noise on inputs."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.data.times import join_times
from botan_fast.training.features import fit_scales
from botan_fast.training.objective import batch_loss, make_batch, noisy_columns, sample_losses, weighted_mean_square
from botan_fast.training.settings import TrainingSettings
from tests.helpers.structured import INPUTS, several, structured
from tests.helpers.tiny_data import TINY

BASE = {"p": 0.4, "epochs": 1, "seed": 0, "augmentation": "none", "learning_rate": 1e-3, "schedule": "constant"}
BASE |= {"clip_norm": 1.0, "batch_size": 1, "evaluate_every": 1, "checkpoint_every": 1}


def settings(**options):
    return TrainingSettings(**{**BASE, **options})


def model_of(**options):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return bf.BOTAN(**{**TINY, "num_steps": 1, **options})


def numpy_loss(prediction, target, groups, weights=None):
    """Per output: mean, or weighted mean of the means of the groups, over what is known; then over outputs."""
    outputs = []
    for k in range(target.shape[1]):
        known = ~np.isnan(target[:, k])
        squares = (prediction[known, k] - target[known, k]) ** 2
        if weights is None:
            parts, of = [squares.mean()] if known.any() else [], [1.0]
        else:
            there = [s for s in range(len(weights)) if (groups[known] == s).any()]
            parts, of = [squares[groups[known] == s].mean() for s in there], [weights[s] for s in there]
        if parts:
            outputs.append(np.average(parts, weights=of))
    return np.mean(outputs)


@pytest.mark.parametrize("weights", [None, (1.0, 1.0), (1.0, 3.0), (0.0, 1.0)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_weighted_mean_square(outputs, weights):
    rng = np.random.default_rng(0)
    prediction, target = rng.standard_normal((2, 200, outputs))
    types = (rng.random(200) < 0.3).astype(np.int64)
    if outputs > 1:
        target[rng.random(target.shape) < 0.2] = np.nan
        target[types == 1, 1] = np.nan  # a species without targets there
    got = weighted_mean_square(*map(torch.from_numpy, (prediction, target, types)), weights)
    if weights == (0.0, 1.0) and outputs > 1:
        expected = numpy_loss(prediction[:, [0, 2]], target[:, [0, 2]], types, weights)
    else:
        expected = numpy_loss(prediction, target, types, weights)
    assert float(got) == pytest.approx(expected, rel=1e-12)


def test_nothing_known_is_no_loss():
    prediction = torch.randn(5, 2, requires_grad=True)
    loss = weighted_mean_square(prediction, torch.full((5, 2), torch.nan))
    loss.backward()
    assert loss == 0
    assert not prediction.grad.any()


def test_a_time_that_is_not_there_moves_no_weight_of_its_output():
    """NaN reaches no gradient: that of the output without targets is zero, of all others finite and not zero."""
    [sample] = join_times(structured(1, (1.3,)), (1.3, 13.0))
    model = model_of(num_outputs=2)
    loss, *_ = batch_loss(model, *make_batch([sample], model, settings(), None), settings())
    loss.backward()
    for decoder in (model.node_decoder, model.edge_decoder):
        assert decoder.fc3.weight.grad[0].abs().max() > 0
        assert not decoder.fc3.weight.grad[1].any()
        assert not decoder.fc3.bias.grad[1].any()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("weights", ["particles", (1.0, 1.0)])
@pytest.mark.parametrize("times", [(None,), (1.3, 13.0)])
def test_loss_in_units_of_the_widths_by_hand(times, weights):
    """Means and widths over the training data by species and pair of species, then the mean squares, in NumPy."""
    samples = several((1, 2), times=times)
    samples = samples if times == (None,) else join_times(samples, times)
    model = model_of(scaled=True, num_species=2, num_outputs=len(times))
    fit_scales(model, samples)
    types = [s.graph.types.numpy() for s in samples]
    ends = [[s.graph.types[e.long()].numpy() for e in (s.graph.senders, s.graph.receivers)] for s in samples]
    pairs = [a + b for a, b in ends]  # A-A, A-B, B-B
    node, edge = (
        [getattr(s.targets, name).double().numpy().reshape(-1, len(times)) for s in samples]
        for name in ("propensity", "pair_change")
    )

    def scaled(targets, groups, number):
        whole, of = np.concatenate(targets), np.concatenate(groups)
        mean = np.stack([whole[of == g].mean(0) for g in range(number)])
        width = np.stack([whole[of == g].std(0) for g in range(number)])
        return [(t - mean[g]) / width[g] for t, g in zip(targets, groups, strict=True)]

    chosen = settings(species_weights=weights)
    batch = make_batch(samples, model, chosen, None)
    total, node_loss, edge_loss = batch_loss(model, *batch, chosen)
    raw = model(batch[0], raw=True)
    predictions = (p.detach().double().numpy().reshape(-1, len(times)) for p in raw)
    of_nodes, of_edges = predictions
    by_species = None if weights == "particles" else weights
    expected = numpy_loss(of_nodes, np.concatenate(scaled(node, types, 2)), np.concatenate(types), by_species)
    assert float(node_loss) == pytest.approx(expected, rel=1e-4)
    expected = numpy_loss(of_edges, np.concatenate(scaled(edge, pairs, 3)), None)
    assert float(edge_loss) == pytest.approx(expected, rel=1e-4)
    assert total.item() == pytest.approx(0.4 * float(node_loss) + 0.6 * float(edge_loss), rel=1e-6)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_a_part_without_weight_gets_no_gradient(p):
    samples = join_times(structured(1, (1.3, 13.0)), (1.3, 13.0))
    model, chosen = model_of(num_outputs=2), settings(p=p)
    batch_loss(model, *make_batch(samples, model, chosen, None), chosen)[0].backward()
    without, trained = (model.node_decoder, model.edge_decoder)[:: 1 if p == 0 else -1]
    assert all(parameter.grad is None for parameter in without.parameters())
    assert all(parameter.grad is not None for parameter in trained.parameters())


def test_the_losses_of_other_configurations_are_without_rotation_and_noise():
    samples, model, chosen = several((1, 2, 3)), model_of(), settings(augmentation="o3", input_noise=0.5)
    each = [batch_loss(model, *make_batch([s], model, chosen, None), chosen)[0].item() for s in samples]
    assert sample_losses(model, samples, chosen) == each


NOISY = {**INPUTS, "num_species": 2, "input_columns": {"shells": 3}}


class TestNoise:
    def test_columns(self):
        assert noisy_columns(model_of(**NOISY).config) == {"energy": slice(2, 3), "shells": slice(3, 6)}

    def test_its_width_is_that_of_the_columns_and_nothing_else_changes(self):
        samples, model = several((1, 2, 3)), model_of(**NOISY)
        fit_scales(model, samples)
        generator = torch.Generator().manual_seed(0)
        graph, *_ = make_batch([samples[0]] * 50, model, settings(input_noise=0.1), generator)
        plain, *_ = make_batch([samples[0]] * 50, model, settings(), generator)
        assert torch.equal(graph.vectors, plain.vectors)
        for name, width in (("energy", 1.0), ("shells", 2.0)):
            noise = graph.arrays[name] - plain.arrays[name]
            assert noise.shape == plain.arrays[name].shape
            assert noise.std().item() == pytest.approx(0.1 * width, rel=0.1)
            assert abs(noise.mean().item()) < 0.02 * width
        assert torch.equal(samples[0].graph.arrays["energy"], structured(1)[0].graph.arrays["energy"])

    def test_it_comes_from_the_generator_alone_and_none_is_drawn_without(self):
        samples, model = structured(1), model_of(**NOISY)
        drawn = []
        for noise in (0.1, 0.1, 0.0):
            generator = torch.Generator().manual_seed(3)
            graph, *_ = make_batch(samples, model, settings(input_noise=noise), generator)
            drawn.append((graph.arrays["shells"], torch.rand(1, generator=generator).item()))
        fresh = torch.rand(1, generator=torch.Generator().manual_seed(3)).item()
        assert torch.equal(drawn[0][0], drawn[1][0])
        assert drawn[2][1] == fresh != drawn[0][1]
