"""Model files made to harm or saved in another way: loaded where they hold one model, else refused in one line."""

import io
import json
import os
import pickle
import struct
import time
import zipfile
from collections import OrderedDict

import pytest
import safetensors.torch
import torch

import botan_fast as bf
from botan_fast.errors import CheckpointError
from botan_fast.model.checkpoint import read_metadata
from botan_fast.model.published import _PYG_BOTAN
from tests.helpers.checkpoints import random_model, refused, same

PAIRS = sorted(_PYG_BOTAN.items())


def authors_state(model) -> OrderedDict:
    """The state_dict under the names of the authors' code."""
    state = OrderedDict()
    for name, tensor in model.state_dict().items():
        for ours, theirs in PAIRS:
            name = name.replace(ours, theirs)
        state[name] = tensor
    return state


@pytest.fixture(scope="module")
def model():
    return random_model(num_steps=7, decoders="shared")


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net."]
)
def test_prefixes_of_wrappers(tmp_path, model, prefix):
    torch.save({prefix + name: tensor for name, tensor in authors_state(model).items()}, tmp_path / "a.pth")
    assert same(bf.load_model(tmp_path / "a.pth"), model)


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict", "network", "anything"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("old", [False, True])
def test_a_state_dict_beside_other_things(tmp_path, model, key, prefix, old):
    state = {prefix + name: tensor for name, tensor in authors_state(model).items()}
    optimizer = torch.optim.Adam(model.parameters())
    content = {"epoch": 3, "loss": 0.5, "optimizer": optimizer.state_dict(), "args": {"lr": 1e-3, "betas": (0.9, 0.99)}}
    torch.save({**content, key: state}, tmp_path / "a.pth", _use_new_zipfile_serialization=not old)
    assert same(bf.load_model(tmp_path / "a.pth"), model)


def test_several_models_need_a_choice(tmp_path, model):
    state = authors_state(model)
    torch.save({"first": state, "second": state}, tmp_path / "a.pth")
    assert "holds several models ('first', 'second')" in refused(tmp_path / "a.pth")
    # The model's own name goes before that of averages of it.
    torch.save({"ema": {k: v + 1 for k, v in state.items()}, "model": state}, tmp_path / "a.pth")
    assert same(bf.load_model(tmp_path / "a.pth"), model)


def test_a_transposed_weight_is_dense(tmp_path, model):
    state = authors_state(model)
    state["node_encoder.fc2.weight"] = state["node_encoder.fc2.weight"].t().contiguous().t()
    torch.save(state, tmp_path / "a.pth")
    assert same(bf.load_model(tmp_path / "a.pth"), model)


def quantised():
    return torch.quantize_per_tensor(torch.zeros(4, 1), 0.1, 0, torch.qint8)


ODD = {
    "expanded": lambda: torch.zeros(1, 1).expand(4, 1),
    "overlapping": lambda: torch.zeros(7).as_strided((4, 4), (1, 1)),
    "overlapping with enough memory": lambda: torch.zeros(100).as_strided((4, 4), (2, 1)),
    "of stride 0": lambda: torch.zeros(100).as_strided((4, 1), (0, 1)),
    "nested": lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
    "jagged": lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
    "quantised": quantised,
    "sparse": lambda: torch.zeros(4, 1).to_sparse(),
    "sparse rows": lambda: torch.zeros(4, 1).to_sparse_csr(),
    "complex": lambda: torch.zeros(4, 1, dtype=torch.complex64),
    "integers": lambda: torch.zeros(4, 1, dtype=torch.int64),
    "without memory": lambda: torch.zeros(4, 1, device="meta"),
    "a number": lambda: 1.5,
    "a text": lambda: "a\nb",
    "a list": lambda: [torch.zeros(4, 1)],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("old", [False, True])
def test_tensors_that_are_not_plain(tmp_path, model, name, old):
    state = authors_state(model)
    state["node_encoder.fc1.weight"] = ODD[name]()
    torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=not old)
    assert len(refused(tmp_path / "a.pth")) < 500


@pytest.mark.parametrize("key", ["a\nb", "a" * 100_000, 7, (1, 2), None, b"a", "\x1b[2J", "\ud800"])
def test_names_that_are_none(tmp_path, model, key):
    state = authors_state(model)
    for content in (
        {**state, key: torch.zeros(1)},
        {"model": state, key: 1},
        {"model": {**state, key: torch.zeros(1)}},
    ):
        torch.save(content, tmp_path / "a.pth")
        text = refused(tmp_path / "a.pth")
        assert text.isprintable()
        assert len(text) < 500


def with_program(path, program: bytes):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", program)
        archive.writestr("a/version", "3\n")
    return path


NESTED = b")q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(60))
PROGRAMS = {
    "sixty tuples as a key": b"}" + NESTED + b"Ns",
    "sixty tuples in a list": b"](" + NESTED + b"e",
    "a wide tuple of wide tuples": b")q\x00" + (b"(" + b"h\x00" * 200 + b"tq\x00") * 20,
    "deep tuples": b")" + b"\x85" * 200_000,
    "a million instructions": b"](" + b"N" * 1_100_000 + b"e",
    "an unknown memory cell": b"h\x07",
    "nothing on the stack": b"000",
    "a marked nothing": b"(((t",
    "os.system": b"cos\nsystem\nX\x04\x00\x00\x00true\x85R",
    "a long integer": b"\x8b\x10\x27\x00\x00" + b"\x01" * 10_000,
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("old", [False, True])
def test_programs(tmp_path, name, old):
    program = b"\x80\x02" + PROGRAMS[name] + b"."
    path = tmp_path / "a.pth"
    path.write_bytes(program) if old else with_program(path, program)
    start = time.process_time()
    assert len(refused(path)) < 500
    assert time.process_time() - start < 5


def test_an_archive_with_two_models(tmp_path, model):
    torch.save(authors_state(model), tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth", "a") as archive:
        archive.writestr("b/data.pkl", b"\x80\x02}.")
    assert "2 models" in refused(tmp_path / "a.pth")


def test_storages_larger_than_the_file(tmp_path, model):
    """The program asks for a terabyte of memory in the place of each tensor's few bytes."""
    buffer = io.BytesIO()
    torch.save(authors_state(model), buffer, _use_new_zipfile_serialization=False)
    content = buffer.getvalue()
    for small, large in (
        (b"K\x04", b"\x8a\x06\x00\x00\x00\x00\x00\x01"),
        (b"K\x10", b"\x8a\x06\x00\x00\x00\x00\x00\x01"),
    ):
        (tmp_path / "a.pth").write_bytes(content.replace(small, large))
        refused(tmp_path / "a.pth")


# ---- own files ------------------------------------------------------------------------------------------------------


def own_file(path, changes=None, header=None, config=None):
    model = random_model()
    names = {"format": "botan_fast", "format_version": "1", "botan_fast_version": "0", "metadata": "{}"}
    names["config"] = config or json.dumps({**model.config, **(changes or {})})
    safetensors.torch.save_file(dict(model.state_dict()), path, {**names, **(header or {})})
    return path


CONFIGS = {
    "years of steps": ({"num_steps": 2 * 10**9}, "num_steps"),
    "a step too many": ({"num_steps": 1001}, "num_steps"),
    "an enormous width": ({"hidden_size": 2**31 - 1}, "architecture"),
    "a width beyond integers": ({"hidden_size": 10**19}, "hidden_size"),
    "a cutoff beyond floats": ({"cutoff": 10**400}, "cutoff"),
    "an infinite cutoff": ({"cutoff": float("inf")}, "cutoff"),
    "an unknown entry": ({"a\nb": 1}, "entry 'a?b' is unknown"),
    "a list": ({"decoders": [[[]]]}, "decoders"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations(tmp_path, name):
    changes, message = CONFIGS[name]
    assert message in refused(own_file(tmp_path / "a.safetensors", changes))


@pytest.mark.parametrize(
    "header",
    [
        {"config": "[" * 100_000},
        {"config": '{"num_steps": ' + "9" * 10_000 + "}"},
        {"metadata": "[" * 100_000},
        {"metadata": "[1]"},
        {"metadata": "null"},
        {"format_version": "9" * 10_000},
        {"format_version": "7", "botan_fast_version": "a\nb"},
        {"format": "a\nb"},
    ],
)
def test_metadata(tmp_path, header):
    path = own_file(tmp_path / "a.safetensors", header=header)
    assert len(refused(path)) < 500
    with pytest.raises(CheckpointError):
        read_metadata(path)


def test_headers(tmp_path):
    path = tmp_path / "a.safetensors"
    for header in (b"{" * 1000, b'{"a":' * 300 + b"1" + b"}" * 300, b'{"__metadata__":{"format":1}}', b"{}", b"{"):
        path.write_bytes(struct.pack("<Q", len(header)) + header)
        assert len(refused(path)) < 500
    with open(path, "wb") as file:  # 90 MB of a header that is not there
        file.write(struct.pack("<Q", 90_000_000) + b"{" + b" " * 100)
    assert len(refused(path)) < 500


def test_pipes_devices_and_links(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run/last.safetensors")
    for name in ("pipe", "self", "gone", "run", "nul\0l", "a" * 300):
        refused(tmp_path / name)
    refused("/dev/zero")


def test_a_pickle_of_something_else(tmp_path):
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"a": 1}))
    refused(tmp_path / "a.pth")
