"""What OVITO makes of the files, by its Python package without a screen: the properties, colours, a picture."""

import contextlib
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.evaluation.colors import scale_of_bonds, scale_of_particles
from botan_fast.evaluation.columns import bonds_of, cell_of, particle_columns, radii_of
from botan_fast.evaluation.lammps import write_lammps
from botan_fast.evaluation.objects import write_ovito
from botan_fast.evaluation.prediction import FramePrediction
from botan_fast.evaluation.writing import write_trajectory, write_xyz
from tests.helpers.predictions import CELLS, full_prediction

ovito = pytest.importorskip("ovito", exc_type=ImportError)  # it also wants libEGL of the system

from ovito.io import import_file  # noqa: E402
from ovito.modifiers import LoadTrajectoryModifier  # noqa: E402
from ovito.vis import TachyonRenderer, Viewport  # noqa: E402


@pytest.fixture(autouse=True)
def _empty_scene():
    yield
    for pipeline in list(ovito.scene.pipelines):
        pipeline.remove_from_scene()


def check_particles(data, p, color="propensity"):
    """Has the DataCollection the columns, sizes and colours of the prediction?"""
    columns, particles = particle_columns(p), data.particles
    for name, values in columns.items():
        np.testing.assert_allclose(particles[name], values, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(particles["Radius"], radii_of(p), rtol=1e-6)
    colors = scale_of_particles(p, color).colors(columns[color])
    np.testing.assert_allclose(particles["Color"], colors, atol=1e-4)
    np.testing.assert_array_equal(particles["Particle Identifier"], np.arange(1, len(colors) + 1))
    names = {kind.id: kind.name for kind in particles["Particle Type"].types}
    assert [names[k] or "AB"[k - 1] for k in particles["Particle Type"]] == ["AB"[k] for k in p.types]
    # OVITO's own property, which alone it draws: one of the same name that it does not know has components 1, 2, 3.
    assert list(particles["Color"].component_names) == ["R", "G", "B"]


def check_bonds(data, p, color="propensity"):
    bonds, there = bonds_of(p), data.particles.bonds
    np.testing.assert_array_equal(np.sort(there["Topology"], axis=1), bonds.pairs)
    for name, values in bonds.columns.items():
        np.testing.assert_allclose(there[name], values, rtol=1e-6, atol=1e-7)
    scale = scale_of_bonds(bonds, scale_of_particles(p, color), p.quantity)
    np.testing.assert_allclose(there["Color"], scale.colors(bonds.columns[scale.column]), atol=1e-4)
    assert list(there["Color"].component_names) == ["R", "G", "B"]
    # Drawn as short as they are: the image is that of the nearest neighbour.
    i, j = there["Topology"].T
    matrix = data.cell[:, :3]
    away = data.particles.positions[j] - data.particles.positions[i] + there["Periodic Image"] @ matrix.T
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), bonds.columns["distance"], rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_xyz(tmp_path, cell):
    p = full_prediction(cell)
    write_xyz(p, tmp_path / "a.xyz")
    data = import_file(tmp_path / "a.xyz").compute()
    check_particles(data, p)
    np.testing.assert_allclose(data.cell[:, :3], cell_of(p).T, rtol=1e-12)
    assert tuple(data.cell.pbc) == (True, True, cell != "flat")
    assert data.attributes["ColorBy"] == "propensity"
    scale = scale_of_particles(p)
    assert data.attributes["ColorHigh"] == pytest.approx(scale.high, rel=1e-5)


def test_trajectory_keeps_the_scale_of_its_first_frame(tmp_path):
    frames = [full_prediction(kind=FramePrediction, frame=k, time=0.5 * k, seed=k) for k in range(3)]
    write_trajectory(frames, tmp_path / "a.xyz", color="target_propensity")
    pipeline = import_file(tmp_path / "a.xyz")
    assert pipeline.num_frames == 3
    scale = scale_of_particles(frames[0], "target_propensity")
    for k, p in enumerate(frames):
        data = pipeline.compute(k)
        np.testing.assert_allclose(data.particles["Color"], scale.colors(p.target_propensity), atol=1e-4)
        assert data.attributes["Time"] == 0.5 * k


@pytest.mark.parametrize("cell", CELLS)
def test_lammps_files(tmp_path, cell):
    """The dump alone has the colours; the data file gets them, and those of bonds, by Load Trajectory."""
    p = full_prediction(cell)
    data_file, dump, local = write_lammps(p, tmp_path / "a.data", color="propensity_error")
    check_particles(import_file(dump).compute(), p, "propensity_error")
    pipeline = import_file(data_file)
    alone = pipeline.compute()
    np.testing.assert_allclose(alone.particles["Radius"], radii_of(p), rtol=1e-6)
    assert [kind.name for kind in alone.particles.bonds["Bond Type"].types] == ["A-A", "A-B", "B-B"]
    names = local.read_text().split("ITEM: BONDS ")[1].splitlines()[0].split()
    known = {"batom1": "Particle Identifiers.1", "batom2": "Particle Identifiers.2", "btype": "Bond Type"}
    for path, more in ((dump, {}), (local, {"columns": [known.get(name, name) for name in names]})):
        modifier = LoadTrajectoryModifier()
        modifier.source.load(path, **more)
        pipeline.modifiers.append(modifier)
    data = pipeline.compute()
    check_particles(data, p, "propensity_error")
    check_bonds(data, p, "propensity_error")


@pytest.mark.parametrize("cell", CELLS)
def test_collection(cell, tiny_model):
    p = full_prediction(cell)
    data = p.to_ovito()
    check_particles(data, p)
    check_bonds(data, p)
    assert data.cell.is2D == (cell == "flat")
    assert (data.attributes["Name"], data.attributes["ColorBy"]) == ("a", "propensity")
    assert p.to_ovito(bonds=0).particles.bonds is None
    assert "Color" not in p.to_ovito(color="none").particles
    frame = full_prediction(kind=FramePrediction, frame=2, time=0.5, step=7).to_ovito()
    assert [frame.attributes[key] for key in ("Frame", "Time", "Timestep")] == [2, 0.5, 7]
    with pytest.raises(InputError, match="color = 'red' is no column"):
        p.to_ovito(color="red")


@pytest.mark.parametrize("cell", CELLS)
def test_what_ovito_holds_is_predicted_as_the_files_are(tmp_path, cell, tiny_model):
    model = bf.BOTAN(hidden_size=8, num_steps=1, dimensions=2) if cell == "flat" else tiny_model
    p = full_prediction(cell)
    write_xyz(p, tmp_path / "a.xyz")
    [expected] = bf.predict(model, tmp_path / "a.xyz")
    dump = write_lammps(p, tmp_path / "a.data")[1]
    for data in (import_file(tmp_path / "a.xyz").compute(), import_file(dump).compute(), p.to_ovito()):
        [found] = bf.predict(model, data)
        np.testing.assert_array_equal(found.types, p.types)
        np.testing.assert_allclose(found.propensity, expected.propensity, atol=2e-5)


def test_session(tmp_path):
    """Opened again it has all; what the program's own scene holds is not in it, and stays."""
    p = full_prediction()
    write_xyz(p, tmp_path / "a.xyz")
    mine = import_file(tmp_path / "a.xyz")
    mine.add_to_scene()
    write_ovito(p, tmp_path / "a.ovito")
    assert list(ovito.scene.pipelines) == [mine]
    mine.remove_from_scene()
    ovito.scene.load(str(tmp_path / "a.ovito"))
    [pipeline] = ovito.scene.pipelines
    data = pipeline.compute()
    check_particles(data, p)
    check_bonds(data, p)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ovito", "a.xyz"]


@contextlib.contextmanager
def drawing():
    """Skips where the system has no driver to draw with, which is not a matter of OVITO's package."""
    try:
        yield
    except RuntimeError as error:
        if "Vulkan" not in str(error):
            raise
        pytest.skip("OVITO has no Vulkan driver to draw with (Debian: libvulkan1 and mesa-vulkan-drivers)")


def picture(path):
    """RGB of a view along z, without shadows, (H, W, 3) floats."""
    viewport = Viewport(type=Viewport.Type.Ortho, camera_dir=(0, 0, -1))
    viewport.zoom_all(size=(300, 300))
    renderer = TachyonRenderer(ambient_occlusion=False, shadows=False, antialiasing=False)
    with drawing():
        image = viewport.render_image(size=(300, 300), renderer=renderer, filename=str(path))
    bits = image.convertToFormat(image.Format.Format_RGB888)
    rows = np.frombuffer(bits.constBits(), np.uint8).reshape(bits.height(), bits.bytesPerLine())
    return rows[:, : 3 * bits.width()].reshape(bits.height(), bits.width(), 3) / 255


@pytest.mark.parametrize("kind", ["xyz", "dump", "session"])
def test_a_picture_has_the_colours(tmp_path, kind):
    """One slow particle at the left and a fast one at the right: purple and yellow, the ends of viridis."""
    p = full_prediction(number=2, propensity=np.float32([0, 1]), target_propensity=None, pair_change=None)
    p.positions = np.array([[1.0, 3.0, 3.5], [4.0, 3.0, 3.5]])
    p.senders = p.receivers = np.empty(0, np.int32)
    p.distance = np.empty(0, np.float32)
    p.target_pair_change = None
    if kind == "xyz":
        write_xyz(p, tmp_path / "a.xyz")
        import_file(tmp_path / "a.xyz").add_to_scene()
    elif kind == "dump":
        import_file(write_lammps(p, tmp_path / "a.data")[1]).add_to_scene()
    else:
        write_ovito(p, tmp_path / "a.ovito")
        ovito.scene.load(str(tmp_path / "a.ovito"))
    image = picture(tmp_path / "a.png")
    colored = np.ptp(image, axis=2) > 0.15
    columns = np.nonzero(colored.any(0))[0]
    middle = (columns[0] + columns[-1]) // 2
    left, right = (image[:, part][colored[:, part]].mean(0) for part in (slice(0, middle), slice(middle, None)))
    assert left[2] > left[1]  # (0.27, 0.00, 0.33)
    assert right[1] > 2 * right[2]  # (0.99, 0.91, 0.14)


def test_bonds_of_a_session_have_their_own_colours(tmp_path):
    """Two pairs, one that comes closer and one that parts: the blue and the red end of coolwarm between grey ends."""
    p = full_prediction(number=4, propensity=np.float32([0.5] * 4), target_propensity=None)
    p.positions = np.array([[1.0, 3.0, 3.5], [2.2, 3.0, 3.5], [1.0, 1.0, 3.5], [2.2, 1.0, 3.5]])
    p.senders, p.receivers = np.int32([1, 0, 3, 2]), np.int32([0, 1, 2, 3])
    p.distance, p.target_pair_change = np.full(4, 1.2, np.float32), None
    p.pair_change = np.float32([-0.2, -0.2, 0.2, 0.2])
    write_ovito(p, tmp_path / "a.ovito")
    ovito.scene.load(str(tmp_path / "a.ovito"))
    image = picture(tmp_path / "a.png")
    blue = (image[..., 2] - image[..., 0] > 0.3) & (image[..., 1] > 0.1)  # (0.23, 0.30, 0.75), not viridis' middle
    red = image[..., 0] - image[..., 2] > 0.3  # (0.71, 0.02, 0.15)
    assert blue.any()
    assert red.any()
    assert np.nonzero(blue)[0].mean() < np.nonzero(red)[0].mean()  # the upper pair is the blue one


def test_the_picture_of_the_how_to(tmp_path, monkeypatch):
    """The program of docs/howto/ovito.md, as it stands there."""
    monkeypatch.chdir(tmp_path)
    write_ovito(full_prediction(), "glass.ovito")
    page = (Path(__file__).parents[2] / "docs/howto/ovito.md").read_text()
    [program] = [part for part in re.findall(r"(?m)(?:^(?: {4}.*)?\n)+", page) if "import ovito" in part]
    with drawing():
        exec(compile(textwrap.dedent(program), "docs/howto/ovito.md", "exec"), {})
    assert Path("glass.png").stat().st_size > 1000
