"""Files that are written whole or not at all; their names, natural order, safe names, and the name that was meant."""

import contextlib
import difflib
import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from .errors import DataError, InputError
from .interruption import deferred, orderly

__all__ = [
    "FilePath",
    "atomic_write",
    "check_name",
    "did_you_mean",
    "file_name",
    "is_file",
    "name_of",
    "natural_key",
    "near_matches",
    "printable",
    "remove_leftovers",
    "write_bytes",
]

FilePath: TypeAlias = str | os.PathLike[str]
_LONGEST_NAME = 1000  # bytes of a configuration's name
_LONGEST_FILE = 250  # bytes of a file's name; file systems take 255, endings need some of them

# They turn the direction of the text: "glass" + U+202E + "zpn.exe" shows as another file.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_COMPRESSED = ("gz", "bz2", "xz", "zst", "zstd")
_ENDINGS = {
    *("npz", "npy", "pickle", "pkl", "p", "h5", "hdf5", "hdf", "h5md", "gsd", "xyz", "extxyz", "exyz", "dump", "dmp"),
    *("lammpstrj", "lammpsdump", "lammps", "lmp", "trj", "traj", "atom", "custom", "data", "dat", "txt", "out", "toml"),
}


@contextlib.contextmanager
def atomic_write(path: FilePath) -> Iterator[Path]:
    """Write a file completely or not at all.

    The block receives the path of an empty temporary file in the same folder. When the block ends, the file goes to
    disk (fsync) and takes the name ``path`` in one step (rename); until then an old file at ``path`` stays as it was.
    When the block raises anything, Ctrl-C included, the temporary file is removed. A symbolic link at ``path`` is
    followed: the file that it points to is replaced.

    Parameters
    ----------
    path
        File to write; its folder must exist. The temporary name keeps the ending (``.npz``, ``.safetensors``),
        because some writers choose the format by it.

    Raises
    ------
    InputError
        The folder is missing or cannot be written to, or ``path`` is a folder.
    OSError
        The disk is full or fails; its ``filename`` is ``path``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from botan_fast.files import atomic_write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder) / "history.csv"
    ...     with atomic_write(target) as temporary:
    ...         _ = temporary.write_text("epoch,train_loss\\n")
    ...     target.read_text()
    'epoch,train_loss\\n'
    """
    if not os.fspath(path):
        raise InputError("path = '' is empty; give the name of a file")
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise InputError(f"path = '{path}' is a folder; give the name of a file to write in it")
    stem = os.fsdecode(os.fsencode(target.stem[:100])[:100])  # a character can take four bytes of the 255 of a name
    temporary = target.with_name(f".{stem}.{secrets.token_hex(6)}.tmp{target.suffix}")
    with orderly():
        try:
            # mode 0o666 less the umask: what open() gives. mkstemp would make checkpoints private to their owner.
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileNotFoundError:
            raise InputError(f"path = '{path}': folder '{target.parent}' does not exist; create it first") from None
        except OSError as error:
            raise InputError(f"path = '{path}' cannot be written ({error.strerror}); choose another folder") from None
        try:
            yield temporary
            _sync(temporary, os.O_RDWR)
            os.replace(temporary, target)
        except BaseException as error:
            with deferred(), contextlib.suppress(OSError):
                temporary.unlink()
            if isinstance(error, OSError) and error.filename in (None, str(temporary), os.fsencode(temporary)):
                # A write that fails names no file, and nobody knows the temporary one.
                raise OSError(error.errno, error.strerror or str(error), str(path)) from error
            raise
    with contextlib.suppress(OSError):  # the rename itself reaches the disk; some file systems refuse it for folders
        _sync(target.parent, os.O_RDONLY)


def write_bytes(path: FilePath, content: bytes | memoryview) -> None:
    """A file with this content, completely or not at all, see `atomic_write`.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from botan_fast.files import write_bytes
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bytes(folder + "/a", b"whole")
    ...     Path(folder + "/a").read_bytes()
    b'whole'
    """
    with atomic_write(path) as temporary, open(temporary, "r+b", buffering=0) as file:
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]


def remove_leftovers(*paths: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote one of these files.

    For those who hold a lock on the files: a process that writes one now would lose its temporary file.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from botan_fast.files import remove_leftovers
    >>> folder = tempfile.TemporaryDirectory()
    >>> left = Path(folder.name, ".config.0123456789ab.tmp.json")
    >>> left.touch()
    >>> remove_leftovers(Path(folder.name, "config.json"))
    >>> left.exists()
    False
    """
    for folder in {path.parent for path in paths}:
        wanted = {(path.stem[:100], path.suffix) for path in paths if path.parent == folder}
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                parts = re.fullmatch(r"\.(.*)\.[0-9a-f]{12}\.tmp(\.[^.]*)?", name, re.DOTALL)
                if parts and (parts[1], parts[2] or "") in wanted:
                    with contextlib.suppress(OSError):
                        (folder / name).unlink()


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def did_you_mean(word: str, known: Iterable[str], most: int = 1, show: Callable[[str], str] = str) -> str:
    """The end of a message about a word that is not known: those that come closest, nothing where none does.

    Parameters
    ----------
    word, known
        What was given, and what there is.
    most
        How many words to offer at most.
    show
        How a word is written in the message.

    Examples
    --------
    >>> from botan_fast.files import did_you_mean
    >>> did_you_mean("trian", ["train", "evaluate"])
    '; did you mean train?'
    >>> did_you_mean("colour", ["train", "evaluate"])
    ''
    """
    close = difflib.get_close_matches(word, list(known), n=most)
    return f"; did you mean {' or '.join(map(show, close))}?" if close else ""


def near_matches(path: Path) -> str:
    """'; did you mean ...?' with the names in the same folder that come closest, or where the path stops existing."""
    folder = path.parent
    try:
        if not folder.is_dir():
            while not folder.exists() and folder != folder.parent:
                folder = folder.parent
            return f"; the path exists only up to {folder}"
        names = [entry.name for entry in folder.iterdir()]
    except OSError as error:  # a folder that cannot be read
        return f"; the folder {folder} cannot be read ({error.strerror})"
    return did_you_mean(path.name, names, 3, lambda name: str(folder / name))


def name_of(path: FilePath) -> str:
    """The name of a file without what tells its format and compression; a number behind a dot is part of the name.

    >>> from botan_fast.files import name_of
    >>> name_of("T0.44/conf.dump.gz"), name_of("dump.1000"), name_of("glass.xyz")
    ('conf', 'dump.1000', 'glass')
    """
    name = Path(path).name
    for endings in (_COMPRESSED, _ENDINGS):
        stem, dot, ending = name.rpartition(".")
        if stem and dot and ending.lower() in endings:
            name = stem
    return name


def natural_key(name: str) -> list:
    """Sort key that puts 2 before 10: digits compare as numbers.

    >>> from botan_fast.files import natural_key
    >>> sorted(["a10", "a2"], key=natural_key)
    ['a2', 'a10']
    >>> natural_key("x²")
    ['x²']
    """
    # Every second part is a number. str.isdigit would not do: it says yes to a superscript two, which int() refuses.
    return [int(part) if k % 2 else part for k, part in enumerate(re.split(r"(\d+)", name))]


def is_file(path: FilePath) -> bool:
    """Is there a file to read? True for a regular file, also through links; False where there is nothing, or a folder.

    Everything else is refused, before an attempt to open it could wait forever or read without end.

    Raises
    ------
    DataError
        ``path`` is a pipe, a socket or a device, a link to itself, no possible name, or its folder cannot be read.

    Examples
    --------
    >>> from botan_fast.files import is_file
    >>> is_file("missing.npz")
    False
    >>> is_file("/dev/zero")
    Traceback (most recent call last):
        ...
    botan_fast.errors.DataError: /dev/zero is a device, not a file; write what it gives to a file first
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:  # a link to itself, a name too long, a null character
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{printable(path)}: cannot be read ({reason}); give the name of a file") from None
    kinds = {
        stat.S_IFIFO: "a pipe (FIFO)",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    if (kind := kinds.get(stat.S_IFMT(mode))) is not None:
        raise DataError(f"{printable(path)} is {kind}, not a file; write what it gives to a file first")
    return stat.S_ISREG(mode)


def printable(text: object, most: int = 200) -> str:
    """A text from a stranger as a message of one line can show it: "?" for what is not printable, the rest cut off.

    >>> from botan_fast.files import printable
    >>> printable("conf\\n1\\x1b[2J")
    'conf?1?[2J'
    """
    text = str(text)
    with contextlib.suppress(UnicodeError):  # a file name in a locale without its letters is UTF-8 all the same
        text = text.encode("utf-8", "surrogateescape").decode("utf-8")
    shown = "".join(c if c.isprintable() else "?" for c in text[:most])
    return shown + "..." * (len(text) > most)


def check_name(name: str) -> str:
    """The name of a configuration, as it is; DataError for one that no file could safely have.

    Slashes may part it into folders and a name, but the parts "." and "..", a leading slash, control characters, and
    more than 1000 bytes are refused: names come from files of strangers, and `predict` writes files of these names.

    >>> from botan_fast.files import check_name
    >>> check_name("T0.44/conf_1")
    'T0.44/conf_1'
    >>> check_name("../../escaped")
    Traceback (most recent call last):
        ...
    botan_fast.errors.DataError: the configuration's name '../../escaped' leads out of a folder; give it another name
    """
    wrong = None
    if not name:
        wrong = "is empty"
    elif any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _BIDI for c in name):
        wrong = "holds a character that cannot be printed"
    elif len(name.encode()) > _LONGEST_NAME:
        wrong = f"has more than {_LONGEST_NAME} bytes"
    elif not {"", ".", ".."}.isdisjoint(name.split("/")):
        wrong = "leads out of a folder"
    if wrong is not None:
        raise DataError(f"the configuration's name '{printable(name, 60)}' {wrong}; give it another name")
    return name


def file_name(name: str) -> str:
    """The file name of a configuration's name, without an ending: the checked name, with "_" for a slash.

    DataError where `check_name` refuses it, or it has more than 250 bytes.

    >>> from botan_fast.files import file_name
    >>> file_name("T0.44/conf_1")
    'T0.44_conf_1'
    """
    result = check_name(name).replace("/", "_")
    if len(result.encode()) > _LONGEST_FILE:
        raise DataError(
            f"the configuration's name '{printable(name, 60)}' is too long for a file; give it a shorter one"
        )
    return result
