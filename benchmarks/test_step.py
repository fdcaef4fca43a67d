"""Training step, inference, and the parts of the network: message passing forward and backward, encoder, decoder."""

import torch

from benchmarks import networks
from benchmarks.inputs import problem
from benchmarks.peers.authors import training_step
from botan_fast.bench import floor

ALL = networks.available()
PLAIN = ["botan_fast", "authors"]  # outside of message passing, the split-weight model is the authors' model
IMPLEMENTATIONS = {
    "training_step": ALL,
    "inference": ALL,
    "processor_forward": ALL,
    "processor_backward": ALL,
    "edge_encoder": PLAIN,
    "edge_decoder": PLAIN,
}
ROUNDS = 7


def size(particles):
    return particles, problem(particles).graph.num_edges


def test_training_step(measure, net, implementation, particles):
    """Forward, loss, backward, gradient clipping, Adam, of one configuration."""
    optimizer = torch.optim.Adam(net.module.parameters(), lr=1e-4)
    measure(
        "training_step",
        implementation,
        particles,
        lambda: training_step(net.predict, optimizer, *net.targets),
        rounds=ROUNDS,
        flops=floor.training_flops(*size(particles)),
        bytes=floor.training_bytes(size(particles)[1]),
    )


def test_inference(measure, net, implementation, particles):
    """Forward without gradients."""

    @torch.no_grad()
    def predict():
        return net.predict()

    measure("inference", implementation, particles, predict, rounds=ROUNDS, flops=floor.forward_flops(*size(particles)))


def _processor(net, particles):
    """Inputs of the message-passing steps that want gradients, the weights, and gradients of the results."""
    generator = torch.Generator().manual_seed(0)
    nodes, edges = size(particles)
    x0, e0, grad_x, grad_e = (torch.randn(rows, 64, generator=generator) for rows in (nodes, edges) * 2)
    weights = list(net.module.processor.parameters())
    return [x0.relu().requires_grad_(), e0.relu().requires_grad_()], weights, [grad_x, grad_e]


def test_processor_forward(measure, net, implementation, particles):
    """All message-passing steps, keeping what the backward pass needs."""
    starts, _, _ = _processor(net, particles)
    measure(
        "processor_forward",
        implementation,
        particles,
        lambda: net.process(*starts),
        rounds=ROUNDS,
        flops=floor.processor_forward_flops(*size(particles)),
    )


def test_processor_backward(measure, net, implementation, particles):
    """Gradients of all message-passing steps: both inputs and all weights."""
    starts, weights, gradients = _processor(net, particles)

    def forward():
        return (list(net.process(*starts)),), {}

    def backward(results):
        torch.autograd.grad(results, starts + weights, gradients)

    measure(
        "processor_backward",
        implementation,
        particles,
        backward,
        rounds=ROUNDS,
        setup=forward,
        flops=2 * floor.processor_forward_flops(*size(particles)),
    )


def test_edge_encoder(measure, net, implementation, particles):
    """(E, 3) to (E, 64), forward and backward."""
    encoder = net.module.edge_encoder
    gradient = torch.ones(len(net.vectors), 64)
    measure(
        "edge_encoder",
        implementation,
        particles,
        lambda: torch.autograd.grad(encoder(net.vectors), list(encoder.parameters()), gradient),
        rounds=2 * ROUNDS,
    )


def test_edge_decoder(measure, net, implementation, particles):
    """(E, 64) to (E,), forward and backward."""
    decoder = net.module.decoder
    features = torch.rand(len(net.vectors), 64).requires_grad_()
    gradient = torch.ones(len(net.vectors))
    measure(
        "edge_decoder",
        implementation,
        particles,
        lambda: torch.autograd.grad(decoder(features).squeeze(-1), [features, *decoder.parameters()], gradient),
        rounds=2 * ROUNDS,
    )
