"""Models on disk: round trips, the formats of others, and one clear error for every broken file."""

import itertools
import json
import os
import pickle
import re
import zipfile

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

import botan_fast as bf
from botan_fast.errors import CheckpointError, InputError
from botan_fast.model import checkpoint
from botan_fast.model.checkpoint import read_metadata
from botan_fast.model.config import check_config, state_shapes
from tests.helpers.checkpoints import H, authors_state, random_model, refused, same
from tests.helpers.tf_bundle_writer import write_bundle

# Own files


@pytest.mark.parametrize(
    ("decoders", "edge_node_skip", "dimensions"),
    list(itertools.product(["separate", "shared", "node"], [False, True], [2, 3])),
)
def test_round_trip_is_bitwise(tmp_path, decoders, edge_node_skip, dimensions):
    model = random_model(
        decoders=decoders, edge_node_skip=edge_node_skip, dimensions=dimensions, self_edges=edge_node_skip, cutoff=1.75
    )
    assert {k: tuple(v.shape) for k, v in model.state_dict().items()} == state_shapes(model.config)
    bf.save_model(model, tmp_path / "m.safetensors")
    again = bf.load_model(tmp_path / "m.safetensors")
    assert again.config == model.config
    assert same(model, again)
    assert all(p.requires_grad for p in again.parameters())


def test_equal_models_give_equal_files(tmp_path):
    contents = set()
    for k in range(6):
        bf.save_model(random_model(), tmp_path / f"{k}.safetensors", metadata={"b": 1, "a": 2})
        contents.add((tmp_path / f"{k}.safetensors").read_bytes())
    assert len(contents) == 1


def test_metadata(tmp_path):
    extra = {"epoch": 12, "scores": {"edge_pearson": 0.39, "node_pearson": None}, "name": "Łódź"}
    bf.save_model(random_model(), tmp_path / "m.safetensors", metadata=extra)
    told = read_metadata(str(tmp_path / "m.safetensors"))
    assert told["metadata"] == extra
    assert told["config"] == random_model().config
    assert (told["format_version"], told["botan_fast_version"]) == (1, bf.__version__)
    with safetensors.safe_open(tmp_path / "m.safetensors", "pt") as file:
        assert file.metadata()["format"] == "botan_fast"
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="is not a file of botan_fast"):
        read_metadata(tmp_path / "a.pth")


def test_other_dtypes_load_as_float32(tmp_path):
    model = random_model().double()
    bf.save_model(model, tmp_path / "m.safetensors")
    assert safetensors.torch.load_file(tmp_path / "m.safetensors")["node_encoder.fc2.bias"].dtype == torch.float64
    assert same(bf.load_model(tmp_path / "m.safetensors"), model.float())


def test_loading_leaves_the_random_numbers_alone(tmp_path):
    bf.save_model(random_model(), tmp_path / "m.safetensors")
    before = torch.random.get_rng_state()
    bf.load_model(tmp_path / "m.safetensors")
    assert torch.equal(before, torch.random.get_rng_state())


def test_content_decides_not_the_name(tmp_path):
    model = random_model(decoders="shared")
    bf.save_model(model, tmp_path / "own.pth")
    torch.save(authors_state(random_model(decoders="shared", num_steps=7)), tmp_path / "theirs.safetensors")
    assert same(bf.load_model(tmp_path / "own.pth"), model)
    assert bf.load_model(tmp_path / "theirs.safetensors").config["num_steps"] == 7


def test_run_directory(tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    reason = f"path = '{run}' is a folder without 'last.safetensors', so not a training run"
    assert refused(run) == f"{reason}; give a model file"
    bf.save_model(random_model(seed=1), run / "best.safetensors")
    assert refused(run) == f"{reason}; give a file in it, such as 'best.safetensors'"
    bf.save_model(random_model(), run / "last.safetensors")
    assert same(bf.load_model(run), random_model())
    monkeypatch.chdir(run)
    assert same(bf.load_model("."), random_model())


def test_failing_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    bf.save_model(random_model(), path)

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        bf.save_model(random_model(seed=1), path)
    assert same(bf.load_model(path), random_model())
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_save_refuses(tmp_path):
    with pytest.raises(InputError, match=r"model is a Linear; save_model writes BOTAN and LinearBaseline models"):
        bf.save_model(torch.nn.Linear(2, 2), tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="metadata cannot be written as JSON"):
        bf.save_model(random_model(), tmp_path / "m.safetensors", metadata={"x": torch.zeros(1)})
    with pytest.raises(InputError, match="does not exist; create it first"):
        bf.save_model(random_model(), tmp_path / "no" / "m.safetensors")
    changed = random_model()
    changed.node_encoder.fc1 = torch.nn.Linear(2, H)
    with pytest.raises(InputError, match="model has other tensors than its configuration says"):
        bf.save_model(changed, tmp_path / "m.safetensors")
    assert not any(tmp_path.iterdir())


def write_own(path, state=None, **header):
    """An own file with parts of its metadata or its tensors replaced; None leaves a part out."""
    model = random_model()
    full = {"format": "botan_fast", "format_version": "1", "config": json.dumps(model.config), **header}
    safetensors.torch.save_file(
        model.state_dict() if state is None else state, path, {k: v for k, v in full.items() if v is not None}
    )
    return path


def test_missing_file_suggests_names(tmp_path):
    bf.save_model(random_model(), tmp_path / "model.safetensors")
    write_bundle(tmp_path / "t044_s09.ckpt", {"a": np.zeros(3)})
    assert refused(tmp_path / "modle.safetensors").endswith("does not exist; did you mean 'model.safetensors'?")
    assert refused(tmp_path / "t044_s9.ckpt").endswith("does not exist; did you mean 't044_s09.ckpt'?")
    assert refused(tmp_path / "other").endswith("does not exist; check the spelling")
    assert re.search(r"folder '.*nowhere' does not exist; check the spelling", refused(tmp_path / "nowhere" / "m"))
    with pytest.raises(CheckpointError, match="is not a path"):
        bf.load_model(None)
    assert "is not a path (File name too long)" in refused(tmp_path / ("x" * 5000))


def test_empty_unknown_and_foreign_files(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"")
    assert "is empty; write or fetch it again" in refused(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert "is of an unknown format; known are" in refused(path)
    safetensors.torch.save_file(random_model().state_dict(), path)
    assert "without the metadata of botan_fast; write it with save_model" in refused(path)
    np.savez(tmp_path / "data.npz", x=np.zeros(3))
    assert "is an .npz data file, not a model; give a model file" in refused(tmp_path / "data.npz")


def test_every_truncation_is_refused(tmp_path):
    bf.save_model(random_model(), tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    for size in (5, 9, 200, len(content) // 2, len(content) - 1):
        (tmp_path / "part").write_bytes(content[:size])
        text = refused(tmp_path / "part")
        assert "is truncated or corrupt" in text or "is of an unknown format" in text


def test_newer_or_wrong_format_version(tmp_path):
    text = refused(write_own(tmp_path / "m", format_version="4", botan_fast_version="9.9"))
    assert (
        "has format_version = 4 (written by botan_fast 9.9), this botan_fast reads up to 3; update botan_fast" in text
    )
    assert "has format_version = 'one'" in refused(write_own(tmp_path / "m", format_version="one"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hidden_size": "64"}, "entry hidden_size = '64' is wrong; it must be a positive integer"),
        ({"hidden_size": True}, "entry hidden_size = 'True' is wrong"),
        ({"num_steps": -1}, "entry num_steps = '-1' is wrong; it must be a non-negative integer"),
        ({"num_steps": 7.0}, "entry num_steps = '7.0' is wrong"),
        ({"dimensions": 4}, "entry dimensions = '4' is wrong; it must be 2 or 3"),
        ({"decoders": "both"}, "entry decoders = 'both' is wrong; it must be one of separate, shared, node"),
        ({"decoders": []}, "entry decoders = '[]' is wrong"),
        ({"edge_node_skip": 1}, "entry edge_node_skip = '1' is wrong; it must be true or false"),
        ({"cutoff": float("inf")}, "entry cutoff = 'inf' is wrong; it must be a positive number"),
        ({"cutoff": -1.0}, "entry cutoff = '-1.0' is wrong"),
        ({"width": 3}, "entry 'width' is unknown; known are hidden_size,"),
        ({"hidden_size": 10**9}, "tensor 'node_encoder.fc1.weight' has shape (4, 1), expected (1000000000, 1)"),
        ({"hidden_size": 10**400}, "entry hidden_size = '1000"),
        ({"edge_node_skip": True}, "tensor 'processor.edge_mlp.fc1.weight' has shape (4, 16), expected (4, 24)"),
    ],
)
def test_configuration_is_checked_before_a_model_is_built(tmp_path, monkeypatch, change, reason):
    config = json.dumps({**random_model().config, **change})
    path = write_own(tmp_path / "m", config=config)
    monkeypatch.setattr(checkpoint, "BOTAN", None)  # building one would fail
    assert reason in refused(path)


@pytest.mark.parametrize("config", [None, "[1]", "{", "[" * 100_000])
def test_broken_configuration(tmp_path, config):
    assert "has a wrong configuration" in refused(write_own(tmp_path / "m", config=config))


def test_missing_entry_of_the_configuration():
    with pytest.raises(InputError, match="entry 'cutoff' is missing; it must be a positive number"):
        check_config({k: v for k, v in random_model().config.items() if k != "cutoff"})


def test_first_wrong_tensor_is_named(tmp_path):
    state = random_model().state_dict()
    missing = {k: v for k, v in state.items() if k != "processor.node_mlp.fc1.weight"}
    assert "is of another architecture: tensor 'processor.node_mlp.fc1.weight' of shape (4, 12) is missing" in refused(
        write_own(tmp_path / "m", missing)
    )
    misshaped = {**state, "edge_decoder.fc3.bias": torch.zeros(2)}
    assert "tensor 'edge_decoder.fc3.bias' has shape (2,), expected (1,)" in refused(
        write_own(tmp_path / "m", misshaped)
    )
    extra = {**state, "third_decoder.bias": torch.zeros(2)}
    assert "tensor 'third_decoder.bias' of shape (2,) is not expected" in refused(write_own(tmp_path / "m", extra))
    integers = {**state, "edge_decoder.fc3.bias": torch.zeros(1, dtype=torch.int64)}
    assert "tensor 'edge_decoder.fc3.bias' has dtype I64" in refused(write_own(tmp_path / "m", integers))


# The authors' .pth


@pytest.mark.parametrize("layout", ["zip", "one pickle"])
def test_authors_weights(tmp_path, layout):
    model = random_model(decoders="shared", num_steps=7)
    torch.save(authors_state(model), tmp_path / "m.pth", _use_new_zipfile_serialization=layout == "zip")
    again = bf.load_model(tmp_path / "m.pth")
    assert again.config == model.config
    assert same(model, again)
    content = (tmp_path / "m.pth").read_bytes()
    for size in (12, len(content) // 2, len(content) - 1):
        (tmp_path / "part.pth").write_bytes(content[:size])
        assert "is truncated or" in refused(tmp_path / "part.pth")
    if layout == "zip":  # the older layout has no checksums
        at = content.index(model.state_dict()["processor.edge_mlp.fc2.weight"].numpy().tobytes())
        (tmp_path / "part.pth").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert re.search(r"is corrupt: the checksum of '\S+' is wrong; fetch it again$", refused(tmp_path / "part.pth"))


def test_wrong_weights_of_the_authors(tmp_path):
    path = tmp_path / "m.pth"
    good = authors_state(random_model(decoders="shared"))

    def text(state):
        torch.save(state, path)
        return refused(path)

    assert "tensor 'network.edge_model.mlp.fc1.weight' has shape (4, 15), expected (4, 16)" in text(
        {**good, "network.edge_model.mlp.fc1.weight": torch.zeros(4, 15)}
    )
    assert "tensor 'decoder.fc3.bias' of shape (1,) is missing" in text(
        {k: v for k, v in good.items() if k != "decoder.fc3.bias"}
    )
    wide = {**good, "edge_encoder.fc1.weight": torch.zeros(4, 5)}
    assert "is of another architecture: entry dimensions = '5' is wrong; it must be 2 or 3" in text(wide)
    assert "tensor 'more' of shape (2,) is not expected" in text({**good, "more": torch.zeros(2)})
    assert "tensor 'node_encoder.fc1.weight' is missing" in text({"conv.weight": torch.zeros(2, 2)})
    assert "holds BOTAN weights without a configuration" in text(random_model().state_dict())
    assert "holds a Tensor; expected the state_dict" in text(torch.zeros(3))
    assert "entry 'epoch' is a int; expected a state_dict" in text({"epoch": 3})
    assert "'decoder.fc3.bias' is not a dense floating-point" in text({**good, "decoder.fc3.bias": torch.tensor([1])})
    huge = torch.zeros(1).as_strided((10**6, 1), (0, 0))  # four bytes that claim to be a hidden size of a million
    assert "has too few data" in text({**good, "node_encoder.fc1.weight": huge})


class Evil:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return open, (self.victim, "w")


@pytest.mark.parametrize("layout", ["zip", "one pickle", "plain pickle"])
def test_malicious_pickle_does_nothing(tmp_path, layout):
    state = {"node_encoder.fc1.weight": Evil(str(tmp_path / "owned"))}
    if layout == "plain pickle":
        (tmp_path / "m.pth").write_bytes(pickle.dumps(state))
    else:
        torch.save(state, tmp_path / "m.pth", _use_new_zipfile_serialization=layout == "zip")
    assert "could run code when read; save model.state_dict() alone" in refused(tmp_path / "m.pth")
    assert not (tmp_path / "owned").exists()
    with open(tmp_path / "m.pth", "rb") as file:
        if layout == "plain pickle":  # the trap is a real one
            pickle.load(file)["node_encoder.fc1.weight"].close()
            assert (tmp_path / "owned").exists()


def test_compressed_archive_is_refused(tmp_path):
    torch.save(authors_state(random_model(decoders="shared")), tmp_path / "m.pth")
    with (
        zipfile.ZipFile(tmp_path / "m.pth") as source,
        zipfile.ZipFile(tmp_path / "z.pth", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert "is a compressed archive" in refused(tmp_path / "z.pth")
