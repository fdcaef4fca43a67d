"""Coefficients and their intervals, against SciPy and by leaving configurations out one by one."""

import math

import numpy as np
import pytest
from scipy import stats

from botan_fast.evaluation.coefficients import pearson, slope, spearman
from botan_fast.evaluation.intervals import ANY, COEFFICIENT, POSITIVE, jackknife_interval, mean_interval
from botan_fast.evaluation.measures import Compared, measures

RNG = np.random.default_rng(11)


def parts(number=5, size=200):
    """Configurations of different means, predictions that know half of the targets; numbers as models give them."""
    found = []
    for k in range(number):
        target = (RNG.standard_normal(size + 10 * k) + 0.3 * k).astype(np.float32)
        prediction = (0.5 * target + 0.4 * RNG.standard_normal(len(target)) + 0.1 * k).astype(np.float32)
        found.append(Compared(prediction, target.astype(np.float64)))
    return found


def test_spearman_is_scipys_with_and_without_ties():
    x, y = RNG.standard_normal((2, 500))
    y = y + x
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-13)
    x, y = np.round(2 * x), np.round(y)  # many are equal
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-13)
    assert spearman(x, np.exp(x)) == pytest.approx(1, abs=1e-13)
    assert math.isnan(spearman([1.0, 1.0], [1.0, 2.0]))


def test_slope_is_that_of_the_line():
    x, y = RNG.standard_normal((2, 500))
    y = 3 * x + y + 7
    assert slope(x, y) == pytest.approx(np.polyfit(x, y, 1)[0], abs=1e-12)
    assert slope(x, y) * x.std() / y.std() == pytest.approx(pearson(x, y), abs=1e-12)
    assert slope(x, np.full(500, 2.0)) == 0
    assert math.isnan(slope(np.full(500, 0.1), y))
    assert math.isnan(slope([1.0], [1.0]))


def test_measures_are_means_and_pooled():
    held = parts()
    found = measures(held)
    for name, function in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        each = [function(p.prediction.astype(float), p.target)[0] for p in held]
        assert found[name] == pytest.approx(np.mean(each), abs=1e-12)
        whole = function(*(np.concatenate([p[k] for p in held]).astype(float) for k in (0, 1)))[0]
        assert found[f"{name}_pooled"] == pytest.approx(whole, abs=1e-12)
    assert found["loss"] == pytest.approx(np.mean([np.mean((p.prediction - p.target) ** 2) for p in held]), abs=1e-12)
    assert found["slope"] == pytest.approx(np.mean([np.polyfit(p[0], p[1], 1)[0] for p in held]), abs=1e-6)
    assert found["number"] == sum(len(p.target) for p in held)
    assert found["num_configurations"] == 5
    assert found["reliability"] is None
    assert found["ceiling"] is None


def test_the_interval_of_a_mean_is_students():
    held = parts()
    each = [pearson(p.prediction, p.target) for p in held]
    expected = stats.t.interval(0.95, len(each) - 1, loc=np.mean(each), scale=stats.sem(each))
    assert measures(held)["interval"]["pearson"] == pytest.approx(expected, abs=1e-12)
    assert mean_interval(each, confidence=0.5) == pytest.approx(
        stats.t.interval(0.5, len(each) - 1, loc=np.mean(each), scale=stats.sem(each)), abs=1e-12
    )


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of three configurations, too: a bootstrap of three values would hold it in three cases of four."""
    hits = [low < 0.7 < high for low, high in (mean_interval(0.7 + 0.1 * RNG.standard_normal(3)) for _ in range(2000))]
    assert 0.93 < np.mean(hits) < 0.97  # four standard errors of 2,000 draws


def test_the_jackknife_of_a_mean_is_students():
    x = RNG.standard_normal(7)
    without = [np.delete(x, k).mean() for k in range(7)]
    assert jackknife_interval(x.mean(), without) == pytest.approx(mean_interval(x), abs=1e-12)


@pytest.mark.parametrize(("name", "function"), [("pearson_pooled", pearson), ("slope_pooled", slope)])
def test_pooled_intervals_leave_configurations_out(name, function):
    held = [Compared(p.prediction, p.target + 1e4) for p in parts()]  # moments about 0 would lose eight digits
    found = measures(held)

    def of(chosen):
        return function(*(np.concatenate([p[k] for p in chosen]) for k in (0, 1)))

    without = [of([p for p in held if p is not left_out]) for left_out in held]
    assert found["interval"][name] == pytest.approx(jackknife_interval(of(held), without), rel=1e-6)


def test_too_few_configurations_have_no_interval():
    assert mean_interval([0.5]) is None
    assert mean_interval([0.5, math.nan]) is None
    assert jackknife_interval(0.5, [0.4, 0.6]) is None
    assert jackknife_interval(math.nan, [0.4, 0.6, 0.5]) is None
    assert set(measures(parts(1))["interval"].values()) == {None}
    two = measures(parts(2))["interval"]
    assert two["pearson"] is not None
    assert two["pearson_pooled"] is None


def test_an_interval_ends_where_the_quantity_does():
    assert mean_interval([0.9, 0.99], COEFFICIENT)[1] == 1.0
    assert mean_interval([0.1, 3.0], POSITIVE)[0] == 0.0
    assert mean_interval([0.1, 3.0], ANY)[0] < 0


def test_what_does_not_vary_is_no_number():
    found = measures([Compared(np.ones(5), np.arange(5.0))] * 3)
    assert math.isnan(found["pearson"])
    assert math.isnan(found["pearson_pooled"])
    assert math.isnan(found["slope"])
    assert found["interval"]["pearson"] is None
    assert found["interval"]["slope_pooled"] is None
    assert found["loss"] == np.mean((np.arange(5) - 1) ** 2)
