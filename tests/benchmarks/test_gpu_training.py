"""benchmarks/gpu/training.py, and the network of PhysicsNeMo, without a GPU."""

import sys
import types
from functools import partial

import pytest
import torch

import botan_fast as bf
from benchmarks import inputs
from benchmarks.gpu import networks, training
from benchmarks.gpu.machine import NotRun
from benchmarks.peers import meshgraphnet
from tests.helpers.gpu_benchmarks import NODES, run_all, tiny_machine


def test_the_configurations_differ():
    first, second = training.samples(NODES, 2)
    assert first.name != second.name
    assert not torch.equal(first.positions, second.positions)
    assert not torch.equal(first.targets.propensity, second.targets.propensity)


def test_a_measured_run_has_at_least_two_thousand_steps():
    assert (training.LONG - training.SHORT) * training.CONFIGURATIONS >= 2000


@pytest.mark.parametrize("precision", networks.PRECISIONS)
def test_a_run_that_learns_something_else_is_found(monkeypatch, precision):
    prepared = training.per_step(NODES, precision, tiny_machine(), 2, (1, 3))
    prepared.check()
    right, calls = training.train, []

    def wrong(data, epochs, precision, device, watch=None):
        calls.append(device)
        result = right(data, epochs, precision, device, watch)
        result.history[-1]["train_loss"] *= 1.05 if len(calls) == 1 else 1
        return result

    monkeypatch.setattr(training, "train", wrong)
    with pytest.raises(AssertionError, match=r"epoch 1: loss off by 0\.0"):
        prepared.check()


def test_a_wrong_optimizer_is_found(monkeypatch):
    prepared = training.optimizer_step(True, False, tiny_machine())
    prepared.check()
    adam = torch.optim.Adam
    monkeypatch.setattr(
        torch.optim, "Adam", lambda weights, lr, **options: adam(weights, lr=1.01 * lr if options else lr, **options)
    )
    with pytest.raises(AssertionError, match="of their motion from float64"):
        training.optimizer_step(True, False, tiny_machine()).check()


def test_times_of_train_outlive_the_profiler(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("CUPTI is not permitted")

    monkeypatch.setattr(training, "profiled", fail)
    make = partial(training.per_step, NODES, "fp32", count=2, epochs=(1, 3))
    [result], failed = run_all(tiny_machine(), {"train, fp32": make}, tmp_path / "cpu.json")
    assert failed == ["train, fp32"]
    assert result["error"] == "profiler: RuntimeError: CUPTI is not permitted"
    assert result["minutes"] > 0


class Documented(torch.nn.Module):
    """MeshGraphNet with the arguments that its documentation names, as far as they are used."""

    def __init__(
        self,
        input_dim_nodes,
        input_dim_edges,
        output_dim,
        processor_size=15,
        mlp_activation_fn="relu",
        num_layers_node_processor=2,
        num_layers_edge_processor=2,
        hidden_dim_processor=128,
        hidden_dim_node_encoder=128,
        num_layers_node_encoder=2,
        hidden_dim_edge_encoder=128,
        num_layers_edge_encoder=2,
        hidden_dim_node_decoder=128,
        num_layers_node_decoder=2,
        aggregation="sum",
        do_concat_trick=False,
    ):
        super().__init__()
        assert do_concat_trick
        assert (processor_size, hidden_dim_processor) == (7, 64)
        self.nodes = torch.nn.Linear(input_dim_nodes, output_dim)
        self.edges = torch.nn.Linear(input_dim_edges, output_dim)

    def forward(self, node_features, edge_features, graph):
        assert graph.num_nodes == len(node_features)
        summed = torch.zeros(len(node_features), 1).index_add(0, graph.edge_index[1], self.edges(edge_features))
        return self.nodes(node_features) + summed


@pytest.fixture
def physicsnemo(monkeypatch):
    pytest.importorskip("torch_geometric")
    module = types.ModuleType("physicsnemo.models.meshgraphnet")
    module.MeshGraphNet = Documented
    for name in ("physicsnemo", "physicsnemo.models"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "physicsnemo.models.meshgraphnet", module)
    return module


@pytest.mark.parametrize("train", [True, False])
def test_mesh_graph_net_by_its_documented_interface(physicsnemo, train):
    prepared = networks.mesh_graph_net(train, NODES, tiny_machine())
    prepared.check()
    assert len(prepared.run()) == (5 if train else 1)
    assert prepared.edges == inputs.problem(NODES).graph.num_edges


def test_mesh_graph_net_reads_the_edges(physicsnemo):
    graph_of_problem = inputs.problem(NODES).graph
    module, predict = meshgraphnet.build(graph_of_problem)
    expected = bf.segment_sum(module.edges(graph_of_problem.vectors), graph_of_problem.row_ptr)
    expected = (expected + module.nodes(graph_of_problem.types.float()[:, None])).squeeze(-1)
    torch.testing.assert_close(predict(), expected)


def test_mesh_graph_net_with_another_interface(physicsnemo):
    """What the next version may do is a reason, not a failure."""
    physicsnemo.MeshGraphNet = torch.nn.Linear
    with pytest.raises(NotRun, match="MeshGraphNet of physicsnemo: TypeError"):
        networks.mesh_graph_net(True, NODES, tiny_machine())
