"""Medians, ranges and lines of the scores, and which rows belong into a figure."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from botan_fast.errors import InputError
from botan_fast.figures import (
    learning_curve,
    pearson_against,
    pearson_against_time,
    pearson_of_targets,
    scans,
    transfer_matrix,
    transfer_of,
)


def lines(ax):
    """Of each line: label, x, medians, and the ends of the bars."""
    found = []
    for container in ax.containers:
        line, _, bars = container.lines
        ends = [] if not bars else np.array(bars[0].get_segments())[:, :, 1].tolist()
        found.append((container.get_label(), line.get_xdata().tolist(), line.get_ydata().tolist(), ends))
    return found


def test_median_and_range_of_the_seeds():
    rows = [{"time": t, "seed": s, "node_pearson": t / 100 + 0.1 * s**2} for t in (10, 1) for s in range(3)]
    [(_, x, y, ends)] = lines(pearson_against_time(rows))
    assert x == [1, 10]
    np.testing.assert_allclose(y, [0.11, 0.2])  # of s = 1
    np.testing.assert_allclose(ends, [[0.01, 0.41], [0.1, 0.5]])


def test_a_line_for_each_temperature_and_texts_of_a_table():
    rows = [{"p": str(p), "temperature": t, "edge_pearson": "0.5"} for p in (0, 0.4) for t in ("0.64", "0.44")]
    ax = pearson_against([*rows, {"p": "1", "temperature": "0.44", "edge_pearson": ""}], "p", score="edge_pearson")
    assert [(label, x) for label, x, _, _ in lines(ax)] == [("$T = 0.44$", [0, 0.4]), ("$T = 0.64$", [0, 0.4])]
    assert ax.get_ylabel() == r"Pearson of $\mathcal{E}_{ij}$ (A-A)"


def test_models_have_names():
    rows = [{"time": 1, "p": p, "node_pearson": 0.5} for p in (0.4, 1)]
    rows += [{"time": 1, "command": "baseline", "node_pearson": 0.4}, {"time": 1, "model": "mine", "node_pearson": 0}]
    labels = [label for label, *_ in lines(pearson_against(rows, "time", series="model"))]
    assert labels == ["BOTAN", "linear baseline", "mine", "node-targeting"]


def test_a_panel_for_each_target():
    rows = [{"time": 1, "p": 0.4, "node_target": letter, "node_pearson": 0.5} for letter in "SRS"]
    axes = pearson_of_targets(rows)
    assert [len(lines(ax)[0][1]) for ax in axes] == [1, 1]
    assert axes[0].get_ylim() == axes[1].get_ylim()


def test_a_model_looks_the_same_in_every_panel():
    both = [{"time": t, "p": p, "node_target": "S", "node_pearson": 0.5} for p in (0.4, 1) for t in (1, 10)]
    other = [row | {"node_target": "R"} for row in both]
    node = slice(2, None)  # without BOTAN
    for rows in ([*both, *other[node]], [*both[node], *other]):
        looks = {}
        for ax in pearson_of_targets(rows):
            for line in ax.containers:
                drawn = line.lines[0]
                look = (drawn.get_color(), drawn.get_marker(), drawn.get_linestyle())
                looks.setdefault(line.get_label(), set()).add(look)
        assert sorted(looks) == ["BOTAN", "node-targeting"]
        assert all(len(found) == 1 for found in looks.values())
        assert len(set.union(*looks.values())) == 2
        legends = [ax.get_legend() for ax in pearson_of_targets(rows) if ax.get_legend()]
        assert [len(legend.get_texts()) for legend in legends] == [2]


@pytest.mark.parametrize("last", [3, 52, 1e4])
def test_marks_of_a_logarithmic_axis_keep_clear(last):
    ax = pearson_against([{"time": t, "node_pearson": 0.5} for t in (1.65, last)], "time")
    FigureCanvasAgg(ax.figure).draw()
    shown = [tick.get_window_extent() for tick in ax.xaxis.get_ticklabels(which="both") if tick.get_text()]
    low, high = ax.transAxes.transform([(0, 0), (1, 1)])[:, 0]
    boxes = sorted((box for box in shown if low <= (box.x0 + box.x1) / 2 <= high), key=lambda box: box.x0)
    assert boxes
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_the_title_says_what_all_rows_share():
    rows = [{"num_steps": n, "seed": s, "temperature": [0.44], "time": 4120, "node_pearson": 0.5}
            for n in (1, 2) for s in (0, 1)]  # fmt: skip
    title = pearson_against(rows, "num_steps").get_title(loc="left")
    assert title == "$T = 0.44$, $t = 4120$, median and range of 2 seeds"


def test_the_ceiling_is_a_line():
    ax = learning_curve([{"num_train": 10, "node_pearson": 0.5}], ceiling=([20, 10], [0.9, 0.8]))
    assert ax.lines[0].get_xydata().tolist() == [[10, 0.8], [20, 0.9]]


def test_no_row_has_the_columns():
    with pytest.raises(InputError, match="rows: none of 1 rows has time and node_pearson"):
        pearson_against_time([{"time": None, "node_pearson": 0.1}])


def test_a_scan_differs_in_one_thing():
    """The paper's sweep: p is scanned at one time, and at the others there are two models, which are no scan."""
    rows = [{"time": t, "p": p, "seed": s, "node_target": "S", "node_pearson": 0.5}
            for t in (1, 2) for p in ((0, 0.2, 0.4, 1) if t == 1 else (0.4, 1)) for s in (0, 1)]  # fmt: skip
    found = scans(rows, "p", "node_pearson")
    assert {row["time"] for row in found} == {1}
    assert len(found) == 8
    assert {row["p"] for row in scans(rows, "time", "node_pearson")} == {0.4, 1}
    assert scans(rows, "num_steps", "node_pearson") == []
    assert scans(rows, "time", "edge_pearson") == []


def test_a_longer_run_is_another_setting_but_of_fewer_configurations():
    rows = [{"p": p, "num_train": n, "epochs": 60 // n, "node_pearson": 0.5} for p in (0.4, 1) for n in (5, 15)]
    longer = {"p": 0.4, "num_train": 15, "epochs": 400, "node_pearson": 0.9}
    assert len(scans([*rows, longer], "p", "node_pearson")) == 4
    assert len(scans(rows, "num_train", "node_pearson")) == 4


def test_a_scan_of_p_does_not_mix_pretrained_runs_with_others():
    rows = [{"p": p, "pretrained": int(p < 1), "node_pearson": 0.4} for p in (0, 0.4, 0.8, 1)]
    anew = {"p": 0.5, "pretrained": "0", "node_pearson": 0.9}
    assert [row["p"] for row in scans([anew, *rows], "p", "node_pearson")] == [0, 0.4, 0.8, 1]
    steps = [
        {"num_steps": n, "pretrained": start, "node_pearson": 0.4} for n in (1, 2, 3) for start in ([1], [0])[n == 3]
    ]
    assert [row["num_steps"] for row in scans(steps, "num_steps", "node_pearson")] == [1, 2]


def test_transfer_is_the_median_over_seeds():
    far = [{"command": "evaluate", "source": a, "source_time": a * 10, "temperature": b, "node_pearson": a * b + s}
           for a, b in ((1, 2), (2, 1)) for s in (0, 0.1, 0.5)]  # fmt: skip
    own = [{"command": "train", "p": 0.4, "temperature": t, "time": t * 10, "node_pearson": t / 4} for t in (1, 2)]
    wrong = [own[0] | {"time": 3}, own[0] | {"p": 1}, own[0] | {"node_target": "R"}, own[0] | {"temperature": 3}]
    for row in wrong[:3]:
        row["node_pearson"] = 9
    matrix, sources, targets = transfer_of([*far, *own, *wrong])
    assert (sources, targets) == ([1, 2], [1, 2])
    np.testing.assert_allclose(matrix, [[0.25, 2.1], [2.1, 0.5]])
    near = [far[0] | {"temperature": 1, "node_pearson": value} for value in (0.4, 0.6, 0.7)]
    assert transfer_of([*far, *own, *near])[0][0] == pytest.approx([0.6, 2.1])  # evaluated like the others
    ax = transfer_matrix([[0.25, None]], [1], [1, 2], temperature=0.44, number=4096)
    assert ax.get_title(loc="left") == "$T = 0.44$, $N = 4096$"
    assert [text.get_text() for text in ax.texts] == ["0.25"]
    with pytest.raises(InputError, match=r"matrix has shape \(1, 2\); 2 rows and 2 columns need"):
        transfer_matrix([[0.25, None]], [1, 2], [1, 2])
