"""Predictions with everything in them: spread, targets, bonds of which both directions disagree."""

import numpy as np

import botan_fast as bf
from botan_fast.evaluation.prediction import ConfigurationPrediction

CELLS = {
    "orthogonal": np.array([5.0, 6.0, 7.0]),
    "restricted": np.array([[6.0, 0.0, 0.0], [1.5, 6.0, 0.0], [-0.5, 1.0, 6.0]]),
    "general": np.array([[5.0, 3.0, 0.0], [-2.0, 5.0, 1.0], [0.5, 0.0, 6.0]]),
    "left-handed": np.array([[0.0, 6.0, 0.0], [6.0, 1.0, 0.0], [0.5, 0.0, 6.0]]),
    "flat": np.array([8.0, 9.0]),
}


def full_prediction(cell="orthogonal", number=120, kind=ConfigurationPrediction, times=None, seed=0, **more):
    """A prediction of random numbers, on the graph of random positions that reach out of the box."""
    box, rng = CELLS[cell], np.random.default_rng(seed)
    vectors = np.diag(box) if box.ndim == 1 else box
    positions = (3 * rng.random((number, len(box))) - 1) @ vectors
    graph = bf.build_graph(positions, types := np.arange(number) % 5 // 4, box)
    of_nodes = (number,) if times is None else (number, len(times))
    of_edges = (graph.num_edges, *of_nodes[1:])

    def numbers(shape):
        return rng.standard_normal(shape).astype(np.float32)

    target = numbers(of_edges)
    values = {
        "propensity": abs(numbers(of_nodes)),
        "target_propensity": abs(numbers(of_nodes)),
        "propensity_spread": abs(numbers(of_nodes)),
        "pair_change": numbers(of_edges),
        "target_pair_change": (target + target[graph.reverse.numpy()]) / 2,  # as targets are: of the pair
    }
    return kind(
        name="a",
        positions=positions,
        types=types,
        box=box,
        senders=graph.senders.numpy(),
        receivers=graph.receivers.numpy(),
        distance=graph.vectors.norm(dim=1).numpy(),
        times=times,
        **(values | more),
    )
