"""Extended XYZ as others write it: the second line in all its spellings."""

import numpy as np
import pytest

from botan_fast.errors import DataError
from botan_fast.formats import read
from botan_fast.formats.extended_xyz import _entries
from tests.helpers.format_files import frames_of, simulation, xyz_text

CELL = "5.0 0.0 0.0 0.0 6.0 0.0 0.0 0.0 7.0"
PROPERTIES = "Properties=species:S:1:pos:R:3:mass:R:1"


def check(path, s, times=None):
    configurations = read(path)
    assert [c.time for c in configurations] == ([None] * 3 if times is None else list(times))
    for k, c in enumerate(configurations):
        np.testing.assert_array_equal(c.types, s.types)
        np.testing.assert_allclose(c.box, s.box)
        np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, 0], atol=1e-9)


def with_comment(s, comment):
    """The simulation with `comment` as the second line of each frame, {time} filled in."""
    lines = xyz_text(s, frames_of(s)).splitlines()
    for k, (time, _) in enumerate(frames_of(s)):
        lines[42 * k + 1] = comment.replace("{time}", repr(time))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "comment",
    [
        f'Lattice="{CELL}" {PROPERTIES} Time={{time}}',
        f"Lattice='{CELL}' {PROPERTIES} Time={{time}} pbc='T T T'",
        f'lattice="{CELL}" {PROPERTIES.lower()} time={{time}} PBC="t t t"',
        f'LATTICE="{CELL}" {PROPERTIES.upper()} TIME={{time}} PBC="TRUE TRUE TRUE"',
        f"Lattice={{{CELL}}} {PROPERTIES} Time={{time}} pbc={{T T T}}",
        f"Lattice=[[5, 0, 0], [0, 6, 0], [0, 0, 7]] {PROPERTIES} Time={{time}} pbc=[true, true, true]",
        f"Lattice=[5,0,0,0,6,0,0,0,7] {PROPERTIES} Time={{time}} pbc=[1,1,1]",
        f'Lattice="5.0 6.0 7.0" {PROPERTIES} Time={{time}}',
        f'Lattice = "{CELL}" {PROPERTIES.replace("=", " = ")} Time = {{time}}',
        f'Lattice="{CELL}"\t{PROPERTIES}\tTime={{time}}\t',
        f'Lattice="\t{CELL}  "   {PROPERTIES}   Time="{{time}}"',
        f'"Lattice"="{CELL}" {PROPERTIES} "Time"={{time}}',
        f'{PROPERTIES} Time={{time}} Lattice="{CELL}"',
        f'Lattice="5.0D+00 0.0d0 0.0 0.0 6.0D0 0.0 0.0 0.0 0.7D+01" {PROPERTIES} Time={{time}}',
        f'note="he said \\"Lattice=1 1 1\\" once" Lattice="{CELL}" {PROPERTIES} Time={{time}}',
        f"It's a note, 'here Lattice=\"{CELL}\" {PROPERTIES} Time={{time}}",
        f'config_type= empty="" Lattice="{CELL}" {PROPERTIES} Time={{time}}',
        f'{{a brace}} [a bracket] e/atom=-1.5 d="{{\\"a\\": [1]}}" Lattice="{CELL}" {PROPERTIES} Time={{time}}',
        f'Lattice="{CELL}", {PROPERTIES}, Time={{time}}, pbc="T, T, T"',
        f'lattice="9 0 0 0 9 0 0 0 9" Lattice="{CELL}" {PROPERTIES} Time={{time}}',  # the manual's spelling counts
        " ".join(f'key{k}="{"x" * 60}"' for k in range(50)) + f' Lattice="{CELL}" {PROPERTIES} Time={{time}}',
        f'comment="{"x" * 100_000}" Lattice="{CELL}" {PROPERTIES} Time={{time}}',
    ],
    ids=lambda comment: comment[:30],
)
def test_spellings(tmp_path, comment):
    s = simulation()
    (tmp_path / "a.xyz").write_text(with_comment(s, comment))
    check(tmp_path / "a.xyz", s, s.times)


def test_windows_line_ends_and_spaces(tmp_path):
    s = simulation()
    text = xyz_text(s, frames_of(s)).replace("\n", " \r\n").replace("40 \r", "  40 \r")
    (tmp_path / "a.xyz").write_bytes((text + "\r\n\r\n").encode())
    check(tmp_path / "a.xyz", s, s.times)


def test_columns_of_every_type_and_numbers_of_fortran(tmp_path):
    s = simulation()
    lines = xyz_text(s, frames_of(s)).replace("mass:R:1", "tag:I:1:fixed:L:1:name:S:2:pair:R:2").splitlines()
    for k, line in enumerate(lines):
        words = line.split()
        if len(words) == 5:
            numbers = [f"{float(word):.16E}".replace("E", "D") for word in words[1:4]]
            lines[k] = "\t".join([words[0], *numbers, str(k), "T", "Si", "x-1", "1.0D0", "NaN"])
    (tmp_path / "a.xyz").write_text("\n".join(lines))
    check(tmp_path / "a.xyz", s, s.times)


def test_types_as_text_under_the_name_type(tmp_path):
    s = simulation()
    (tmp_path / "a.xyz").write_text(xyz_text(s, frames_of(s)).replace("species:S", "type:S"))
    check(tmp_path / "a.xyz", s, s.times)


@pytest.mark.parametrize("kind", ["plain", "tilted", "flat"])
def test_what_ase_writes(tmp_path, kind):
    ase_io = pytest.importorskip("ase.io")
    from ase import Atoms

    rng = np.random.default_rng(0)
    cell = np.diag([6.0, 6.5, 7.0])
    if kind == "tilted":
        cell[1, 0], cell[2, 0] = 1.0, -0.5
    start = rng.random((40, 3)) @ cell
    moves = [0.1 * k * np.ones((40, 3)) for k in range(3)]
    if kind == "flat":
        start[:, 2], cell[2, 2] = 0, 0
        for move in moves:
            move[:, 2] = 0
    symbols = ["Ge" if k % 5 == 4 else "Si" for k in range(40)]
    frames = []
    for k, move in enumerate(moves):
        atoms = Atoms(symbols, positions=start + move, cell=cell, pbc=[True, True, kind != "flat"])
        atoms.info |= {"config_type": "a b", "time": 2.0 * k, "note": 'he said "hi" = {ok}', "flag": True}
        atoms.info |= {"array": np.arange(9).reshape(3, 3), "list": [1, 2], "table": {"a": [1, 2]}, "virial": [0.5] * 9}
        atoms.arrays["tag"] = np.arange(40)
        atoms.arrays["fixed"] = np.arange(40) % 2 == 0
        atoms.arrays["label"] = np.array([f"n{number}" for number in range(40)])
        frames.append(atoms)
    ase_io.write(tmp_path / "a.xyz", frames, format="extxyz")
    configurations = read(tmp_path / "a.xyz")
    assert [c.time for c in configurations] == [2.0, 4.0]
    size = 2 if kind == "flat" else 3
    for k, c in enumerate(configurations):
        assert c.species == ("Si", "Ge")
        np.testing.assert_array_equal(c.types, np.arange(40) % 5 == 4)
        np.testing.assert_allclose(np.diag(c.box) if c.box.ndim == 1 else c.box, cell[:size, :size])
        np.testing.assert_allclose(c.trajectories[0] - c.positions, 0.1 * (k + 1), atol=1e-7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("40\nLattice of a glass, all properties known\nA 0 0 0\n", "no format does"),
        ("40\n" + "x" * 3_000_000, "no format does"),
        ("40\n", "no format does"),
        ('1\nLattice="1 0 0 0 1 0 0 0 x" Properties=species:S:1:pos:R:3\nA 0 0 0\n', "Lattice of frame 0 reads"),
        ('1\nLattice="1 0 0 0 1 0 0 0 1" Properties=species:S:1:pos:R:3 pbc="F T T"\nA 0 0 0\n', "expected a periodic"),
        ('1\nLattice="1 0 0 0 1 0 0 0 1" Properties=species:S:1:pos:R:3 pbc="T T"\nA 0 0 0\n', "expected a periodic"),
        (
            '2\nLattice="1 0 0 0 1 0 0 0 1" Properties=pos:R:3:id:I:1:species:S:1\n0 0 0 7 A\n.5 0 0 7 A\n',
            "particle 7 twice",
        ),
    ],
    ids=range(7),
)
def test_refusals(tmp_path, text, message):
    (tmp_path / "a.xyz").write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path / "a.xyz")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("piece", ["a={", 'a="', "'", "[", "= ", "a ", '\\"', "a=[{", ","])
def test_a_long_line_takes_a_time_proportional_to_its_length(piece):
    import time

    start = time.perf_counter()
    _entries(piece * 200_000)
    assert time.perf_counter() - start < 5
