"""What the figures show, read back from the drawn objects."""

import numpy as np
import pytest

from botan_fast.errors import InputError
from botan_fast.figures.propensity import propensity_slice, save_figure


@pytest.fixture
def particles():
    rng = np.random.default_rng(0)
    box = np.array([6.0, 7.0, 8.0])
    positions = rng.uniform(-1, 2, (400, 3)) * box  # unwrapped
    return positions, rng.integers(0, 2, 400), box, rng.random(400), rng.random(400)


def drawn(panel):
    circles = panel.collections[0]
    return np.asarray(circles.get_offsets()), circles.get_array(), circles.get_clim()


def test_slice_shows_the_particles_of_the_slab(particles):
    positions, types, box, target, predicted = particles
    figure = propensity_slice(positions, types, box, target, predicted, axis=1, center=0.2, thickness=1.0)
    y = positions[:, 1] % box[1]
    inside = (y < 0.7) | (y > box[1] - 0.3)  # the slab reaches through the periodic face
    wrapped = (positions % box)[inside][:, [0, 2]]
    for panel, values in zip(figure.axes[:2], (target, predicted), strict=True):
        offsets, colours, limits = drawn(panel)
        np.testing.assert_allclose(offsets, wrapped)
        np.testing.assert_allclose(colours, values[inside])
        assert limits == drawn(figure.axes[0])[2]  # one scale for both
        assert panel.get_xlim() == (0, box[0])
        assert panel.get_ylim() == (0, box[2])
    is_a = inside & (types == 0)
    pearson = np.corrcoef(target[is_a], predicted[is_a])[0, 1]
    assert f"Pearson {pearson:.2f} over {is_a.sum()} " in figure.get_suptitle()


def test_two_dimensions_show_all(particles):
    positions, types, box, target, predicted = particles
    figure = propensity_slice(positions[:, :2], types, box[:2], target, predicted)
    assert len(drawn(figure.axes[0])[0]) == 400


def test_save_figure(particles, tmp_path):
    save_figure(propensity_slice(*particles), tmp_path / "slice.png")
    assert (tmp_path / "slice.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["slice.png"]


def test_refusals(particles):
    positions, types, box, target, predicted = particles
    with pytest.raises(InputError, match=r"box has shape \(3, 3\)"):
        propensity_slice(positions, types, np.diag(box), target, predicted)
    with pytest.raises(InputError, match=r"predicted has shape \(399,\); positions need \(400,\)"):
        propensity_slice(positions, types, box, target, predicted[1:])
    with pytest.raises(InputError, match="no particle within thickness = 0"):
        propensity_slice(positions, types, box, target, predicted, thickness=0.0)
