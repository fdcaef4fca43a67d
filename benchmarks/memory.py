"""Peak resident memory of one operation in a process of its own: `python -m benchmarks.memory OPERATION NAME`.

Prints a line of JSON: peak_bytes, and start_bytes, what the process held before the operation (torch, the input).
"""

import argparse
import json

from botan_fast.bench.machine import peak_bytes

OPERATIONS = ("training_step", "inference", "loading")


def operation(name: str, implementation: str, particles: int):
    """A function without arguments that does it once."""
    import torch

    import botan_fast as bf
    from benchmarks import networks
    from benchmarks.inputs import problem
    from benchmarks.peers import authors

    if name == "loading":
        path = problem(particles).path
        return lambda: bf.load_samples(path) if implementation == "botan_fast" else authors.load(path)
    net = networks.network(implementation, particles)
    if name == "inference":
        return torch.no_grad()(net.predict)
    optimizer = torch.optim.Adam(net.module.parameters(), lr=1e-4)
    return lambda: authors.training_step(net.predict, optimizer, *net.targets)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operation", choices=OPERATIONS)
    parser.add_argument("implementation")
    parser.add_argument("--particles", type=int, default=4096)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args(arguments)
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    function = operation(options.operation, options.implementation, options.particles)
    start = peak_bytes()
    for _ in range(3):  # the second round shows what is kept from the first
        function()
    print(json.dumps({"peak_bytes": peak_bytes(), "start_bytes": start}))


if __name__ == "__main__":
    main()
