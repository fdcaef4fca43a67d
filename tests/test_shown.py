"""What is shown of results, in a line and in a notebook: short, and escaped where names come from files."""

import numpy as np
import torch

import botan_fast as bf
from botan_fast.evaluation.prediction import ConfigurationPrediction, FramePrediction
from botan_fast.markup import html_table
from botan_fast.training.result import TrainingResult


def test_graph():
    graph = bf.build_graph([[0.1, 0.0], [0.9, 0.0]], [0, 1], box=[4.0, 4.0], cutoff=2.0)
    shown = graph._repr_html_()
    assert "<caption>Graph</caption>" in shown
    assert "2, 1.0 of a node" in shown
    assert "of several kinds" not in shown
    other = bf.build_graph([[0.1, 0.0], [0.9, 0.0]], [0, 1], box=[5.0, 5.0], cutoff=2.0)
    batch = bf.batch_graphs([graph, other])._repr_html_()
    assert "of several kinds" in batch
    assert ">graphs</th>" in batch


def test_prediction():
    prediction = bf.Prediction(torch.linspace(0, 1, 1000, requires_grad=True), torch.zeros(5, 3))
    assert repr(prediction) == "Prediction(node=(1000,) float32 on cpu, edge=(5, 3) float32 on cpu)"
    assert "from 0 to 1" in prediction._repr_html_()
    node, edge = prediction  # still a tuple
    assert (node.shape, edge.shape) == ((1000,), (5, 3))
    assert repr(bf.Prediction(torch.zeros(0), None)) == "Prediction(node=(0,) float32 on cpu, edge=None)"
    assert "None" in bf.Prediction(torch.zeros(0), None)._repr_html_()


def test_configuration_prediction():
    none = np.empty(0, np.int32)
    held = ("<b>", np.zeros((1000, 3)), np.zeros(1000, int), np.ones(3), np.ones(1000, np.float32))
    prediction = ConfigurationPrediction(*held, none, none, np.empty(0, np.float32))
    assert repr(prediction) == "ConfigurationPrediction('<b>', particles=1000, edges=0, holds=propensity)"
    assert "&lt;b&gt;" in prediction._repr_html_()
    frame = FramePrediction(*held, none, none, np.empty(0, np.float32), node_target="R", frame=3)
    assert repr(frame).startswith("FramePrediction('<b>', particles=1000")
    assert prediction.quantity in repr(prediction)
    assert frame.quantity in repr(frame)


def test_training_result(tmp_path):
    row = {"epoch": 0, "train_loss": 0.25, "test_loss": None, "node_pearson": 0.5}
    result = TrainingResult(bf.BOTAN(), [row], tmp_path / "<run>", stopped="patience & time")
    assert repr(result) == f"TrainingResult(1 epochs, train_loss=0.25, node_pearson=0.5, output='{tmp_path}/<run>')"
    shown = result._repr_html_()
    assert "0.25" in shown
    assert "&lt;run&gt;" in shown
    assert "patience &amp; time" in shown
    left, right = result.plot()
    assert left.lines[0].get_xydata().tolist() == [[0, 0.25]]
    assert right.lines[0].get_xydata().tolist() == [[0, 0.5]]


def test_odd_results_are_shown_too():
    """A notebook must not stop at what it shows."""
    none = np.empty(0, np.int32)
    empty = ("", np.zeros((0, 3)), np.zeros(0, int), np.ones(3), None, none, none, np.empty(0, np.float32))
    for one in (
        TrainingResult(bf.BOTAN(), [], None),
        TrainingResult(bf.BOTAN(), [{"epoch": 7, "train_loss": 0.1}], None, epoch=7),
        TrainingResult(bf.BOTAN(), [{"epoch": 0, "train_loss": "nan"}], None),
        bf.Prediction(torch.full((3,), torch.nan), torch.zeros(0)),
        bf.build_graph(np.zeros((0, 3)), np.zeros(0, int), [5.0, 5.0, 5.0]),
        ConfigurationPrediction(*empty),
    ):
        assert len(repr(one)) < 200
        assert one._repr_html_().startswith("<table>")


def test_tables_escape_names_and_values():
    assert "<i>" not in html_table("<i>", [("<i>", "<i>")])
