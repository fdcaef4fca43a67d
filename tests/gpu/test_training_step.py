"""A training step of a small model with all of its kernels, small enough for compute-sanitizer."""

import pytest
import torch

from botan_fast import ops
from tests.helpers.device_checks import MODEL_GRADIENT, OUTPUT, clear_model, crystal
from tests.helpers.random_graphs import relative_l2


@pytest.mark.parametrize("save_memory", [False, True])
@pytest.mark.parametrize("precision", ops.PRECISIONS)
def test_a_small_training_step(device, precision, save_memory):
    """Predictions, loss and all gradients against float64 on the CPU; the same bits twice."""
    graph, model = crystal(5), clear_model(precision, num_steps=3)
    generator = torch.Generator().manual_seed(1)
    targets = [torch.rand(n, generator=generator) for n in (graph.num_nodes, graph.num_edges)]

    def step(graph, precision, targets, **options):
        prediction = model(graph, precision, **options)
        loss = ops.loss(prediction.node, prediction.edge, *targets, 0.4).total
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        return [prediction.node.detach(), prediction.edge.detach(), loss.detach(), *gradients]

    model.double()
    exact = step(graph, "fp32", targets)
    model.float().to(device)
    graph, targets = graph.to(device), [t.to(device) for t in targets]
    got, again = (step(graph, precision, targets, save_memory=save_memory) for _ in range(2))
    for i, (a, b, want) in enumerate(zip(got, again, exact, strict=True)):
        assert torch.equal(a, b)
        assert relative_l2(a.cpu(), want) < (OUTPUT if i < 3 else MODEL_GRADIENT)[precision]
