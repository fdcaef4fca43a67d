"""Models on disk: own files (safetensors), and the published weights of others."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

import safetensors
import safetensors.torch
import torch

from .. import __version__
from ..errors import CheckpointError, InputError
from ..files import FilePath, atomic_write, did_you_mean, printable
from ..log import logger
from ..quantities import letter_of_version
from .botan import BOTAN
from .card import ModelCard, card_from_json
from .config import buffer_shapes, check_config, state_shapes, stored_config
from .ensemble import Ensemble
from .linear import LinearBaseline, check_linear_config, is_linear, linear_shapes
from .published import check_shapes, from_glassy_dynamics, from_pyg_botan, published_card
from .shipped import hint, shipped_file, shipped_models
from .tf_checkpoint import is_index_file
from .torch_file import read_state_dict

__all__ = ["load_model", "read_metadata", "save_model"]

_LOG = logger(__name__)

FORMAT = "botan_fast"
# 2: the letter of the node target is that of quantities.LETTERS_VERSION 2. 3: inputs, outputs and their scales.
FORMAT_VERSION = 3
LAST = "last.safetensors"  # what a training run writes, and what loading its folder gives
MAX_HEADER = 10_000_000  # bytes of names, shapes and metadata in front of the tensors
# Entries of a configuration that every version knows.
_FIRST_ENTRIES = (
    *("hidden_size", "num_steps", "decoders", "dimensions"),
    *("edge_node_skip", "self_edges", "cutoff", "node_target"),
)
_FLOATS = ("F16", "BF16", "F32", "F64")


def save_model(model: BOTAN | LinearBaseline, path: FilePath, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a model and its configuration to a safetensors file.

    The file holds the ``state_dict`` in the dtype of the model, and in its metadata ``format`` ("botan_fast"),
    ``format_version``, ``botan_fast_version``, ``config`` (the arguments of ``BOTAN`` as JSON), ``metadata`` (JSON)
    and, where the model has one, ``card`` (what it was trained for, see `botan_fast.model.card`). It is written
    completely or not at all: an old file at ``path`` stays until the new one is on disk. Equal models give equal
    files, byte by byte. Reading such a file cannot run code, so it is safe to share.

    Parameters
    ----------
    model
        BOTAN or LinearBaseline on any device; the file does not remember the device.
    path
        File to write, by custom ``*.safetensors``; its folder must exist.
    metadata
        Anything that JSON can hold, such as ``{"epoch": 12}``; ``read_metadata`` gives it back.

    Raises
    ------
    InputError
        ``model`` is none of these, ``metadata`` cannot be written as JSON, or the folder does not exist.

    Examples
    --------
    >>> import tempfile, torch
    >>> import botan_fast as bf
    >>> model = bf.BOTAN(hidden_size=8, num_steps=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bf.save_model(model, f"{folder}/model.safetensors")
    ...     again = bf.load_model(f"{folder}/model.safetensors")
    >>> all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    True
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if not isinstance(model, BOTAN | LinearBaseline):
        raise InputError(f"model is a {type(model).__name__}; save_model writes BOTAN and LinearBaseline models")
    try:
        config = _checked(model.config)
    except InputError as error:
        raise InputError(f"model.config: {error}") from None
    state = {name: tensor.detach().to("cpu").contiguous() for name, tensor in model.state_dict().items()}
    if {name: tuple(tensor.shape) for name, tensor in state.items()} != _shapes(config):
        raise InputError("model has other tensors than its configuration says; save the model that BOTAN made")
    try:
        extra = json.dumps(dict(metadata or {}), sort_keys=True)
    except (TypeError, ValueError) as error:
        raise InputError(f"metadata cannot be written as JSON ({error}); use numbers, strings, lists, dicts") from None
    header = {
        "format": FORMAT,
        "format_version": str(_version_of(config)),
        "botan_fast_version": __version__,
        "config": json.dumps(config if is_linear(config) else stored_config(config)),
        "metadata": extra,
    }
    card = getattr(model, "card", None)  # a model from a pickle of an earlier version has none
    if card is not None:
        header["card"] = card.to_json()
    content = _with_sorted_metadata(safetensors.torch.save(state, header))
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


@overload
def load_model(path: FilePath, *, rotations: int = ...) -> BOTAN | LinearBaseline: ...
@overload
def load_model(path: list[Any] | tuple[Any, ...], *, rotations: int = ...) -> Ensemble: ...
def load_model(
    path: FilePath | list[Any] | tuple[Any, ...], *, rotations: int = 0
) -> BOTAN | LinearBaseline | Ensemble:
    """Read a model from any file that botan_fast knows; the content decides, not the name. Several give an ensemble.

    ===============================================  ==================================================================
    file                                             gives
    ===============================================  ==================================================================
    own file (``save_model``)                        the model that was saved
    folder of a training run or a baseline           the model in its ``last.safetensors``
    ``.pth`` of the authors (pyg_botan)              ``decoders="shared"``, seven steps, cutoff 2.0
    DeepMind's glassy_dynamics TensorFlow            ``decoders="node"``, ``edge_node_skip=True``, ``self_edges=True``,
    checkpoint: its prefix, index or data file       seven steps, cutoff 2.0
    ===============================================  ==================================================================

    The first two carry their configuration. A ``.pth`` may be a ``state_dict``, or a dictionary with one beside an
    epoch, an optimizer and the like; what DataParallel (``module.``) or torch.compile (``_orig_mod.``) put before the
    names is left out. No format can run code: ``.pth`` files are read with ``weights_only=True``, and a file with
    Python objects in it is refused. TensorFlow is not needed; the checksums of its index and tensors are verified.
    Sizes are compared before a model is built.

    Parameters
    ----------
    path
        File, folder of a training run, prefix of a TensorFlow checkpoint, or the name of weights that come with the
        package (`shipped_models`). A list of them, or of models: the `Ensemble` of all.
    rotations
        Of an ensemble, see `Ensemble`.

    Returns
    -------
    BOTAN, LinearBaseline or Ensemble
        On the CPU, in float32 (other floating dtypes are converted), in training mode; ``model.config`` tells what
        it is, and ``model.card`` what it was trained for, or None: files of ``train`` say it, and published weights are
        recognised by their digest.

    Raises
    ------
    CheckpointError
        The file is missing, empty, truncated, corrupt, of an unknown or newer format, or of another architecture.

    References
    ----------
    Shiba, Hanai, Suzumura, Shimokawabe, J. Chem. Phys. 158, 084503 (2023), Fig. 2 (the model), and
    github.com/h3-Open-BDEC/pyg_botan (the ``.pth`` files). Bapst et al., Nature Physics 16, 448 (2020), and
    github.com/google-deepmind/deepmind-research, folder glassy_dynamics (the TensorFlow checkpoint).

    Examples
    --------
    >>> import tempfile
    >>> import botan_fast as bf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bf.save_model(bf.BOTAN(hidden_size=8, decoders="shared"), f"{folder}/last.safetensors")
    ...     model = bf.load_model(folder)
    >>> model.config["hidden_size"], model.config["decoders"]
    (8, 'shared')
    """
    if isinstance(path, (list, tuple)):
        models: list[Any] = [one if isinstance(one, torch.nn.Module) else load_model(one) for one in path]
        return Ensemble(models, rotations)
    if rotations:
        raise InputError(f"rotations = {rotations} are those of an ensemble; give the path in a list, [path]")
    file = _find(path)
    try:
        kind = _kind(file)
        readers = {"own": _read_own, "pth": _read_pth, "tensorflow": from_glassy_dynamics}
        config, state = readers[kind](file)
        config = _checked(config)
        card = read_metadata(file)["card"] if kind == "own" else None
        _check_scales(file, config, state)
    except InputError as error:
        raise CheckpointError(f"path = '{file}' is of another architecture: {error}") from None
    except OSError as error:
        raise CheckpointError(f"path = '{file}' cannot be read ({error.strerror or error}); check the file") from None
    with torch.random.fork_rng(devices=[]):  # the random initial weights, at once replaced, take no random numbers
        model = _made(config).to("cpu", torch.float32)
    model.load_state_dict({name: tensor.to(torch.float32) for name, tensor in state.items()})
    model.card = published_card(model.state_dict()) if card is None else card
    _LOG.info("read a %s of %d weights from %s", type(model).__name__, sum(t.numel() for t in state.values()), file)
    return model


def read_metadata(path: FilePath) -> dict[str, Any]:
    """What an own file (or run folder) tells besides its tensors, without reading them.

    Returns a dictionary with ``format_version`` (int), ``botan_fast_version``, ``config`` (dict, checked),
    ``metadata`` (dict, what the caller of ``save_model`` gave) and ``card`` (ModelCard or None). Raises
    CheckpointError like ``load_model``, and for files of other programs.

    >>> import tempfile
    >>> import botan_fast as bf
    >>> from botan_fast.model.checkpoint import read_metadata
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bf.save_model(bf.BOTAN(hidden_size=8), f"{folder}/model.safetensors", metadata={"epoch": 12})
    ...     read_metadata(f"{folder}/model.safetensors")["metadata"]
    {'epoch': 12}
    """
    file = _find(path)
    try:
        if _kind(file) != "own":
            raise CheckpointError(f"path = '{file}' is not a file of botan_fast and has no metadata")
        with safetensors.safe_open(file, "pt") as opened:
            return _header(file, opened.metadata())
    except (OSError, safetensors.SafetensorError) as error:
        raise _unreadable(file, error) from None


def _checked(config: Any) -> dict[str, Any]:
    """The configuration of a model of either kind, complete, or InputError that names the first wrong entry."""
    return {"kind": config["kind"], **check_linear_config(config)} if is_linear(config) else check_config(config)


def _shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return linear_shapes(config) if is_linear(config) else state_shapes(config)


def _made(config: dict[str, Any]) -> BOTAN | LinearBaseline:
    return LinearBaseline(**check_linear_config(config)) if is_linear(config) else BOTAN(**config)


def _version_of(config: dict[str, Any]) -> int:
    """The lowest version that says all of it: earlier versions of botan_fast read all other models as ever."""
    if is_linear(config) or set(stored_config(config)) - set(_FIRST_ENTRIES):
        return 3
    return 2 if config["node_target"] == "R" else 1


def _check_scales(file: Path, config: dict[str, Any], state: Mapping[str, torch.Tensor]) -> None:
    for name in linear_shapes(config) if is_linear(config) else buffer_shapes(config):
        positive = name.endswith("width")
        if not (state[name].isfinite().all() and (not positive or (state[name] > 0).all())):
            wanted = "positive numbers" if positive else "finite numbers"
            raise CheckpointError(f"path = '{file}': tensor '{name}' holds something else than {wanted}; save it again")


def _find(path: FilePath) -> Path:
    """The existing file (or TensorFlow prefix as its index) that ``path`` means."""
    try:
        path = Path(path)
        is_folder, exists = path.is_dir(), path.exists()
        index = Path(f"{path}.index")
        if path.is_file():
            # Data files of TensorFlow are raw numbers: nothing in them tells, only the name does.
            found = re.fullmatch(r"(.+)\.data-\d{5}-of-\d{5}", path.name)
            return path.with_name(found[1] + ".index") if found else path
        if index.is_file():
            return index
    except (TypeError, ValueError, OSError) as error:  # not a path, a null byte, a name too long
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"path = '{printable(path, 80)}' is not a path ({reason}); give the name of a file"
        ) from None
    if is_folder:
        return _in_run_folder(path)
    if exists:
        raise CheckpointError(f"path = '{path}' is neither a file nor a folder; give a model file")
    if path.is_symlink():
        raise CheckpointError(f"path = '{path}' is a link that leads to no file; give a model file")
    shipped = shipped_file(path)
    if shipped is not None:
        return shipped
    folder = path.parent
    if not folder.is_dir():
        raise CheckpointError(f"path = '{path}': folder '{folder}' does not exist; check the spelling")
    names = {re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", p.name) for p in folder.iterdir()}
    names |= set(shipped_models()) if path.parent == Path() else set()
    near = did_you_mean(path.name, [n for n in names if not n.startswith(".")], 3, "'{}'".format)
    raise CheckpointError(f"path = '{path}' does not exist{near or '; check the spelling'}{hint(path)}")


def _in_run_folder(path: Path) -> Path:
    if (path / LAST).is_file():
        return path / LAST
    others = [p.name for p in path.iterdir() if p.suffix in (".safetensors", ".pth", ".index")]
    hint = f"give a file in it, such as '{sorted(others)[0]}'" if others else "give a model file"
    raise CheckpointError(f"path = '{path}' is a folder without '{LAST}', so not a training run; {hint}")


def _kind(file: Path) -> str:
    """Format of the file from its first or last bytes."""
    if not file.is_file():
        raise CheckpointError(f"path = '{file}' does not exist; the data file needs its index beside it")
    size = file.stat().st_size
    if size == 0:
        raise CheckpointError(f"path = '{file}' is empty; write or fetch it again")
    with open(file, "rb") as opened:
        start = opened.read(10)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= MAX_HEADER:
        return "own"
    if start[:4] == b"PK\x03\x04" or re.match(rb"\x80[\x02-\x05]", start):
        return "pth"
    if is_index_file(file) or file.suffix == ".index":
        return "tensorflow"
    raise CheckpointError(
        f"path = '{file}' is of an unknown format; known are botan_fast's safetensors, the authors' .pth, and the "
        "TensorFlow checkpoint of glassy_dynamics"
    )


def _read_own(file: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        with safetensors.safe_open(file, "pt") as opened:
            config = _header(file, opened.metadata())["config"]
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 (it is no dict)
            check_shapes(file, {name: tuple(s.get_shape()) for name, s in slices.items()}, _shapes(config))
            for name, part in slices.items():
                if part.get_dtype() not in _FLOATS:
                    raise CheckpointError(
                        f"path = '{file}': tensor '{name}' has dtype {part.get_dtype()}; "
                        f"expected one of {', '.join(_FLOATS)}"
                    )
            return config, {name: opened.get_tensor(name) for name in _shapes(config)}
    except safetensors.SafetensorError as error:
        raise _unreadable(file, error) from None


def _header(file: Path, header: Mapping[str, str] | None) -> dict[str, Any]:
    """The metadata of an own file, checked."""
    if not header or header.get("format") != FORMAT:
        raise CheckpointError(
            f"path = '{file}' is a safetensors file without the metadata of botan_fast; write it with save_model"
        )
    version, writer = header.get("format_version", ""), header.get("botan_fast_version", "?")
    if not re.fullmatch(r"[1-9]\d{0,8}", version):
        raise CheckpointError(f"path = '{file}' has format_version = {version[:20]!r}; write it with save_model")
    if int(version) > FORMAT_VERSION:
        raise CheckpointError(
            f"path = '{file}' has format_version = {version} (written by botan_fast {printable(writer, 20)}), this "
            f"botan_fast reads up to {FORMAT_VERSION}; update botan_fast"
        )
    try:
        config = _checked(json.loads(header.get("config", "null")))
        extra = json.loads(header.get("metadata", "{}"))
        card = card_from_json(header["card"]) if "card" in header else None
        config["node_target"] = letter_of_version(config["node_target"], int(version))
        _check_card(card, config)
    except (InputError, ValueError, RecursionError) as error:
        raise CheckpointError(f"path = '{file}' has a wrong configuration: {_one_line(error)}") from None
    if not isinstance(extra, dict):
        raise CheckpointError(f"path = '{file}' has a wrong configuration: its metadata are a {type(extra).__name__}")
    return {
        "format_version": int(version),
        "botan_fast_version": writer,
        "config": config,
        "metadata": extra,
        "card": card,
    }


def _check_card(card: ModelCard | None, config: dict[str, Any]) -> None:
    """InputError where a card, edited or of another file, speaks of another model than this one."""
    if card is None:
        return
    node = next((letter for letter in card.outputs if letter != "E"), None)
    for name, said, real in (
        ("dimensions", card.dimensions, config["dimensions"]),
        ("cutoff", card.cutoff, config["cutoff"]),
        ("a node target", node, config["node_target"]),
    ):
        if said is not None and said != real:
            raise InputError(
                f"the model card has {name} = {said}, but the model {real}; save the model with a right card"
            )


def _read_pth(file: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    return from_pyg_botan(file, read_state_dict(file))


def _with_sorted_metadata(content: bytes) -> bytes:
    """The same safetensors file with its metadata in a fixed order; the library's order is random."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def _unreadable(file: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"path = '{file}' is truncated or corrupt ({_one_line(error)}); write or fetch it again")


def _one_line(error: Exception) -> str:
    return printable(str(error).split("\n")[0] or type(error).__name__)
