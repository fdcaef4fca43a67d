"""Columns of particles and bonds under their names, and the colours made of them."""

import numpy as np
import pytest

from botan_fast.errors import InputError
from botan_fast.evaluation.colors import UNKNOWN, scale_of_bonds, scale_of_particles
from botan_fast.evaluation.columns import bonds_of, cell_of, names_of, particle_columns, radii_of
from tests.helpers.predictions import CELLS, full_prediction


def test_the_error_is_predicted_less_actual():
    p = full_prediction()
    columns = particle_columns(p)
    assert list(columns) == ["propensity", "propensity_spread", "target_propensity", "propensity_error"]
    np.testing.assert_array_equal(columns["propensity_error"], p.propensity - p.target_propensity)
    assert list(particle_columns(full_prediction(target_propensity=None, propensity_spread=None))) == ["propensity"]
    assert list(particle_columns(full_prediction(propensity=None, propensity_spread=None))) == ["target_propensity"]


def test_names_of_other_targets_and_times():
    p = full_prediction(times=(0.1, 13.0), node_target="R", propensity_spread=None)
    columns = particle_columns(p)
    assert list(columns) == [
        f"{before}strain_relative_propensity{after}_t{t}"
        for before, after in (("", ""), ("target_", ""), ("", "_error"))
        for t in ("0.1", "13")
    ]
    np.testing.assert_array_equal(columns["strain_relative_propensity_t13"], p.propensity[:, 1])
    assert list(bonds_of(p).columns)[1:3] == ["pair_change_t0.1", "pair_change_t13"]


@pytest.mark.parametrize("cell", CELLS)
def test_bonds_are_the_near_pairs_once_with_the_mean_of_both_directions(cell):
    p = full_prediction(cell)
    bonds = bonds_of(p, 1.2)
    vectors = np.diag(p.box) if p.box.ndim == 1 else p.box
    shifts = np.stack(np.meshgrid(*[np.arange(-4, 5)] * len(vectors)), -1).reshape(-1, len(vectors)) @ vectors
    directed = {(s, r): k for k, (s, r) in enumerate(zip(p.senders, p.receivers, strict=True))}
    expected = []
    for i in range(len(p.positions)):
        for j in range(i + 1, len(p.positions)):
            away = np.linalg.norm(p.positions[j] - p.positions[i] + shifts, axis=1).min()
            if away < 1.2:
                expected.append((i, j))
                k = len(expected) - 1
                there, back = directed[i, j], directed[j, i]
                assert bonds.columns["distance"][k] == pytest.approx(away, rel=1e-6)
                mean = (p.pair_change[there] + p.pair_change[back]) / 2
                assert bonds.columns["pair_change"][k] == mean
                assert bonds.columns["target_pair_change"][k] == p.target_pair_change[there]
                assert bonds.columns["pair_change_error"][k] == mean - p.target_pair_change[there]
    assert bonds.pairs.tolist() == [list(pair) for pair in expected]


def test_no_bonds_and_bonds_without_numbers():
    assert bonds_of(full_prediction(), 0).pairs.shape == (0, 2)
    assert list(bonds_of(full_prediction(pair_change=None, target_pair_change=None)).columns) == ["distance"]
    for wrong in (-1.0, float("nan"), "far"):
        with pytest.raises(InputError, match="bonds = "):
            bonds_of(full_prediction(), wrong)
    p = full_prediction()
    p.senders = np.roll(p.senders, 1)
    with pytest.raises(InputError, match="both directions"):
        bonds_of(p)


def test_predicted_and_actual_have_one_scale():
    p = full_prediction()
    predicted, actual = scale_of_particles(p), scale_of_particles(p, "target_propensity")
    assert (predicted.column, actual.column) == ("propensity", "target_propensity")
    both = np.concatenate([p.propensity, p.target_propensity])
    np.testing.assert_allclose([predicted.low, predicted.high], np.percentile(both, [1, 99]), rtol=1e-6)
    assert (actual.low, actual.high, actual.colormap) == (predicted.low, predicted.high, "viridis")


def test_errors_and_bonds_are_shown_around_zero():
    p = full_prediction()
    error = scale_of_particles(p, "propensity_error")
    assert error.low == -error.high
    np.testing.assert_allclose(error.high, np.percentile(abs(p.propensity - p.target_propensity), 99), rtol=1e-6)
    bonds = bonds_of(p)
    for of_particles, of_bonds in (
        ("propensity", "pair_change"),
        ("propensity_spread", "pair_change"),
        ("target_propensity", "target_pair_change"),
        ("propensity_error", "pair_change_error"),
    ):
        scale = scale_of_bonds(bonds, scale_of_particles(p, of_particles), "propensity")
        assert (scale.column, scale.low, scale.colormap) == (of_bonds, -scale.high, "coolwarm")
    p = full_prediction(times=(0.1, 13.0))
    assert scale_of_bonds(bonds_of(p), scale_of_particles(p, "propensity_error_t13"), "propensity").column == (
        "pair_change_error_t13"
    )


def test_colors_go_along_the_map():
    from matplotlib import colormaps

    p = full_prediction(target_propensity=None)
    scale = scale_of_particles(p)
    middle = (scale.low + scale.high) / 2
    found = scale.colors(np.array([scale.low - 1, scale.low, middle, scale.high, scale.high + 1, np.nan]))
    viridis = colormaps["viridis"]
    np.testing.assert_allclose(found[:5], [viridis(x)[:3] for x in (0.0, 0.0, 0.5, 1.0, 1.0)])
    np.testing.assert_array_equal(found[5], UNKNOWN)
    flat = scale_of_particles(full_prediction(propensity=np.ones(120, np.float32), target_propensity=None))
    np.testing.assert_allclose(flat.colors(np.ones(3)), [viridis(0.5)[:3]] * 3)


def test_what_has_no_color():
    p = full_prediction(propensity=None, propensity_spread=None, target_propensity=None)
    assert scale_of_particles(p) is None
    assert scale_of_particles(full_prediction(), "none") is None
    assert scale_of_bonds(bonds_of(p), None, "propensity") is None
    with pytest.raises(InputError, match=r"color = 'propensty' is no column; choose one of propensity, .*, none; did"):
        scale_of_particles(full_prediction(), "propensty")


def test_names_radii_and_cell():
    p = full_prediction("flat")
    assert names_of(p) == ["A", "B"]
    assert set(zip(p.types.tolist(), radii_of(p).tolist(), strict=True)) == {(0, 0.5), (1, 0.44)}
    np.testing.assert_array_equal(cell_of(p), np.diag([8.0, 9.0, 1.0]))
    p.types = p.types + 25
    with pytest.raises(InputError, match="types hold 26; files name species by the letters A to Z"):
        names_of(p)
