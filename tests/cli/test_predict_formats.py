"""botan-fast predict: the kinds of files it writes, what their colours show, and how long their bonds are."""

import importlib.util

import numpy as np
import pytest

from botan_fast.cli import main
from botan_fast.formats import read
from tests.helpers.command_line import error_line
from tests.helpers.format_files import frames_of, simulation, xyz_text


@pytest.fixture
def arguments(tiny_data, tiny_model_file):
    model, data = str(tiny_model_file), str(tiny_data / "test/conf_20.npz")
    return ["predict", "--model", model, "--data", data, "--quiet", "-o"]


def comment(path):
    return path.read_text().splitlines()[1]


@pytest.mark.parametrize("ending", ["data", "lmp"])
def test_a_lammps_file_and_its_dumps(arguments, tmp_path, ending, capsys):
    output = tmp_path / f"a.{ending}"
    assert main([*arguments, str(output)]) == 0
    assert capsys.readouterr().out == f"wrote {output} and 2 more files\n"
    assert sorted(path.name for path in tmp_path.glob("a.*")) == sorted(["a.bonds.dump", f"a.{ending}", "a.dump"])
    (tmp_path / f"a.{ending}").unlink()
    assert "a.dump' exists" in error_line([*arguments, output], capsys)
    assert main([*arguments, str(output), "--force"]) == 0
    main([*arguments, str(tmp_path / "a.npz")])
    with np.load(tmp_path / "a.npz") as file:
        near = (file["distance"] < 1.35).sum() // 2
        [c] = read(output)
        np.testing.assert_array_equal(c.types, file["types"])
    assert f"\n{near} bonds\n" in output.read_text()


@pytest.mark.parametrize("ending", [".pdb", ".XYZ", ".h5", ".exyz"])
def test_an_ending_that_is_none_becomes_no_folder(arguments, tmp_path, ending, capsys):
    out = tmp_path / f"a{ending}"
    line = error_line([*arguments, out], capsys)
    assert f"ends in '{ending}', as files do that predict does not write; name a folder" in line
    assert not out.exists()
    out.mkdir()
    assert main([*arguments, str(out)]) == 0
    assert main([*arguments, str(tmp_path / "T0.44")]) == 0
    assert len(list(out.iterdir())) == len(list((tmp_path / "T0.44").iterdir())) == 2


def test_formats_of_a_folder(arguments, tmp_path):
    out = tmp_path / "out"
    assert main([*arguments, str(out), "--formats", "xyz", "lammps"]) == 0
    assert {path.name for path in out.iterdir()} == {f"conf_20.{end}" for end in ("xyz", "data", "dump", "bonds.dump")}
    assert main([*arguments, str(out), "--formats", "npz"]) == 0
    assert (out / "conf_20.npz").exists()


def test_colors_and_bonds(arguments, tmp_path, capsys):
    out = tmp_path / "a.xyz"
    assert main([*arguments, str(out)]) == 0
    assert "ColorBy=propensity " in comment(out)
    assert main([*arguments, str(out), "--force", "--color", "propensity_error"]) == 0
    assert "ColorBy=propensity_error " in comment(out)
    assert "ColorMap=coolwarm" in comment(out)
    assert main([*arguments, str(out), "--force", "--color", "none"]) == 0
    assert "Color" not in comment(out)
    assert main([*arguments, str(tmp_path / "a.data"), "--bonds", "0"]) == 0
    assert "\n0 bonds\n" in (tmp_path / "a.data").read_text()
    folder = tmp_path / "folder"
    capsys.readouterr()
    line = error_line([*arguments, folder, "--color", "propensity_eror"], capsys)
    assert "color = 'propensity_eror' is no column" in line
    assert "did you mean propensity_error?" in line
    assert list(folder.iterdir()) == []  # the npz, which has no colours, comes last
    assert "bonds = -1.0 must be 0 or positive" in error_line([*arguments, folder, "--bonds", "-1"], capsys)
    assert "invalid choice: 'pdb'" in error_line([*arguments, folder, "--formats", "pdb"], capsys)


def test_frames_come_as_xyz_and_npz(tiny_model_file, tmp_path, capsys):
    s = simulation(number=80)
    (tmp_path / "a.xyz").write_text(xyz_text(s, frames_of(s)))
    line = ["predict", "--model", tiny_model_file, "--quiet", "--frames", "all", "--data", tmp_path / "a.xyz", "-o"]
    assert "is one LAMMPS file, which holds one frame" in error_line([*line, tmp_path / "b.data"], capsys)
    text = "--formats xyz: of --frames all come npz and xyz"
    assert text in error_line([*line, tmp_path / "out", "--formats", "xyz"], capsys)
    assert main([str(a) for a in [*line, tmp_path / "b.xyz", "--color", "none"]]) == 0
    assert "Color" not in comment(tmp_path / "b.xyz")


def test_a_session_needs_ovito(arguments, tmp_path, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ovito" else find(name))
    for more in ([tmp_path / "a.ovito"], [tmp_path / "out", "--formats", "ovito"]):
        assert 'need OVITO: pip install "botan_fast[ovito]"' in error_line([*arguments, *more], capsys)
    assert list(tmp_path.glob("a.*")) == []


def test_a_session(arguments, tmp_path):
    ovito = pytest.importorskip("ovito")
    assert main([*arguments, str(tmp_path / "a.ovito")]) == 0
    ovito.scene.load(str(tmp_path / "a.ovito"))
    [pipeline] = ovito.scene.pipelines
    assert {"propensity", "Color"} <= set(pipeline.compute().particles)
    pipeline.remove_from_scene()
