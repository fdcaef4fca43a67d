"""Objects of ASE, MDAnalysis and OVITO are read as files of the same particles are."""

import sys
import types as python_types

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import DataError, InputError
from botan_fast.formats.objects import is_object, object_trajectory
from tests.helpers.format_files import frames_of, lammps_text, simulation

ase = pytest.importorskip("ase")
MDAnalysis = pytest.importorskip("MDAnalysis")

CELLS = [[5.0, 6.0, 7.0], [[5.0, 0, 0], [1.5, 6.0, 0], [-0.5, 1.0, 7.0]]]


def atoms_of(s, positions=None, names=("Ni", "P"), **options):
    positions = s.positions if positions is None else positions
    flat = positions.shape[1] == 2
    cell = np.eye(3)
    cell[: positions.shape[1], : positions.shape[1]] = s.cell
    options = {"cell": cell, "pbc": [True, True, not flat], **options}
    return ase.Atoms([names[k] for k in s.types], positions=np.pad(positions, ((0, 0), (0, flat))), **options)


def universe_of(s, frames, attribute="types", names=("1", "2"), dimensions=True):
    u = MDAnalysis.Universe.empty(len(s.types), trajectory=True)
    u.add_TopologyAttr(attribute, [names[k] for k in s.types])
    box = [*np.linalg.norm(s.cell, axis=1), *_angles(s.cell)] if dimensions else None
    u.load_new(np.stack([x for _, x in frames]).astype(np.float32), dimensions=box)
    return u


def _angles(cell):
    unit = cell / np.linalg.norm(cell, axis=1)[:, None]
    return [float(np.degrees(np.arccos(unit[a] @ unit[b]))) for a, b in ((1, 2), (0, 2), (0, 1))]


class Property(np.ndarray):
    """Values of a property; a type property also has `types`."""


class Container(dict):
    pass


class Cell(np.ndarray):
    """The (3, 4) matrix of OVITO: cell vectors as columns, then the corner."""


def collection_of(s, origin=-2.5, images=True, names=("A", "B"), ids=True, pbc=(True, True, True)):
    """What a DataCollection shows by its documentation: properties by name, types with id and name, the matrix."""
    inside, image = s.wrapped(s.positions)
    size = s.positions.shape[1]
    kinds = (s.types + 1).view(Property)
    kinds.types = [python_types.SimpleNamespace(id=k + 1, name=name) for k, name in enumerate(names)]
    pad = ((0, 0), (0, 3 - size))
    order = np.random.default_rng(0).permutation(len(s.types))
    kinds_now = kinds[order]
    kinds_now.types = kinds.types
    particles = Container({"Position": np.pad(inside + origin, pad)[order], "Particle Type": kinds_now})
    if images:
        particles["Periodic Image"] = np.pad(image, pad)[order]
    if ids:
        particles["Particle Identifier"] = order + 1
    vectors = np.eye(3)
    vectors[:size, :size] = s.cell
    cell = np.column_stack([vectors.T, [origin] * size + [0.0] * (3 - size)]).view(Cell)
    cell.pbc, cell.is2D = pbc, size == 2

    def make(name):
        return type(name, (), {"__module__": "ovito.data"})()

    data = make("DataCollection")
    data.particles, data.cell = particles, cell
    data.attributes = {"Timestep": 300, "Time": 1.5, "SourceFile": "/somewhere/glass.dump"}
    return data


def expected_prediction(model, s):
    graph = bf.build_graph(s.positions, s.types, s.box)
    return model(graph).node.detach().numpy()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "make",
    [
        atoms_of,
        lambda s: atoms_of(s, s.positions - 3.0),
        lambda s: universe_of(s, frames_of(s)[:1]),
        lambda s: universe_of(s, frames_of(s)[:1], "names", ("A", "B")).atoms,
        collection_of,
        lambda s: collection_of(s, images=False, names=("", "")),
    ],
)
def test_the_prediction_is_that_of_the_same_arrays(tiny_model, cell, make):
    s = simulation(number=80, cell=cell)
    [p] = bf.predict(tiny_model, make(s))
    # The rows of OVITO's particles are sorted by their ids; MDAnalysis has float32 positions.
    np.testing.assert_allclose(p.propensity, expected_prediction(tiny_model, s), atol=2e-5)
    np.testing.assert_array_equal(p.types, s.types)
    assert p.target_propensity is None


@pytest.mark.parametrize("make", [atoms_of, lambda s: universe_of(simulation_3d(s), flat_frames(s)), collection_of])
def test_two_dimensions(make):
    s = simulation(number=80, dimensions=2, cell=[8.0, 8.0])
    model = bf.BOTAN(hidden_size=8, num_steps=1, dimensions=2)
    [p] = bf.predict(model, make(s))
    assert p.positions.shape == (80, 2)
    np.testing.assert_allclose(p.propensity, expected_prediction(model, s), atol=2e-5)


def simulation_3d(s):
    flat = simulation(number=80, cell=[8.0, 8.0, 1.0])
    flat.types = s.types
    return flat


def flat_frames(s):
    return [(0.0, np.pad(s.positions, ((0, 0), (0, 1))))]


def test_lists_of_atoms():
    """Where targets are wanted, the frames of one run; else each a configuration."""
    s = simulation(number=80, cell=[5.0] * 3)
    model = bf.BOTAN(hidden_size=8, num_steps=1)
    run = [atoms_of(s, x, info={"time": t}) for t, x in frames_of(s)]
    assert [p.name for p in bf.predict(model, run)] == ["atoms_0", "atoms_1", "atoms_2", "atoms_3"]
    [sample] = bf.load_samples(run, time=4.0)
    expected = np.linalg.norm(s.displacements[1, 0], axis=1)
    np.testing.assert_allclose(sample.targets.propensity, expected, rtol=1e-5)
    assert bf.evaluate(model, run, time=4.0)["num_configurations"] == 1
    with pytest.raises(InputError, match="the same configuration twice: atoms_0 and atoms_1, both at time 4"):
        bf.evaluate(model, [run, [atoms_of(s, x, info={"time": t}) for t, x in frames_of(s, run=1)]], time=4.0)
    s = simulation(number=80, cell=[5.0] * 3, seed=1)
    other = [atoms_of(s, x, info={"time": t}) for t, x in frames_of(s)]
    assert bf.evaluate(model, [run, other], time=4.0)["num_configurations"] == 2
    frames = list(bf.predict(model, run, frames="all"))
    assert [(p.frame, p.time) for p in frames] == [(0, 0.0), (1, 0.5), (2, 4.0), (3, 30.0)]
    shuffled = list(bf.predict(model, [run[k] for k in (2, 0, 3, 1)], frames="all"))
    for a, b in zip(frames, shuffled, strict=True):
        np.testing.assert_array_equal(a.propensity, b.propensity)


def test_a_universe_is_a_run_or_its_current_frame():
    s = simulation(number=80, cell=[5.0] * 3)
    model = bf.BOTAN(hidden_size=8, num_steps=1)
    u = universe_of(s, frames_of(s))
    u.trajectory[2]
    [p] = bf.predict(model, u)
    np.testing.assert_allclose(p.positions, s.wrapped(s.runs[1, 0])[0], atol=1e-5)
    assert u.trajectory.frame == 2  # it stands where it stood
    frames = list(bf.predict(model, u, frames="all"))
    assert [p.frame for p in frames] == [0, 1, 2, 3]
    np.testing.assert_array_equal(frames[2].propensity, p.propensity)
    [sample] = bf.load_samples(universe_of(s, frames_of(s)[:2]))
    expected = np.linalg.norm(s.displacements[0, 0], axis=1)
    np.testing.assert_allclose(sample.targets.propensity, expected, rtol=1e-4)
    with pytest.raises(InputError, match="has 3 times and does not tell which"):  # MDAnalysis made them up
        bf.load_samples(u)


def test_types():
    s = simulation()
    for numbers, names in ((s.types, ("H", "He")), (s.types + 1, ("H", "He")), (s.types + 1.0, ("X", "X"))):
        atoms = atoms_of(s, names=names)
        atoms.set_array("type", numbers)
        np.testing.assert_array_equal(object_trajectory(atoms).static().types, s.types)
    atoms = atoms_of(s, names=("Si", "Ge"))
    configuration = object_trajectory(atoms).static()
    np.testing.assert_array_equal(configuration.types, s.types)  # Si is the majority
    assert configuration.species == ("Si", "Ge")


def test_boxes_and_missing_ones(tiny_model):
    s = simulation(number=80, cell=[5.0] * 3)
    for without in (atoms_of(s, cell=None, pbc=False), universe_of(s, frames_of(s)[:1], dimensions=False)):
        with pytest.raises(DataError, match="holds no box; give box= or density="):
            bf.predict(tiny_model, without)
        [p] = bf.predict(tiny_model, without, box=5.0)
        np.testing.assert_allclose(p.propensity, expected_prediction(tiny_model, s), atol=2e-5)
    with pytest.raises(DataError, match=r"pbc is F F F; expected a periodic box; set atoms.pbc = True"):
        bf.predict(tiny_model, atoms_of(s, pbc=False))
    with pytest.raises(DataError, match=r"pbc is T T F"):
        bf.predict(tiny_model, atoms_of(s, pbc=[True, True, False]))
    with pytest.raises(DataError, match=r"pbc is T F T; expected a periodic box; make the simulation cell periodic"):
        bf.predict(tiny_model, collection_of(s, pbc=(True, False, True)))


def test_what_the_file_tells_of_an_ovito_frame(tiny_model):
    s = simulation(number=80, cell=[5.0] * 3)
    [p] = bf.predict(tiny_model, collection_of(s), frames="all")
    assert (p.name, p.frame, p.time, p.step) == ("glass", 0, 1.5, 300)
    empty = collection_of(s)
    empty.particles = None
    with pytest.raises(DataError, match="holds no particles"):
        bf.predict(tiny_model, empty)


def test_other_objects_are_no_data(tiny_model):
    class Atoms:  # of some other package
        pass

    assert not is_object(Atoms())
    for wrong in (Atoms(), [Atoms()], 3):
        with pytest.raises(InputError, match=r"data (is|holds) a"):
            bf.predict(tiny_model, wrong)


def test_nothing_is_imported():
    assert "ovito" not in sys.modules
    code = "import sys, botan_fast.formats.objects; sys.exit('ase' in sys.modules or 'MDAnalysis' in sys.modules)"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_subclass_is_its_base():
    class Mine(ase.Atoms):
        pass

    assert is_object(Mine("H"))


@pytest.mark.parametrize("kind", [str, np.array, np.float32, lambda value: [value]])
@pytest.mark.parametrize("key", ["time", "step"])
def test_times_of_atoms_in_any_type(kind, key):
    """Other packages write them as text, as arrays of one, as floats: they decide the order all the same."""
    s = simulation(number=80, runs=1)
    frames = frames_of(s)
    atoms = [atoms_of(s, x, info={key: kind(t if key == "time" else 100 * t)}) for t, x in frames]
    configurations = object_trajectory([atoms[k] for k in (2, 0, 3, 1)]).run()
    assert [c.time for c in configurations] == ([0.5, 4.0, 30.0] if key == "time" else [None] * 3)
    for k, c in enumerate(configurations):
        np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, 0], atol=1e-12)


@pytest.mark.parametrize("name", ["dump.100", "dump.1000", "conf.1.lammpsdump"])
def test_a_universe_has_the_name_of_its_file(tmp_path, name):
    s = simulation()
    (tmp_path / name).write_text(lammps_text(s, frames_of(s)[:1]))
    options = {"format": "LAMMPSDUMP", "topology_format": "LAMMPSDUMP", "lammps_coordinate_convention": "unwrapped"}
    universe = MDAnalysis.Universe(str(tmp_path / name), **options)
    assert object_trajectory(universe).name == name.removesuffix(".lammpsdump")
