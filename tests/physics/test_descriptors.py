"""Descriptors against their definitions in NumPy and SciPy, their symmetries, and crystals whose numbers are known."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import special

import botan_fast as bf
from botan_fast.errors import InputError
from tests.helpers.descriptor_digest import digest

SMALL = {
    "radial_centres": (0.8, 1.0, 1.3),
    "radial_width": 0.12,
    "bond_orders": (1, 2, 3, 4, 6, 9, 12),
    "bond_shells": ((1.0, 0.1), (1.2, 0.15)),
    "averages": 2,
    "average_radius": 1.7,
    "smear_lengths": (0.2, 0.5, 1.0),
    "smear_radius": 1.9,
}
TILTED = np.array([[5.0, 0.0, 0.0], [1.2, 4.8, 0.0], [-0.9, 1.4, 5.1]])


def configuration(seed, box, number, species=2):
    """Random positions, some outside of the box, with types, inherent positions and energies."""
    rng = np.random.default_rng(seed)
    cell = np.diag(box) if np.ndim(box) == 1 else np.asarray(box)
    positions = (rng.random((number, len(cell))) * 3 - 1) @ cell
    return positions, rng.integers(0, species, number), positions + 0.1 * rng.standard_normal(positions.shape)


def images(positions, box):
    """r_j - r_i for all pairs, the shortest of many images."""
    cell = np.diag(box) if np.ndim(box) == 1 else np.asarray(box)
    d = positions[None] - positions[:, None]
    d -= np.rint(d @ np.linalg.inv(cell)) @ cell
    steps = np.array(list(itertools.product((-1, 0, 1), repeat=len(cell)))) @ cell
    candidates = d[:, :, None] + steps
    nearest = (candidates**2).sum(-1).argmin(-1)
    return np.take_along_axis(candidates, nearest[..., None, None], 2)[:, :, 0]


def gaussian(x):
    return np.where(np.abs(x) < 5, np.exp(-(x**2) / 2), 0)


def harmonic(order, m, d):
    """Y_lm(d) of SciPy, whose function has had two names."""
    polar, azimuth = np.arccos(np.clip(d[..., 2], -1, 1)), np.arctan2(d[..., 1], d[..., 0])
    if hasattr(special, "sph_harm_y"):
        return special.sph_harm_y(order, m, polar, azimuth)
    return special.sph_harm(m, order, azimuth, polar)


def means(r, chosen, length, reach, x):
    """Sums over j in `chosen`, with 0 where there is none."""
    w = np.exp(-r / length) * (r < reach) * chosen
    total = w.sum(1, keepdims=True)
    return np.divide(w @ x, total, out=np.zeros_like(x), where=total > 0)


def oracle(positions, types, box, s, num_species, scalars):
    """All columns of `descriptors` in one geometry, float64; scalars (N, k) are energy and displacement."""
    d = images(positions, box)
    r = np.linalg.norm(d, axis=2)
    other = ~np.eye(len(r), dtype=bool)
    with np.errstate(invalid="ignore"):
        u = np.nan_to_num(d / r[..., None])
    columns = [
        (gaussian((r - c) / s.radial_width) * other * (types == species)).sum(1)
        for species in range(num_species)
        for c in s.radial_centres
    ]
    for c, width in s.bond_shells:
        for species in range(num_species) if s.bond_by_species else [None]:
            w = gaussian((r - c) / width) * other * (True if species is None else types == species)
            total = w.sum(1)
            w = np.divide(w, total[:, None], out=np.zeros_like(w), where=total[:, None] > 0)
            for order in s.bond_orders:
                if d.shape[2] == 2:
                    columns.append(np.abs((w * np.exp(1j * order * np.arctan2(d[..., 1], d[..., 0]))).sum(1)))
                    continue
                q = [np.abs((w * harmonic(order, m, u)).sum(1)) ** 2 for m in range(-order, order + 1)]
                columns.append(np.sqrt(4 * np.pi / (2 * order + 1) * sum(q)))
    x = np.column_stack([*columns, *scalars.T])
    result = [x]
    for _ in range(s.averages):
        result.append(means(r, True, s.average_radius, s.average_radius, result[-1]))
    smeared = x if s.smear_local else scalars
    for length in s.smear_lengths:
        for species in range(num_species):
            result.append(means(r, types == species, length, min(5 * length, s.smear_radius), smeared))
    return np.hstack(result)


@pytest.mark.parametrize("box", [np.array([4.3, 4.1, 4.6]), TILTED, np.array([4.2, 4.4]), TILTED[:2, :2]])
@pytest.mark.parametrize("options", [{}, {"bond_by_species": True, "smear_local": True}])
@pytest.mark.parametrize("species", [1, 3])
def test_descriptors_are_their_definition(box, options, species):
    positions, types, quenched = configuration(1, box, 60, species)
    types[0] = species - 1
    energy = np.random.default_rng(2).standard_normal(60)
    settings = bf.DescriptorSettings(**SMALL, **options)
    found, names = bf.descriptors(positions, types, box, inherent=quenched, energy=energy, settings=settings)
    scalars = np.column_stack([energy, np.linalg.norm(quenched - positions, axis=1)])
    expected = oracle(quenched, types, box, settings, species, scalars)
    assert found.dtype == np.float32
    assert found.shape == expected.shape == (60, len(names))
    assert len(set(names)) == len(names)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)


def test_names_say_what_columns_are():
    positions, types, quenched = configuration(3, TILTED, 40)
    settings = bf.DescriptorSettings(**SMALL, geometry="both")
    energy = np.zeros(40)
    both, names = bf.descriptors(positions, types, TILTED, inherent=quenched, energy=energy, settings=settings)
    assert names == settings.names(3, 2, displacement=True, energy=True)
    plain = bf.DescriptorSettings(**SMALL)
    for start, prefix in ((quenched, ""), (positions, "thermal ")):
        alone, alone_names = bf.descriptors(start, types, TILTED, settings=plain)
        for name in (n for n in alone_names if "@" not in n):
            np.testing.assert_array_equal(both[:, names.index(prefix + name)], alone[:, alone_names.index(name)])
    assert names[:2] == ["radial[A,0.8]", "radial[A,1]"]
    assert "bond_order[6,1.2]" in names
    assert "thermal bond_order[6,1.2] @2" in names
    assert names[-2:] == ["energy~B,1", "displacement~B,1"]


def test_geometry_and_groups():
    positions, types, quenched = configuration(4, TILTED, 40)
    local = dict(SMALL, groups=("radial", "bond_order"))
    thermal, _ = bf.descriptors(positions, types, TILTED, settings=bf.DescriptorSettings(**local))
    forced, _ = bf.descriptors(
        positions, types, TILTED, inherent=quenched, settings=bf.DescriptorSettings(**local, geometry="thermal")
    )
    np.testing.assert_array_equal(thermal, forced)
    one = bf.DescriptorSettings(groups=["displacement"], averages=0, smear_lengths=())
    found, names = bf.descriptors(positions, types, TILTED, inherent=quenched + TILTED[1], settings=one)
    assert names == ["displacement"]  # of the minimum image
    np.testing.assert_allclose(found[:, 0], np.linalg.norm(quenched - positions, axis=1), rtol=1e-6)

    class Structure:
        positions, energy = quenched, np.arange(40.0)

    found, names = bf.descriptors(
        positions, types, TILTED, inherent=Structure(), settings=bf.DescriptorSettings(**SMALL)
    )
    np.testing.assert_array_equal(found[:, names.index("energy")], np.arange(40))


# ---- symmetries -----------------------------------------------------------------------------------------------------


def all_columns(positions, types, box, quenched, energy, **options):
    settings = bf.DescriptorSettings(**{**SMALL, "smear_local": True, "bond_by_species": True, **options})
    return bf.descriptors(positions, types, box, inherent=quenched, energy=energy, settings=settings)[0]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("reflected", [False, True])
def test_rotations_and_reflections_of_everything_change_nothing(dimensions, reflected):
    cell = TILTED[:dimensions, :dimensions]
    positions, types, quenched = configuration(5, cell, 60)
    energy = np.random.default_rng(6).standard_normal(60)
    q, _ = np.linalg.qr(np.random.default_rng(7).standard_normal((dimensions, dimensions)))
    q[0] *= np.linalg.det(q) * (-1 if reflected else 1)
    assert np.sign(np.linalg.det(q)) == (-1 if reflected else 1)
    before = all_columns(positions, types, cell, quenched, energy)
    after = all_columns(positions @ q.T, types, cell @ q.T, quenched @ q.T, energy)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)


def test_translations_lattice_shifts_and_permutations_change_nothing():
    positions, types, quenched = configuration(8, TILTED, 60)
    rng = np.random.default_rng(9)
    energy = rng.standard_normal(60)
    before = all_columns(positions, types, TILTED, quenched, energy)
    shift = rng.standard_normal(3)
    moved = all_columns(positions + shift, types, TILTED, quenched + shift, energy)
    np.testing.assert_allclose(moved, before, rtol=1e-5, atol=1e-6)
    images = rng.integers(-3, 4, (60, 3)) @ TILTED
    np.testing.assert_allclose(
        all_columns(positions, types, TILTED, quenched + images, energy), before, rtol=1e-5, atol=1e-6
    )
    order = rng.permutation(60)
    permuted = all_columns(positions[order], types[order], TILTED, quenched[order], energy[order])
    np.testing.assert_allclose(permuted, before[order], rtol=1e-5, atol=1e-6)


def test_the_same_bits_for_any_number_of_threads():
    box = np.full(3, 9.0)
    positions, types, quenched = configuration(10, box, 900)
    energy, threads = np.zeros(900), torch.get_num_threads()
    results = []
    try:
        for number in (1, 2, 5):
            torch.set_num_threads(number)
            results.append(all_columns(positions, types, box, quenched, energy))
    finally:
        torch.set_num_threads(threads)
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


@pytest.mark.parametrize("level", ["generic", "avx2", "avx512"])
def test_every_instruction_set_gives_the_same_bits(level, pytestconfig):
    """A machine without the set runs a narrower one; what it gives must be the same in any case."""
    environment = {**os.environ, "BOTAN_FAST_SIMD": level}
    command = [sys.executable, "-m", "tests.helpers.descriptor_digest"]
    options = {"env": environment, "cwd": pytestconfig.rootpath, "capture_output": True, "text": True}
    used, found = subprocess.run(command, check=True, **options).stdout.split()
    order = ["generic", "avx2", "avx512"]
    assert order.index(used) <= order.index(level)
    assert found == digest()


# ---- what is known --------------------------------------------------------------------------------------------------


def crystal(basis, cell, repeats):
    cells = np.array(list(itertools.product(*(range(n) for n in repeats))))
    positions = (cells[:, None] + np.asarray(basis)).reshape(-1, len(cell)) @ np.asarray(cell)
    return positions, np.diag(repeats) @ np.asarray(cell)


def first_shell(positions, box, orders):
    settings = bf.DescriptorSettings(
        groups=["bond_order"], bond_orders=orders, bond_shells=[(1.0, 0.05)], averages=0, smear_lengths=()
    )
    return bf.descriptors(positions, np.zeros(len(positions), int), box, settings=settings)[0]


def test_bond_order_of_crystals():
    a = np.sqrt(2)
    fcc = crystal([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], np.eye(3) * a, (3, 3, 3))
    found = first_shell(*fcc, [2, 3, 4, 6])
    np.testing.assert_allclose(found, [[0, 0, 0.190940654, 0.574524260]] * len(found), atol=1e-7)
    hcp_cell = np.diag([1.0, np.sqrt(3), np.sqrt(8 / 3)])
    hcp = crystal([[0, 0, 0], [0.5, 0.5, 0], [0.5, 5 / 6, 0.5], [0, 1 / 3, 0.5]], hcp_cell, (4, 3, 3))
    found = first_shell(*hcp, [4, 6])
    np.testing.assert_allclose(found, [[0.097222222, 0.484761685]] * len(found), atol=1e-7)
    sc = crystal([[0, 0, 0]], np.eye(3), (3, 3, 3))
    np.testing.assert_allclose(first_shell(*sc, [4, 6]), [[0.763762616, 0.353553391]] * 27, atol=1e-7)
    hexagonal = crystal([[0, 0], [0.5, 0.5]], np.diag([1.0, np.sqrt(3)]), (4, 3))
    np.testing.assert_allclose(first_shell(*hexagonal, [4, 5, 6]), [[0, 0, 1]] * 24, atol=1e-7)


def test_bond_order_is_that_of_freud():
    freud = pytest.importorskip("freud")
    box = np.array([6.0, 6.2, 6.4])
    positions, types, _ = configuration(11, box, 250)
    i, j, r = bf.neighbor_list("ijd", positions, box, 1.75)
    weights = gaussian((r - 1.0) / 0.15).astype(np.float32)
    d = bf.neighbor_list("D", positions, box, 1.75)
    pairs = freud.locality.NeighborList.from_arrays(250, 250, i, j, d, weights)
    orders = [2, 4, 6, 8, 12]
    settings = bf.DescriptorSettings(
        groups=["bond_order"], bond_orders=orders, bond_shells=[(1.0, 0.15)], averages=0, smear_lengths=()
    )
    found, _ = bf.descriptors(positions, types, box, settings=settings)
    system = (freud.box.Box(*box), positions - box * np.floor(positions / box) - box / 2)
    expected = [freud.order.Steinhardt(l, weighted=True).compute(system, pairs).particle_order for l in orders]  # noqa: E741
    np.testing.assert_allclose(found, np.transpose(expected), atol=2e-5)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_empty_neighbourhoods(dimensions):
    settings = bf.DescriptorSettings(num_species=2)
    box = np.full(dimensions, 20.0)
    none, names = bf.descriptors(np.empty((0, dimensions)), [], box, settings=settings)
    assert none.shape == (0, len(names))
    alone, names = bf.descriptors(
        np.ones((1, dimensions)), [1], box, inherent=np.zeros((1, dimensions)), energy=[-3.0], settings=settings
    )
    values = dict(zip(names, alone[0].tolist(), strict=True))
    assert {values[n] for n in names if "radial" in n or "bond" in n or "psi" in n} == {0.0}
    assert values["energy"] == values["energy @2"] == values["energy~B,1"] == -3
    assert values["energy~A,1"] == 0  # no such particle
    assert values["displacement"] == pytest.approx(dimensions**0.5)


# ---- wrong settings and inputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": ["radial", "radail"]}, "groups = .* must be some of radial, bond_order, energy, displacement"),
        ({"groups": "radial"}, "groups = 'radial' must be a list"),
        ({"geometry": "cold"}, "geometry = 'cold' must be one of inherent, thermal, both"),
        ({"num_species": 0}, "num_species = 0 must be an integer from 1 to 64"),
        ({"radial_centres": [1.0, 0.9]}, "radial_centres = .* must rise"),
        ({"radial_centres": [1.0, float("nan")]}, "radial_centres holds nan; lengths go from 0.001 to 1000"),
        ({"radial_centres": np.arange(1.0, 2000.0)}, "radial_centres has 1999 entries; give at most 1024"),
        ({"radial_width": 0}, "radial_width holds 0; lengths"),
        ({"radial_width": "wide"}, "radial_width = 'wide' must be a number"),
        ({"bond_orders": [0, 1]}, "bond_orders = 0 must be an integer from 1 to 16"),
        ({"bond_orders": [6, 4]}, "bond_orders = .* must rise"),
        ({"bond_shells": [1.0]}, "bond_shells = 1.0 must be a list"),
        ({"bond_shells": [(1.0,)]}, "bond_shells = .* must hold pairs"),
        ({"bond_by_species": 1}, "bond_by_species = 1 must be true or false"),
        ({"averages": 9}, "averages = 9 must be an integer from 0 to 8"),
        ({"smear_lengths": [2, 1]}, "smear_lengths = .* must rise"),
        ({"smear_radius": -1.0}, "smear_radius holds -1"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(options, message):
    with pytest.raises(InputError, match=message) as error:
        bf.DescriptorSettings(**options)
    assert "\n" not in str(error.value)


def test_settings_are_plain_data():
    settings = bf.DescriptorSettings(**SMALL, groups=["energy", "radial"], geometry="both", num_species=2)
    plain = settings.as_dict()
    assert plain["groups"] == ["radial", "energy"]
    assert bf.DescriptorSettings.from_dict(plain) == settings
    assert bf.DescriptorSettings.from_dict({}) == bf.DescriptorSettings()
    with pytest.raises(InputError, match="entry 'radius' is no setting of descriptors"):
        bf.DescriptorSettings.from_dict({"radius": 2.0})
    with pytest.raises(InputError, match="are a list; give a dictionary"):
        bf.DescriptorSettings.from_dict([1])


def test_more_columns_than_memory_are_refused_before_they_are_named():
    most = bf.DescriptorSettings(
        num_species=64, radial_centres=np.arange(1, 1025) / 100, smear_lengths=np.arange(1, 65) / 10, smear_local=True
    )
    with pytest.raises(InputError, match="the settings give 268714000 descriptors, more than 16384; choose fewer"):
        most.names(3)


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({"groups": ["energy"]}, {}, "descriptors include 'energy': give energy="),
        ({"groups": ["displacement"]}, {}, "descriptors include 'displacement': give inherent="),
        ({"geometry": "both"}, {}, "geometry = 'both' needs the inherent structure"),
        ({"num_species": 1}, {}, r"types\[1\] = 1, but the settings of descriptors have num_species = 1"),
        ({"radial_centres": [3.0]}, {}, r"box\[0\] = 6.0 is smaller than twice the 3.6 that radial_centres reaches"),
        ({"average_radius": 4}, {}, r"box\[0\] = 6.0 is smaller than twice the 4 that average_radius reaches"),
        ({"smear_radius": 7, "smear_lengths": [3]}, {"energy": [0, 0, 0]}, "twice the 7 that smear_radius reaches"),
        ({}, {"energy": [0.0]}, r"energy has shape \(1,\); positions need \(3,\)"),
        ({}, {"energy": [0.0, np.inf, 0]}, r"energy\[1\] = inf is not finite"),
        ({}, {"inherent": np.zeros((2, 3))}, r"inherent has shape \(2, 3\); positions have \(3, 3\)"),
        ({}, {"positions": np.eye(3) * 6}, r"positions\[0\] and positions\[1\] are the same point"),
        ({}, {"types": [0, 1, 99]}, "types holds 99; species are counted 0, 1, ... up to 63"),
        ({}, {"settings": {}}, "settings is a dict; give DescriptorSettings"),
        (
            {"radial_centres": np.linspace(0.7, 1.9, 1024), "averages": 8},
            {},
            "the settings give 18558 descriptors, more than 16384",
        ),
    ],
)
def test_wrong_input_is_refused(options, arguments, message):
    given = {"positions": np.eye(3), "types": [0, 1, 0], "box": 6.0}
    given |= {"settings": bf.DescriptorSettings(**{**SMALL, **options}), **arguments}
    with pytest.raises(InputError, match=message):
        bf.descriptors(**given)
