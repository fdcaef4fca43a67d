"""F_s, overlap, bond breaking and chi_4 against their definition in plain NumPy and exact results."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.physics.kob_andersen import KOB_ANDERSEN_DIAMETERS

BOXES = {
    "square": [4.3, 5.1],
    "tilted2": [[4.5, 0.0], [1.7, 4.8]],
    "cube": [4.2, 4.6, 5.0],
    "tilted3": [[4.7, 0.0, 0.0], [1.1, 4.6, 0.0], [-0.9, 1.3, 4.9]],
}


def system(box, num_nodes=40, shape=(6,), seed=0, size=0.3):
    rng = np.random.default_rng(seed)
    cell = np.diag(box) if np.ndim(box) == 1 else np.array(box)
    start = rng.random((num_nodes, len(cell))) @ cell
    return start, start + size * rng.standard_normal((*shape, *start.shape)), rng.integers(0, 2, num_nodes), cell


# ---- F_s, overlap -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scattering_is_the_average_over_directions(dimensions, dtype):
    """The cosine, averaged over a fine quadrature of wave vectors on the circle or the sphere."""
    start, frames, types, _ = system([5.0] * dimensions, shape=(2, 3))
    frames = frames.astype(dtype)
    angle = 2 * np.pi * (np.arange(100) + 0.5) / 100
    if dimensions == 2:
        directions, weights = np.stack([np.cos(angle), np.sin(angle)], -1), np.full(100, 1 / 100)
    else:
        z, w = np.polynomial.legendre.leggauss(60)
        ring = np.sqrt(1 - z**2)[:, None]
        directions = np.stack(np.broadcast_arrays(ring * np.cos(angle), ring * np.sin(angle), z[:, None]), -1)
        directions, weights = directions.reshape(-1, 3), np.repeat(w / 2 / 100, 100)
    for k in (0.3, 7.25, 40.0):  # in two dimensions both branches of the Bessel function
        u = (frames.astype(float) - start).reshape(-1, dimensions)
        each = np.array([np.cos(k * directions @ one) @ weights for one in u]).reshape(2, 3, len(start))
        np.testing.assert_allclose(bf.self_intermediate_scattering(start, frames, k), each.mean(-1), atol=1e-12)
        for species in (0, 1):
            found = bf.self_intermediate_scattering(start, frames, k, types=types, species=species)
            assert found.shape == (2, 3)
            np.testing.assert_allclose(found, each[:, :, types == species].mean(-1), atol=1e-12)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_scattering_of_gaussian_displacements(dimensions):
    """Ideal gas: F_s = exp(-k^2 sigma^2 / 2) within five standard errors."""
    rng = np.random.default_rng(5)
    start, k = rng.random((20_000, dimensions)), 7.25
    for sigma in (0.05, 0.15, 0.3):
        value = bf.self_intermediate_scattering(start, start + sigma * rng.standard_normal(start.shape), k)
        assert isinstance(value, float)
        assert abs(value - np.exp(-(k**2) * sigma**2 / 2)) < 5 / np.sqrt(dimensions * 20_000)
    assert bf.self_intermediate_scattering(start, start) == pytest.approx(1.0, abs=1e-13)


def test_overlap_counts():
    start, frames, types, _ = system([5.0, 5.0, 5.0], shape=(4, 2))
    expected = np.array([[np.mean([np.linalg.norm(r - s) < 0.3 for r, s in zip(f, start, strict=True)]) for f in row]
                         for row in frames])  # fmt: skip
    np.testing.assert_array_equal(bf.overlap(start, frames), expected)
    members = types == 1
    species = bf.overlap(start, frames, 0.5, types=types, species=1)
    np.testing.assert_array_equal(species, bf.overlap(start[members], frames[:, :, members], 0.5))
    assert bf.overlap(start, torch.from_numpy(start)) == 1.0


# ---- bond breaking ----------------------------------------------------------------------------------------------


def bonds_by_definition(start, frames, cell, types, sigma, inner, outer):
    inverse, kept, number = np.linalg.inv(cell), np.zeros((len(frames), len(start))), np.zeros(len(start), int)
    for i in range(len(start)):
        for j in range(len(start)):
            bond = start[j] - start[i]
            bond = bond - np.rint(bond @ inverse) @ cell
            length = sigma[types[i]][types[j]]
            if i == j or not np.linalg.norm(bond) < inner * length:
                continue
            number[i] += 1
            for t, frame in enumerate(frames):
                later = bond + (frame[j] - start[j]) - (frame[i] - start[i])
                kept[t, i] += np.linalg.norm(later) < outer * length
    return kept, number


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bond_breaking_definition(box, dtype):
    start, frames, types, cell = system(box, num_nodes=16)
    frames = frames.astype(dtype)
    for inner, outer, sigma in ((1.35, 1.7, KOB_ANDERSEN_DIAMETERS), (1.0, 1.2, ((1, 1), (1, 1)))):
        kept, number = bonds_by_definition(start, frames.astype(float), cell, types, sigma, inner, outer)
        assert (number == 0).any() or inner > 1
        result = bf.bond_breaking(start, frames, box, types=types, diameters=sigma, inner=inner, outer=outer)
        np.testing.assert_array_equal(result.bonds, number)
        part = np.where(number > 0, kept / np.maximum(number, 1), 1.0)
        np.testing.assert_allclose(result.particles, part.mean(0), rtol=1e-14)
        np.testing.assert_allclose(result.values, part[:, number > 0].mean(1), rtol=1e-14)
        assert result.mean == pytest.approx(result.values.mean())
        assert 0 < result.mean < 1
    plain = bf.bond_breaking(start, frames, box, inner=1.0, outer=1.2)
    np.testing.assert_array_equal(plain.values, result.values)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_no_bond_breaks_at_rest_or_in_common_motion(box):
    start, _, _, cell = system(box)
    far = start + 100.0
    for frame in (start, far):
        result = bf.bond_breaking(start, frame, box)
        assert result.mean == 1.0
        assert result.values.shape == ()
        assert (result.particles == 1.0).all()
    scattered = start + 50 * np.arange(len(start))[:, None]
    assert bf.bond_breaking(start, scattered[None, None], cell).values.tolist() == [[0.0]]


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_symmetries(box, seed):
    start, frames, types, cell = system(box, num_nodes=20, seed=seed % 7)
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal(cell.shape))
    order = rng.permutation(len(start))
    shift = rng.integers(-3, 4, start.shape) @ cell
    new_start = ((start + shift) @ rotation)[order]
    new_frames = ((frames + shift) @ rotation)[:, order]
    for k in (1.0, 7.25):
        np.testing.assert_allclose(
            bf.self_intermediate_scattering(new_start, new_frames, k, types=types[order]),
            bf.self_intermediate_scattering(start, frames, k, types=types),
            atol=1e-12,
        )
    np.testing.assert_array_equal(bf.overlap(new_start, new_frames), bf.overlap(start, frames))
    options = {"diameters": KOB_ANDERSEN_DIAMETERS}
    old = bf.bond_breaking(start, frames, cell, types=types, **options)
    new = bf.bond_breaking(new_start, new_frames + 3.0, cell @ rotation, types=types[order], **options)
    np.testing.assert_array_equal(new.bonds, old.bonds[order])
    np.testing.assert_allclose(new.particles, old.particles[order], rtol=1e-13)
    np.testing.assert_allclose(new.values, old.values, rtol=1e-13)


def test_threads_do_not_matter():
    start, frames, types, cell = system([14.0, 14.0], num_nodes=600, shape=(7,))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            bonds = bf.bond_breaking(start, frames, cell, types=types, diameters=KOB_ANDERSEN_DIAMETERS)
            results.append([bonds.values, bonds.particles, bf.self_intermediate_scattering(start, frames)])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


# ---- chi_4 ------------------------------------------------------------------------------------------------------


def test_chi_4():
    rng = np.random.default_rng(6)
    samples = rng.random((9, 4))
    expected = [100 * sum((q - c.mean()) ** 2 for q in c) / 8 for c in samples.T]
    np.testing.assert_allclose(bf.chi_4(samples, 100), expected)
    np.testing.assert_allclose(bf.chi_4(samples.T, 100, axis=-1), expected)
    assert bf.chi_4([0.5, 0.5, 0.5], 100) == 0.0
    # Independent particles: N Q is binomial, chi_4 = Q (1 - Q) whatever N is.
    start = np.zeros((400, 2))
    q = bf.overlap(start, rng.standard_normal((4000, 400, 2)), a=1.0)
    mean = 1 - np.exp(-0.5)
    assert bf.chi_4(q, 400) == pytest.approx(mean * (1 - mean), rel=0.1)
    for arguments, message in (
        (([0.5], 100), "fewer than two along axis 0"),
        (([0.5, 0.1], 0), "num_particles = 0 must be at least 1"),
        (([0.5, np.inf], 10), r"samples\[1\] = inf is not finite"),
        (([0.5, 0.1], 10, 1), "axis = 1 is not an axis"),
    ):
        with pytest.raises(InputError, match=message):
            bf.chi_4(*arguments)


# ---- wrong input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trajectories": np.zeros((3, 39, 3))}, r"trajectories has shape \(3, 39, 3\); give \(..., 40, 3\)"),
        ({"trajectories": np.zeros(3)}, "trajectories has shape"),
        ({"trajectories": np.zeros((0, 40, 3))}, "no frame; give at least one"),
        ({"trajectories": np.full((1, 40, 3), np.nan)}, r"trajectories\[0, 0, 0\] = nan is not finite"),
        ({"initial_positions": np.zeros((40, 4))}, "initial_positions has shape"),
        ({"initial_positions": np.zeros((0, 3))}, "no particle"),
        ({"k": -1.0}, "k = -1.0 must be positive"),
        ({"k": "x"}, "k = 'x' is not a number"),
        ({"types": np.zeros(40, int), "species": 2}, "species = 2 does not occur"),
        ({"types": np.zeros(39, int)}, r"types has shape \(39,\)"),
    ],
)
def test_wrong_input(changes, message):
    start, frames, _, _ = system(BOXES["cube"])
    with pytest.raises(InputError, match=message) as caught:
        bf.self_intermediate_scattering(**{"initial_positions": start, "trajectories": frames, **changes})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inner": 2.0}, "inner = 2.0 is larger than outer = 1.7"),
        ({"inner": 1e-6}, "holds no pair"),
        ({"outer": np.inf}, "outer = inf must be positive and finite"),
        ({"inner": 2.2, "outer": 3.0}, "smaller than 2 \\* cutoff"),
        ({"box": [1.0, 1.0]}, "box has shape"),
        ({"diameters": KOB_ANDERSEN_DIAMETERS}, "diameters are given without types"),
        ({"diameters": [[1.0]], "types": np.arange(40) % 2}, "types go from 0 to 1; diameters has types 0 to 0"),
        ({"diameters": [[1.0, 0.8], [0.7, 1.0]], "types": np.zeros(40, int)}, "not symmetric"),
        ({"diameters": [1.0, 2.0], "types": np.zeros(40, int)}, "give a square matrix"),
    ],
)
def test_wrong_bonds(changes, message):
    start, frames, _, _ = system(BOXES["cube"])
    with pytest.raises(InputError, match=message) as caught:
        bf.bond_breaking(**{"initial_positions": start, "trajectories": frames, "box": BOXES["cube"], **changes})
    assert "\n" not in str(caught.value)
