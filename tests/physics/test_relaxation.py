"""Relaxation times: the crossing of a threshold, and the fit in two steps on curves whose parameters are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.paper import times_of

TIMES = np.geomspace(0.05, 500, 41)


def curve(times, f=0.75, tau_s=0.2, tau=16.5, b=0.7, b_s=2.0):
    return (1 - f) * np.exp(-((times / tau_s) ** b_s)) + f * np.exp(-((times / tau) ** b))


# ---- the crossing -----------------------------------------------------------------------------------------------


def test_relaxation_time():
    times = np.logspace(-1, 4, 101)
    for tau, beta in ((16.5, 1.0), (4120.0, 0.6), (0.2, 1.0)):
        found = bf.relaxation_time(times, np.exp(-((times / tau) ** beta)))
        assert found == pytest.approx(tau, rel=2e-3)
    # Exact between two points: F falls linearly in log t from 0.9 at 1 to 0.1 at 100.
    assert bf.relaxation_time([1.0, 100.0], [0.9, 0.1], threshold=0.5) == pytest.approx(10.0)
    assert bf.relaxation_time([0.0, 8.0], [1.0, 0.2], threshold=0.6) == pytest.approx(4.0)
    # The first crossing counts; a value on the threshold is one; above it there is none.
    assert bf.relaxation_time([1, 2, 3, 4], [0.9, 0.5, 0.9, 0.1], threshold=0.5) == 2.0
    assert bf.relaxation_time([1.0, 2.0], [0.9, 0.5], threshold=0.4) is None
    for arguments, message in (
        (([1.0, 2.0], [0.3, 0.1]), r"values\[0\] = 0.3 is not above threshold = 0.367879; give earlier times"),
        (([2.0, 1.0], [0.9, 0.1]), "times must rise"),
        (([-1.0, 1.0], [0.9, 0.1]), "times must rise and not be negative"),
        (([1.0, 2.0], [0.9]), "times has shape"),
        (([1.0, 2.0], [0.9, np.nan]), r"values\[1\] = nan is not finite"),
        (([], []), "T > 0"),
    ):
        with pytest.raises(InputError, match=message):
            bf.relaxation_time(*arguments)


# ---- the fit in two steps ---------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(
    f=st.floats(0.4, 0.92), tau_s=st.floats(0.1, 0.3), ratio=st.floats(30, 30_000), b=st.floats(0.45, 1.0),
    short=st.sampled_from([2.0, 1.2, 1.8]),
)  # fmt: skip
def test_the_fit_finds_the_parameters(f, tau_s, ratio, b, short):
    tau = tau_s * ratio
    times = np.geomspace(0.05, 20 * tau, 45)
    values = curve(times, f, tau_s, tau, b, short)
    for given_exponent in (short, None):
        fit = bf.relaxation_time(times, values, method="two-step", short_exponent=given_exponent)
        assert fit.tau_alpha == pytest.approx(tau, rel=2e-3)
        assert [fit.plateau, fit.exponent] == pytest.approx([f, b], rel=2e-3)
        assert [fit.tau_s, fit.short_exponent] == pytest.approx([tau_s, short], rel=1e-2)
        assert fit.uncertainty < 1e-3 * tau
        assert fit.residual < 1e-4
        np.testing.assert_allclose(fit.at(times), values, atol=5e-4)
        assert fit.at(0.0) == 1.0


@pytest.mark.parametrize("temperature", [0.44, 0.50, 0.64])
def test_the_times_of_the_paper_determine_the_fit(temperature):
    times = np.array(times_of(temperature))
    tau = times[[6, 6, 5][[0.44, 0.50, 0.64].index(temperature)]]
    fit = bf.relaxation_time(times, curve(times, tau=tau), method="two-step", short_exponent=2.0)
    assert float(fit) == pytest.approx(tau, rel=1e-3)
    assert (fit.configurations, fit.short_exponent) == (0, 2.0)
    # With noise, a free b_s does not bias tau_alpha where the truth is another than 2.
    values = curve(times, tau=tau, b_s=1.5) + 0.01 * np.random.default_rng(4).standard_normal((10, len(times)))
    fit = bf.relaxation_time(times, values, method="two-step", short_exponent=None)
    assert abs(fit.tau_alpha - tau) < 3 * fit.uncertainty < 0.1 * tau


def test_the_uncertainty_covers_the_truth():
    """Curves of configurations that differ in tau, as those of a liquid do: errors that are equal at all times."""
    rng = np.random.default_rng(0)
    deviations = []
    for _ in range(40):
        taus = 16.5 * np.exp(0.3 * rng.standard_normal(12))
        values = np.array([curve(TIMES, tau=tau) for tau in taus]) + 0.003 * rng.standard_normal((12, len(TIMES)))
        fit = bf.relaxation_time(TIMES, values, method="two-step")
        assert fit.configurations == 12
        deviations.append((fit.tau_alpha - 16.5 * np.exp(0.3**2 / 2)) / fit.uncertainty)
    # Mean square 1 where the error is right; the mean curve of different tau is not quite of the form.
    assert 0.5 < np.sqrt(np.mean(np.square(deviations))) < 1.6
    # Independent noise on one curve: the covariance of the fit.
    deviations = []
    for _ in range(60):
        fit = bf.relaxation_time(TIMES, curve(TIMES) + 0.005 * rng.standard_normal(len(TIMES)), method="two-step")
        deviations.append((fit.tau_alpha - 16.5) / fit.uncertainty)
    assert 0.7 < np.sqrt(np.mean(np.square(deviations))) < 1.4


def test_the_order_of_the_configurations_does_not_matter():
    rng = np.random.default_rng(1)
    values = curve(TIMES) + 0.01 * rng.standard_normal((8, len(TIMES)))
    first = bf.relaxation_time(TIMES, values, method="two-step")
    for _ in range(3):
        other = bf.relaxation_time(TIMES, values[rng.permutation(8)], method="two-step")
        assert other.tau_alpha == first.tau_alpha
        assert other.uncertainty == pytest.approx(first.uncertainty, rel=1e-9)
    # The same curve eight times: no spread; and it is the mean that is fitted.
    same = bf.relaxation_time(TIMES, np.repeat(values.mean(0)[None], 8, axis=0), method="two-step")
    assert same.tau_alpha == pytest.approx(first.tau_alpha, rel=1e-6)
    assert same.uncertainty < 1e-6
    # Time is scaled as a whole.
    scaled = bf.relaxation_time(1e4 * TIMES, values, method="two-step")
    assert scaled.tau_alpha == pytest.approx(1e4 * first.tau_alpha, rel=1e-4)


def test_time_zero_says_nothing():
    times = np.concatenate(([0.0], TIMES))
    with_zero = bf.relaxation_time(times, curve(times), method="two-step")
    assert with_zero == bf.relaxation_time(TIMES, curve(TIMES), method="two-step")


EARLY, LATE = TIMES < 1.0, TIMES > 1.0


@pytest.mark.parametrize(
    ("times", "values", "options", "message"),
    [
        (
            TIMES[::10], curve(TIMES[::10]), {"short_exponent": 2.0},
            "times holds 5 above 0; the fit in two steps needs at least 6",
        ),
        (TIMES[::7], curve(TIMES[::7]), {"short_exponent": None}, "times holds 6 above 0.*at least 7"),
        (TIMES[TIMES < 8], curve(TIMES[TIMES < 8]), {}, "too little for the fit in two steps.*give later times"),
        (TIMES[EARLY], curve(TIMES[EARLY], tau=1e5), {}, "two steps"),
        (TIMES[LATE], curve(TIMES[LATE]), {}, "two steps|first step"),
        (TIMES, np.exp(-TIMES / 10), {}, "do not decay in two steps.*use the method 'threshold'"),
        (TIMES, np.exp(-((TIMES / 10) ** 0.5)), {}, "do not decay in two steps|do not determine|first step"),
        (TIMES, np.full(len(TIMES), 0.7), {}, "two steps"),
        (TIMES, np.random.default_rng(3).random(len(TIMES)), {}, "two steps|do not determine"),
        (TIMES, curve(TIMES), {"short_exponent": 0.0}, "short_exponent = 0.0 must be positive"),
        (TIMES, curve(TIMES), {"threshold": 0.5}, "threshold = 0.5 is of method 'threshold'"),
        (TIMES, curve(TIMES)[:-1], {}, r"values \(40,\); give two arrays \(T,\) with T > 0, or values \(M, T\)"),
        (TIMES, curve(TIMES)[None], {}, "of M > 1 configurations"),
        (TIMES[::-1], curve(TIMES), {}, "times must rise"),
        (TIMES, curve(TIMES) * np.nan, {}, r"values\[0\] = nan is not finite"),
        (TIMES, curve(TIMES), {"method": "kww"}, "method = 'kww' is unknown; give 'threshold' or 'two-step'"),
    ],
)  # fmt: skip
def test_what_the_data_do_not_determine_is_refused(times, values, options, message):
    with pytest.raises(InputError, match=message) as caught:
        bf.relaxation_time(times, values, **{"method": "two-step", **options})
    assert "\n" not in str(caught.value)


def test_the_threshold_takes_one_curve():
    with pytest.raises(InputError, match="values \\(2, 41\\); give two arrays"):
        bf.relaxation_time(TIMES, np.stack([curve(TIMES)] * 2))
