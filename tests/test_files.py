"""atomic_write: all or nothing; did_you_mean; name_of."""

import os
import stat

import numpy as np
import pytest

from botan_fast.errors import InputError
from botan_fast.files import atomic_write, did_you_mean, name_of


def test_writes_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    for text in ("first", "second"):
        with atomic_write(target) as temporary:
            assert temporary.parent == tmp_path
            temporary.write_text(text)
            assert not target.exists() or target.read_text() == "first"
        assert target.read_text() == text
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_failure_keeps_the_old_file(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail():
        with atomic_write(target) as temporary:
            temporary.write_text("half of the n")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_failing_rename_removes_the_temporary_file(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError("no rename")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no rename"), atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert not any(tmp_path.iterdir())


def test_keeps_the_ending_for_writers_that_look_at_it(tmp_path):
    with atomic_write(tmp_path / "a.npz") as temporary:
        np.savez(temporary, x=np.arange(3))
    with np.load(tmp_path / "a.npz") as z:
        assert z["x"].tolist() == [0, 1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_follows_a_symbolic_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    with atomic_write(tmp_path / "link.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_readable_by_others_as_the_umask_allows(tmp_path):
    old = os.umask(0o022)
    try:
        with atomic_write(tmp_path / "a.txt") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_one_clear_error(tmp_path):
    with pytest.raises(InputError, match=r"folder '.*missing' does not exist; create it first"):
        atomic_write(tmp_path / "missing" / "a.txt").__enter__()
    with pytest.raises(InputError, match="is a folder; give the name of a file"):
        atomic_write(tmp_path).__enter__()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        atomic_write(tmp_path / "file" / "a.txt").__enter__()


def test_did_you_mean():
    known = ["conf_1.npz", "conf_10.npz", "model.pth"]
    assert did_you_mean("conf_2.npz", known, 2) == "; did you mean conf_1.npz or conf_10.npz?"
    assert did_you_mean("modle.pth", iter(known), show="'{}'".format) == "; did you mean 'model.pth'?"
    assert did_you_mean("", known) == did_you_mean("conf_1.npz", []) == ""


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("conf.npz", "conf"),
        ("a/b/conf.dump.gz", "conf"),
        ("conf.DUMP.GZ", "conf"),
        ("conf.xyz.zst", "conf"),
        ("run.lammpstrj.xz", "run"),
        ("dump.0", "dump.0"),
        ("dump.1000.gz", "dump.1000"),
        ("dump.1000.bz2", "dump.1000"),
        ("glass.2", "glass.2"),
        ("N4096T0.44_12_tc07.npz", "N4096T0.44_12_tc07"),
        ("T0.44", "T0.44"),
        ("conf.initial", "conf.initial"),
        (".npz", ".npz"),
        ("conf", "conf"),
    ],
)
def test_names_of_files(path, name):
    assert name_of(path) == name
