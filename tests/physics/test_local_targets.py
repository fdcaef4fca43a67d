"""R, C, D, G, L and the local displacement field against their definition in NumPy, exact cases and symmetries."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import botan_fast as bf
from botan_fast.errors import InputError

BOXES = {
    "square": [4.3, 5.1],
    "tilted2": [[4.5, 0.0], [1.7, 4.8]],
    "cube": [4.2, 4.6, 5.0],
    "tilted3": [[4.7, 0.0, 0.0], [1.1, 4.6, 0.0], [-0.9, 1.3, 4.9]],
}
EXTRA = (
    "strain_relative_propensity", "relative_propensity", "nonaffine_displacement", "local_strain", "local_displacement",
)  # fmt: skip


def cell_of(box):
    box = np.array(box)
    return np.diag(box) if box.ndim == 1 else box


def system(box, num_nodes=50, num_runs=11, seed=0, size=0.15):
    """Random positions in the box and runs of random displacements."""
    rng = np.random.default_rng(seed)
    cell = cell_of(box)
    start = rng.random((num_nodes, len(cell))) @ cell
    return start, start + size * rng.standard_normal((num_runs, *start.shape)), rng.integers(0, 2, num_nodes)


def shortest(cell, differences):
    """The shortest images of difference vectors, by trying all around them."""
    rounded = differences - np.rint(differences @ np.linalg.inv(cell)) @ cell
    shifts = np.array(list(itertools.product([-1, 0, 1], repeat=len(cell)))) @ cell
    tried = rounded[..., None, :] + shifts
    nearest = np.linalg.norm(tried, axis=-1).argmin(-1)
    return np.take_along_axis(tried, nearest[..., None, None], -2)[..., 0, :]


def definition(start, runs, box, radius, strain_radius):
    """The equations, one particle and one run at a time."""
    cell, dimensions = cell_of(box), start.shape[1]
    result = {name: np.zeros(len(start)) for name in EXTRA}
    field = np.zeros(runs.shape)
    bonds = shortest(cell, start[None] - start[:, None])  # from the first index to the second
    distances = np.linalg.norm(bonds, axis=-1)
    np.fill_diagonal(distances, np.inf)
    for i in range(len(start)):
        shell = np.flatnonzero(distances[i] < radius)
        fit = np.flatnonzero(distances[i] < strain_radius)
        for run in range(len(runs)):
            u = runs[run] - start
            field[run, i] = u[shell].mean(0) if shell.size else u[i]
            result["local_displacement"][i] += np.linalg.norm(field[run, i])
            result["relative_propensity"][i] += np.linalg.norm(u[i] - field[run, i])
            if not fit.size:
                continue
            d = bonds[i, fit]
            w = u[fit] - u[i]
            gradient = np.linalg.lstsq(d, w, rcond=1e-3)[0].T  # w = J d, minimum norm
            rest = w - d @ gradient.T
            result["strain_relative_propensity"][i] += np.linalg.norm(rest.mean(0))
            result["nonaffine_displacement"][i] += np.sqrt((rest**2).sum() / len(fit))
            deformation = np.eye(dimensions) + gradient
            green = 0.5 * (deformation.T @ deformation - np.eye(dimensions))
            deviator = green - np.trace(green) / dimensions * np.eye(dimensions)
            result["local_strain"][i] += np.sqrt(0.5 * np.trace(deviator @ deviator))
    return {name: value / len(runs) for name, value in result.items()}, field


def compute(start, runs, types, box, **options):
    graph = bf.build_graph(start, types, box)
    return bf.isoconfigurational_targets(start, runs, graph, which="SERCDL", **options)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("radius", "strain_radius"), [(1.35, 1.6), (0.7, 0.8), (2.0, 1.1)])
def test_definition(box, dtype, radius, strain_radius):
    start, runs, types = system(box)
    runs = runs.astype(dtype)
    expected, field = definition(start, runs.astype(np.float64), box, radius, strain_radius)
    targets = compute(start, runs, types, box, radius=radius, strain_radius=strain_radius)
    for name in EXTRA:
        value = getattr(targets, name)
        assert value.dtype == torch.float32
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, atol=1e-7, err_msg=name)
    graph = bf.build_graph(start, types, box, self_edges=True)
    found = bf.local_displacement_field(start, runs, graph, radius=radius)
    assert found.shape == runs.shape
    np.testing.assert_allclose(found, field, rtol=1e-6, atol=1e-7)
    # A run does not know of the others, and the mean length of the field is L.
    np.testing.assert_allclose(found.norm(dim=-1).mean(0), targets.local_displacement, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_common_translation_has_no_relative_motion(box):
    start, runs, types = system(box)
    shift = np.random.default_rng(1).standard_normal((5, 1, start.shape[1]))
    targets = compute(start, start + shift, types, box)
    length = np.linalg.norm(shift, axis=-1).mean()
    np.testing.assert_allclose(targets.propensity, length, rtol=1e-6)
    np.testing.assert_allclose(targets.local_displacement, length, rtol=1e-6)
    still = ("strain_relative_propensity", "relative_propensity", "nonaffine_displacement", "local_strain")
    for name in still:
        assert getattr(targets, name).max() < 1e-13
    moved = compute(start, runs + np.resize(shift, (len(runs), 1, start.shape[1])), types, box)
    reference = compute(start, runs, types, box)
    for name in (*still, "pair_change"):
        np.testing.assert_allclose(getattr(moved, name), getattr(reference, name), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_affine_shear_is_strain_alone(box):
    """r -> F r for a particle and all its neighbours: D = 0, and G is the strain of F."""
    cell = cell_of(box)
    dimensions = len(cell)
    rng = np.random.default_rng(2)
    gradient = np.zeros((dimensions, dimensions))
    gradient[0, 1] = 0.2
    # In the middle of the box: a bond across the boundary would not be sheared, the box is not.
    cluster = 0.5 * cell.sum(0) + 0.6 * rng.uniform(-1, 1, (20, dimensions))
    targets = compute(cluster, (cluster + cluster @ gradient.T)[None], np.zeros(20, int), box, strain_radius=2.0)
    assert targets.nonaffine_displacement.max() < 1e-13
    green = 0.5 * (gradient + gradient.T + gradient.T @ gradient)
    deviator = green - np.trace(green) / dimensions * np.eye(dimensions)
    np.testing.assert_allclose(targets.local_strain, np.sqrt(0.5 * (deviator**2).sum()), rtol=1e-5)
    # A rotation of everything is neither strain nor non-affine motion.
    rotation, _ = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))
    rotation[:, 0] *= np.sign(np.linalg.det(rotation))
    turned = compute(cluster, (cluster @ rotation.T)[None], np.zeros(20, int), box, strain_radius=2.0)
    assert max(turned.nonaffine_displacement.max(), turned.local_strain.max()) < 1e-12


def test_a_uniform_strain_does_not_change_r_and_d():
    """R and D are relative to the strain around a particle; C is relative to the neighbours alone."""
    rng = np.random.default_rng(6)
    # In the middle of a large box: a strain of the box itself would be another box.
    cluster = 10 + 0.9 * rng.uniform(-1, 1, (40, 3))
    box, types = [20.0, 20.0, 20.0], np.zeros(40, int)
    runs = cluster + 0.1 * rng.standard_normal((7, 40, 3))
    strained = runs + (cluster - 10) @ (0.3 * rng.standard_normal((3, 3)))
    before, after = compute(cluster, runs, types, box), compute(cluster, strained, types, box)
    for name in ("strain_relative_propensity", "nonaffine_displacement"):
        assert getattr(before, name).min() > 0.01
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-5, err_msg=name)
    change = (after.relative_propensity - before.relative_propensity).abs() / before.relative_propensity
    assert change.median() > 0.1
    # The strain alone leaves no R.
    alone = compute(cluster, (cluster + (cluster - 10) @ np.diag([0.2, 0.0, -0.1]))[None], types, box)
    assert alone.strain_relative_propensity.max() < 1e-13
    assert alone.relative_propensity.median() > 0.01


def test_without_strain_r_would_be_c():
    """Six neighbours placed in opposite pairs that move without a gradient: J = 0, and R = C = |u_i|."""
    start = 5 + np.array([[0.0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    moved = start.copy()
    moved[0] += [0.1, 0.2, -0.2]
    targets = compute(start, moved[None], np.zeros(7, int), [10.0, 10.0, 10.0], strain_radius=1.35)
    assert targets.node("R")[0] == targets.node("C")[0] == pytest.approx(0.3, rel=1e-6)
    assert targets.node("G")[0] < 1e-13


def test_few_neighbors_give_numbers():
    """Alone: no cage, no fit. A pair, a line and a plane: the fit of minimum norm, which explains them fully."""
    box = [20.0, 20.0, 20.0]
    start = np.array([[2.0, 2, 2], [6, 6, 6], [7, 6, 6], [12, 12, 12], [13, 12, 12], [12, 13, 12]])
    moved = start + np.random.default_rng(3).normal(0, 0.1, (4, *start.shape))
    targets = compute(start, moved, np.zeros(6, int), box)
    u = np.linalg.norm(moved - start, axis=-1).mean(0)
    assert all(getattr(targets, name)[0] == 0 for name in EXTRA[:-1])
    np.testing.assert_allclose(targets.local_displacement[0], u[0], rtol=1e-6)
    assert targets.nonaffine_displacement.max() < 1e-13
    expected, _ = definition(start, moved, box, 1.35, 1.6)
    np.testing.assert_allclose(targets.local_strain, expected["local_strain"], rtol=1e-6)
    # Three bonds on a line leave a residual: the strain across the line is not determined and taken as zero.
    line = np.array([[6.0, 6, 6], [7, 6, 6], [5, 6, 6], [7.4, 6, 6]])
    moved = line + np.random.default_rng(4).normal(0, 0.1, (4, *line.shape))
    targets = compute(line, moved, np.zeros(4, int), box)
    expected, _ = definition(line, moved, box, 1.35, 1.6)
    np.testing.assert_allclose(targets.node("R"), expected["strain_relative_propensity"], rtol=1e-6, atol=1e-13)
    np.testing.assert_allclose(targets.nonaffine_displacement, expected["nonaffine_displacement"], rtol=1e-6)
    np.testing.assert_allclose(targets.local_strain, expected["local_strain"], rtol=1e-6)
    assert targets.nonaffine_displacement[0] > 0.01


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_symmetries(box, seed):
    """Rotation and reflection, lattice shifts of single particles, order of the particles, order of the runs."""
    start, runs, types = system(box, num_nodes=30, num_runs=9, seed=seed % 5)
    cell = cell_of(box)
    reference = compute(start, runs, types, cell)
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal(cell.shape))
    shift = rng.integers(-3, 4, start.shape) @ cell
    order, run_order = rng.permutation(len(start)), rng.permutation(len(runs))
    start = ((start + shift) @ rotation)[order]
    runs = ((runs + shift) @ rotation)[run_order][:, order]
    changed = compute(start, runs, types[order], cell @ rotation)
    for name in ("propensity", *EXTRA):
        found, expected = getattr(changed, name), getattr(reference, name)[order]
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_threads_do_not_matter(box):
    start, runs, types = system([3 * np.array(b) for b in box], num_nodes=900, num_runs=13)
    graph = bf.build_graph(start, types, [3 * np.array(b) for b in box])
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            targets = bf.isoconfigurational_targets(start, runs, graph, which="SERCDL")
            results.append(
                [*(getattr(targets, name) for name in EXTRA), bf.local_displacement_field(start, runs, graph)]
            )
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_which_and_names():
    start, runs, types = system(BOXES["cube"])
    graph = bf.build_graph(start, types, BOXES["cube"])
    plain = bf.isoconfigurational_targets(start, runs, graph)
    assert all(getattr(plain, name) is None for name in EXTRA)
    everything = bf.isoconfigurational_targets(start, runs, graph, which=("S", "E", "R", "C", "D", "L"))
    assert torch.equal(plain.propensity, everything.propensity)
    assert torch.equal(plain.pair_change, everything.pair_change)
    for letter, name in zip("SRCDGL", ("propensity", *EXTRA), strict=True):
        assert everything.node(letter) is everything.node(name) is getattr(everything, name)
    some = bf.isoconfigurational_targets(start, runs, graph, which="R").to("cpu")
    assert torch.equal(some.node("R"), everything.node("R"))
    assert some.num_runs == 11
    assert some.local_displacement is None
    with pytest.raises(InputError, match=r"'G' was not computed; give which='SED'"):
        some.node("G")
    with pytest.raises(InputError, match="node target 'E' is unknown; give one of S, R, C, D, G, L"):
        some.node("E")
    # Without particles every target is empty.
    empty = bf.isoconfigurational_targets(
        np.empty((0, 3)), np.empty((2, 0, 3)), bf.build_graph(np.empty((0, 3)), [], [5.0, 5.0, 5.0]), which="RCDL"
    )
    assert all(empty.node(letter).shape == (0,) for letter in "SRCDGL")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"which": "SX"}, "which has 'X'; give letters of S, E, R, C, D, L"),
        ({"which": 3}, "which has 3; give letters"),
        ({"which": "C", "radius": 0.0}, "radius = 0.0 must be positive and finite"),
        ({"which": "R", "radius": float("nan")}, "radius = nan must be positive"),
        ({"which": "D", "strain_radius": 2.5}, "strain_radius = 2.5 is larger than the cutoff of graph, 2.0"),
        ({"which": "L", "radius": "x"}, "radius = 'x' is not a number"),
    ],
)
def test_wrong_options(options, message):
    start, runs, types = system(BOXES["cube"])
    graph = bf.build_graph(start, types, BOXES["cube"])
    with pytest.raises(InputError, match=message) as caught:
        bf.isoconfigurational_targets(start, runs, graph, **options)
    assert "\n" not in str(caught.value)


def test_wrong_arrays():
    start, runs, types = system(BOXES["cube"])
    graph = bf.build_graph(start, types, BOXES["cube"])
    bad = runs.copy()
    bad[3, 2, 1] = np.nan
    for value, message in (
        (bad, r"trajectories\[3, 2, 1\] = nan is not finite"),
        (runs[:, :-1], "trajectories has shape"),
        (runs[:0], "no run; give at least one"),
    ):
        with pytest.raises(InputError, match=message):
            bf.local_displacement_field(start, value, graph)
    other = start.copy()
    other[7] += 0.01
    with pytest.raises(InputError, match="initial_positions do not belong to graph"):
        bf.local_displacement_field(other, runs, graph)
    with pytest.raises(InputError, match="batch of 2 graphs"):
        bf.local_displacement_field(start, runs, bf.batch_graphs([graph, graph]))
