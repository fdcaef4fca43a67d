"""Small records of a data set, and a file of them."""

import numpy as np

import botan_fast as bf
from tests.helpers.tiny_data import tiny_arrays

EDGE = (80 / 1.2) ** (1 / 3)
GRAPH_ARRAYS = ("senders", "receivers", "vectors", "row_ptr", "reverse", "types", "box", "graph_ptr")


def make_record(seed, times=(1.0, 10.0), temperature=0.44, box=EDGE, dimensions=3):
    arrays = tiny_arrays(seed, dimensions=dimensions)
    graph = bf.build_graph(arrays["initial_positions"], arrays["types"], box)
    rng = np.random.default_rng(seed)
    records = []
    for t in times:
        moved = arrays["positions"] + 0.01 * (t or 2) * rng.standard_normal(arrays["positions"].shape)
        targets = bf.isoconfigurational_targets(arrays["initial_positions"], moved, graph)
        records.append(bf.TimeRecord.from_targets(t, targets, graph))
    return bf.Record(f"conf_{seed}", arrays["initial_positions"], arrays["types"], box, temperature, records)


def write(path, records, **options):
    with bf.DatasetWriter(path, **options) as writer:
        for record in records:
            writer.add(record)
    return path
