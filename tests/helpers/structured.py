"""Tiny samples with more inputs than types and vectors, and with targets at several times."""

import numpy as np
import torch

import botan_fast as bf
from tests.helpers.tiny_data import DENSITY, tiny_arrays

INPUTS = {"node_inputs": ("species", "energy", "shells"), "edge_inputs": ("vector", "radial", "inherent")}


def structured(seed, times=(None,), number=80, temperature=None, scale=0.05):
    """The samples of one configuration, one for each time; their graphs have energy (N,), shells (N, 3), vectors."""
    arrays = tiny_arrays(seed, number)
    x, types = arrays["initial_positions"], arrays["types"]
    graph = bf.build_graph(x, types, np.full(3, (number / DENSITY) ** (1 / 3)))
    rng = np.random.default_rng([seed, 1])
    more = {"energy": -7 + rng.standard_normal(number), "shells": 3 + 2 * rng.standard_normal((number, 3))}
    graph = graph.replace(
        arrays={name: torch.from_numpy(values).float() for name, values in more.items()},
        inherent_vectors=graph.vectors + torch.from_numpy(scale * rng.standard_normal(graph.vectors.shape)).float(),
    )
    samples = []
    for k, time in enumerate(times):
        targets = bf.isoconfigurational_targets(x, x + (1 + 2 * k) * (arrays["positions"] - x), graph)
        samples.append(bf.Sample(graph, targets, f"conf_{seed}", torch.from_numpy(x), temperature, time))
    return samples


def several(seeds, **options):
    return [sample for seed in seeds for sample in structured(seed, **options)]
