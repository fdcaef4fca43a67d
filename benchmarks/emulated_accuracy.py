"""Errors of the fp32 CUDA kernels from float64, run on the CPU by the emulation of tests/cuda_host, whose tensor cores
cut off their sums as Hopper's and Ampere's do: `python -m benchmarks.emulated_accuracy [--model FILE --data FILE]`.

Writes benchmarks/results/accuracy/emulated.json, in three minutes. With published weights and a file of the authors it
adds their predictions on the particles of one octant (of a small box: on all). tests/cuda_host/build.py compiles.
"""

import argparse
from pathlib import Path

import torch

import botan_fast as bf
from benchmarks import machine
from botan_fast.model.topology import graph_topology
from botan_fast.ops import cuda, reference
from tests.cuda_host.build import load
from tests.helpers.emulated_networks import expected, run
from tests.helpers.processor_case import clear_case
from tests.helpers.random_graphs import relative_l2

CASES = ((7, 97, 32), (7, 97, 64), (7, 97, 128), (3, 5000, 64), (3, 5000, 128))  # nodes, edges, H; two steps
SHARED_BYTES = 227 << 10  # what a block of an A100 (164 KB) or H100 may use makes no difference to the sums


def message_passing(emulator, nodes: int, edges: int, hidden: int) -> dict:
    """The largest relative L2 among outputs, and among gradients of inputs and weights."""
    case = clear_case(nodes, edges, hidden, steps=2)
    found = [relative_l2(a, b) for a, b in zip(run(emulator, case, "fp32"), expected(case, "fp32"), strict=True)]
    return {"nodes": nodes, "edges": edges, "hidden": hidden, "outputs": max(found[:2]), "gradients": max(found[2:])}


def predictions(emulator, weights: Path, data: Path) -> dict:
    """The same for predictions of trained weights, by the kernels and by the CPU code."""
    model = bf.load_model(weights).eval()
    sample = bf.load_samples(data)[0]
    side = float(sample.graph.box[0])
    side = side / 2 if side > 8 else side  # a box holds the cutoff of 2 twice
    keep = (sample.positions < side).all(1)
    graph = bf.build_graph(sample.positions[keep], sample.types[keep], side)

    def both(node, edge, mlp, processor):
        modules = (model.node_encoder, model.edge_encoder, model.decoder, model.decoder)  # one for both, as published
        encode_nodes, encode_edges, decode_nodes, decode_edges = (module.weights() for module in modules)
        x, e = processor(mlp(node, encode_nodes), mlp(edge, encode_edges))
        return mlp(x, decode_nodes), mlp(e, decode_edges)

    topology, steps = graph_topology(graph), model.config["num_steps"]
    weights_of = [w.detach() for mlp in (model.processor.edge_mlp, model.processor.node_mlp) for w in mlp.weights()]
    node, edge = graph.types.float()[:, None], graph.vectors.float()
    with torch.no_grad():
        emulated = both(
            node,
            edge,
            lambda rows, w: cuda.mlp(emulator, rows, w, 0),
            lambda x, e: cuda.processor(emulator, None, None, x, e, topology, weights_of, steps, False, 0)[:2],
        )
        cpu = model(graph)
        model.double()
        weights_of = [w.double() for w in weights_of]
        exact = both(
            node.double(),
            edge.double(),
            reference.mlp,
            lambda x, e: reference.processor(None, None, x, e, *topology[:2], weights_of[:4], weights_of[4:], steps),
        )
    row = {"nodes": len(node), "edges": len(edge)}
    for kind, answers in (("emulated", emulated), ("cpu", cpu)):
        for name, a, b in zip(("node", "edge"), answers, exact, strict=True):
            row[f"{kind}_{name}"] = relative_l2(a.flatten(), b.flatten())
    return row


def main(argv: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.emulated_accuracy", description=__doc__)
    parser.add_argument("--model", type=Path, help="weights of the authors")
    parser.add_argument("--data", type=Path, help="a configuration of the authors")
    options = parser.parse_args(argv)
    emulator = load()
    emulator.set_max_shared_bytes(SHARED_BYTES)
    record = {"format": 1, **machine.describe()}
    for name in ("hopper", "ampere"):
        emulator.set_ampere(name == "ampere")
        record[name] = [message_passing(emulator, *case) for case in CASES]
        if options.model and options.data:
            record[f"{name}_published_weights"] = predictions(emulator, options.model, options.data)
    path = machine.RESULTS / "accuracy" / "emulated.json"
    machine.write_json(path, record)
    print(f"wrote {path}")
    return path


if __name__ == "__main__":
    main()
