"""What the pictures of particles show, read back from the drawn objects."""

import numpy as np
import pytest

from botan_fast.errors import InputError
from botan_fast.figures import propensity_compared, propensity_map

BOX = np.array([6.0, 7.0, 8.0])


@pytest.fixture
def particles():
    rng = np.random.default_rng(0)
    positions = rng.uniform(-1, 2, (400, 3)) * BOX  # unwrapped
    return positions, rng.integers(0, 2, 400), BOX, rng.random(400), rng.random(400)


def discs(ax):
    drawn = ax.collections[0]
    return np.asarray(drawn.get_offsets()), drawn.get_widths(), drawn.get_array(), drawn.get_clim()


def test_a_disc_at_an_edge_is_drawn_whole(particles):
    """Where a disc crosses an edge of the box, the rest of it comes in on the other side."""
    positions, types, box, values, _ = particles
    ax = propensity_map(positions, types, box, values, slab=(3.0, 4.0))
    z = positions[:, 2] % 8
    offsets, widths, colors, _ = discs(ax)
    drawn = {(round(x, 6), round(y, 6), c) for (x, y), c in zip(offsets, colors, strict=True)}
    expected = set()
    for i in np.flatnonzero((z > 3) & (z < 4)):
        radius = (0.5, 0.44)[types[i]]
        for x in positions[i, 0] % 6 + np.array([-6.0, 0.0, 6.0]):
            for y in positions[i, 1] % 7 + np.array([-7.0, 0.0, 7.0]):
                if -radius < x < 6 + radius and -radius < y < 7 + radius:
                    expected.add((round(x, 6), round(y, 6), values[i]))
    assert drawn == expected
    assert len(drawn) > ((z > 3) & (z < 4)).sum()
    assert set(np.round(widths, 9)) == {1.0, 0.88}
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 6), (0, 7))


def test_the_same_colours_for_both(particles):
    positions, types, box, actual, predicted = particles
    axes = propensity_compared(positions, types, box, actual, predicted, axis=1, slab=(-0.5, 0.5))
    (_, _, left, span), (_, _, right, other), (_, _, error, around) = map(discs, axes)
    assert span == other
    assert around == (-around[1], around[1])
    assert span[0] < span[1]
    np.testing.assert_allclose(left - right, error, atol=1e-12)
    both = np.concatenate([np.unique(np.asarray(values)) for values in (left, right)])  # without images
    np.testing.assert_allclose(span, np.percentile(both, [1, 99]))


def test_the_figure_says_what_it_shows(particles):
    positions, types, box, actual, predicted = particles
    axes = propensity_compared(positions, types, box, actual, predicted, slab=(3, 4), temperature=0.44, time=4120)
    is_a = types == 0
    pearson = np.corrcoef(actual[is_a], predicted[is_a])[0, 1]
    spread = predicted[is_a].std() / actual[is_a].std()
    titles = [ax.get_title(loc="left").splitlines() for ax in axes]
    assert titles[0] == [f"BOTAN, Pearson {pearson:.2f} (type A)", f"spread {spread:.2f} of that of the simulation"]
    assert titles[1] == ["simulation", "$T = 0.44$, $t = 4120$, $N = 400$"]
    assert titles[2] == [r"error, BOTAN $-$ simulation", "$3 < z < 4$"]
    axes = propensity_compared(positions, types, box, actual, predicted, slab=(3, 4), model="linear baseline")
    assert [ax.get_title(loc="left").split(",")[0] for ax in axes[::2]] == ["linear baseline", "error"]
    assert axes[2].get_title(loc="left").startswith(r"error, linear baseline $-$ simulation")


def test_arrows_of_the_field(particles):
    positions, types, box, actual, _ = particles
    points = np.array([[1.0, 1.0], [2.0, 3.0], [4.0, 4.0]])
    arrows = np.array([[0.1, 0.0], [0.0, -0.2], [np.nan, 0.0]])
    ax = propensity_map(positions, types, box, actual, field=(points, arrows))
    quiver = ax.collections[1]
    np.testing.assert_allclose(quiver.get_offsets(), points[:2])  # what is not known is left out
    np.testing.assert_allclose(np.stack([quiver.U, quiver.V], axis=1), arrows[:2])
    with pytest.raises(InputError, match=r"field has points \(3, 2\) and arrows \(2, 2\)"):
        propensity_map(positions, types, box, actual, field=(points, arrows[:2]))


def test_two_dimensions(particles):
    positions, types, box, actual, _ = particles
    ax = propensity_map(positions[:, :2], types, box[:2], actual)
    assert len(np.unique(discs(ax)[2])) == 400


def test_axes_of_the_caller(particles):
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert propensity_map(*particles[:4], ax=ax, label=None) is ax
    assert len(ax.figure.axes) == 1  # no bar


def test_refusals(particles):
    positions, types, box, actual, predicted = particles
    with pytest.raises(InputError, match=r"predicted has shape \(399,\); give \(400,\), one of each particle"):
        propensity_compared(positions, types, box, actual, predicted[1:])
    with pytest.raises(InputError, match=r"values\[3\] = nan is not finite"):
        propensity_map(positions, types, box, np.where(np.arange(400) == 3, np.nan, actual))
    with pytest.raises(InputError, match=r"types has shape \(400,\) and dtype float64"):
        propensity_map(positions, types * 1.0, box, actual)
    with pytest.raises(InputError, match=r"limits = \(1, 0\) must rise"):
        propensity_map(positions, types, box, actual, limits=(1, 0))
