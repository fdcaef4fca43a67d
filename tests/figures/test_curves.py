"""Losses, F_s, densities: numbers of the drawn objects."""

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.figures import actual_against_predicted, losses, pair_change_compared, pair_change_map, scattering


def test_losses_as_far_as_they_are_known():
    history = {"epoch": ["0", "1", "2"], "train_loss": ["0.4", "0.2", "0.1"], "test_loss": ["0.5", "", "0.2"]}
    ax = losses(history)
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[0, 0.4], [1, 0.2], [2, 0.1]], [[0, 0.5], [2, 0.2]]]
    assert ax.get_yscale() == "log"
    with pytest.raises(InputError, match="history has no loss above 0"):
        losses([{"epoch": 0, "train_loss": 0.0}])
    with pytest.raises(InputError, match="history: none of 0 rows has epoch"):
        losses([])


@pytest.mark.parametrize(("error", "said"), [(0.4, "16.5(4)"), (1.4, "16.5(14)"), (12.0, "16(12)"), (30.0, "20(30)"),
                                             (0.096, "16.50(10)"), (float("nan"), "16.5")])  # fmt: skip
def test_tau_alpha_and_its_error(error, said):
    fit = bf.TwoStepFit(16.5, error, plateau=0.75, tau_s=0.2, short_exponent=2.0, exponent=0.7, residual=0.002)
    times = np.logspace(-1, 2, 30)
    ax = scattering(times, fit.at(times), fit=fit, temperature=0.64, number=4096)
    assert ax.get_legend_handles_labels()[1] == [rf"$T = 0.64$, $\tau_\alpha = {said}$"]
    assert list(ax.lines[2].get_xdata()) == [16.5, 16.5]  # from the curve down to the axis
    np.testing.assert_allclose(ax.lines[2].get_ydata(), [0, fit.at(16.5)])
    assert ax.get_title(loc="left") == "$N = 4096$, type A"


def test_mean_and_standard_error_of_the_configurations():
    curves = np.array([[0.9, 0.5], [0.7, 0.1]])
    ax = scattering([1.0, 10.0], curves)
    line, _, [bars] = ax.containers[0].lines
    np.testing.assert_allclose(line.get_ydata(), [0.8, 0.3])
    np.testing.assert_allclose(np.array(bars.get_segments())[:, :, 1], [[0.7, 0.9], [0.1, 0.5]])
    second = scattering([1.0, 10.0], curves, label="more", ax=ax)
    assert second is ax
    assert len({container.lines[0].get_color() for container in ax.containers}) == 2
    with pytest.raises(InputError, match="times begins with 0"):
        scattering([0.0, 1.0], [1.0, 0.5])
    with pytest.raises(InputError, match=r"values has shape \(3,\); give \(2,\) or \(M, 2\)"):
        scattering([1.0, 2.0], [1.0, 0.5, 0.1])


def test_cells_hold_the_pairs():
    rng = np.random.default_rng(0)
    r, actual = 1 + rng.random(5000), rng.standard_normal(5000)
    ax = pair_change_map(r, actual, limits=(-2, 2), bins=7)
    counts = np.ma.filled(ax.collections[0].get_array(), 0)
    expected = np.histogram2d(r, actual, bins=7, range=[(r.min(), r.max()), (-2, 2)])[0]
    np.testing.assert_array_equal(counts, expected.T)
    axes = pair_change_compared(r, actual, 0.1 * actual, temperature=0.44)
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert axes[0].collections[0].norm.vmax == axes[1].collections[0].norm.vmax
    assert axes[1].get_title(loc="left") == "simulation\n$T = 0.44$"
    with pytest.raises(InputError, match="bins = 1 must be at least 2"):
        pair_change_map(r, actual, bins=1)


def test_slope_and_pearson_of_actual_against_predicted():
    x = np.arange(100.0)
    ax = actual_against_predicted(3 + 2 * x, x)
    assert ax.texts[0].get_text().splitlines()[:2] == ["Pearson 1.00", "slope 2.00"]
    np.testing.assert_allclose(ax.lines[1].get_xydata(), [[0, 3], [99, 201]])
    assert ax.get_xlim() == ax.get_ylim()
    constant = actual_against_predicted(x, np.ones(100))  # no slope, and no error
    assert constant.texts[0].get_text() == "100 points"
