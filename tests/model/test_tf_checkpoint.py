"""TensorFlow checkpoints, written here by an independent small writer and read back."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import CheckpointError
from botan_fast.model.tf_checkpoint import TensorBundle, crc32c
from tests.helpers.checkpoints import H, refused, same
from tests.helpers.tf_bundle_writer import message, number, table, varint, write_bundle


def glassy_tensors(hidden=H, dimensions=3, seed=0):
    """Random tensors in the layout of glassy_dynamics, and the model that they are, assembled block by block."""
    rng = np.random.default_rng(seed)
    model = bf.BOTAN(hidden, 7, "node", dimensions, edge_node_skip=True, self_edges=True, cutoff=2.0)
    state = model.state_dict()
    tensors = {"beta1_power": np.float32(0.5), "step": np.int32(3)}

    def linear(name, ours, *inputs):
        sizes = {key: rng.standard_normal((size, len(state[ours + ".bias"])), dtype=np.float32) for key, size in inputs}
        tensors[f"{name}/w"] = np.concatenate(list(sizes.values()))
        tensors[f"{name}/b"] = rng.standard_normal(len(state[ours + ".bias"]), dtype=np.float32)
        tensors[f"{name}/w/Adam"] = np.zeros_like(tensors[f"{name}/w"])
        state[ours + ".bias"].copy_(torch.from_numpy(tensors[f"{name}/b"]))
        return sizes

    def put(ours, sizes, order):
        state[ours + ".weight"].copy_(torch.from_numpy(np.concatenate([sizes[key] for key in order]).T.copy()))

    layers = {
        "edge_encoder": ("Graph/graph_independent/edge_model", [("vector", dimensions)], ["vector"]),
        "node_encoder": ("Graph/graph_independent/node_model", [("type", 1)], ["type"]),
        "processor.edge_mlp": (
            "Graph/graph_network/edge_block",
            [(key, hidden) for key in ("e", "e0", "x_receiver", "x0_receiver", "x_sender", "x0_sender")],
            ["x_sender", "x_receiver", "e", "e0", "x0_sender", "x0_receiver"],
        ),
        "processor.node_mlp": (
            "Graph/graph_network/node_block",
            [(key, hidden) for key in ("sum", "x", "x0")],
            ["x", "x0", "sum"],
        ),
        "node_decoder": ("Graph/graph_independent_1/node_model", [("x", hidden)], ["x"]),
    }
    for ours, (theirs, inputs, order) in layers.items():
        put(f"{ours}.fc1", linear(f"{theirs}/mlp/linear_0", f"{ours}.fc1", *inputs), order)
        for k in (2, 3) if ours == "node_decoder" else (2,):
            put(f"{ours}.fc{k}", linear(f"{theirs}/mlp/linear_{k - 1}", f"{ours}.fc{k}", ("h", hidden)), ["h"])
    return tensors, model


@pytest.mark.parametrize("entries_per_block", [1, 5, 1000])
@pytest.mark.parametrize("restart_interval", [1, 3, 16])
def test_tensor_bundle(tmp_path, entries_per_block, restart_interval):
    tensors, _ = glassy_tensors()
    tensors["empty"] = np.zeros((0, 3), np.float32)
    tensors["half"] = np.arange(3, dtype=np.float16)
    tensors["x" * 300] = np.arange(5, dtype=np.float64)  # lengths of two bytes
    write_bundle(tmp_path / "b", tensors, entries_per_block=entries_per_block, restart_interval=restart_interval)
    bundle = TensorBundle(tmp_path / "b")
    assert bundle.shapes == {name: np.shape(value) for name, value in tensors.items()}
    for name, value in tensors.items():
        if name != "step":
            assert bundle.read(name).dtype == value.dtype
            np.testing.assert_array_equal(bundle.read(name), value)
    with pytest.raises(CheckpointError, match="'step' has TensorFlow dtype 3; floating-point tensors are expected"):
        bundle.read("step")


def test_crc32c():
    # RFC 3720, B.4
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0


@pytest.mark.parametrize("dimensions", [2, 3])
def test_glassy_dynamics_checkpoint(tmp_path, dimensions):
    tensors, model = glassy_tensors(dimensions=dimensions)
    write_bundle(tmp_path / "t.ckpt", tensors)
    for ending in ("", ".index", ".data-00000-of-00001"):
        again = bf.load_model(tmp_path / f"t.ckpt{ending}")
        assert again.config == model.config
        assert same(model, again)
    (tmp_path / "t.ckpt.index").rename(tmp_path / "other")
    (tmp_path / "t.ckpt.data-00000-of-00001").rename(tmp_path / "other.data-00000-of-00001")
    assert same(bf.load_model(tmp_path / "other"), model)


def test_every_corrupt_byte_is_found(tmp_path):
    tensors, model = glassy_tensors()
    tensors = {name: value for name, value in tensors.items() if "Graph" in name and "Adam" not in name}
    write_bundle(tmp_path / "t", tensors)
    for ending, step in ((".index", 37), (".data-00000-of-00001", 211)):
        file = tmp_path / f"t{ending}"
        content = file.read_bytes()
        unused = len(content) - 48 if ending == ".index" else len(content)  # the footer ends in padding
        for at in range(0, unused, step):
            file.write_bytes(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
            text = refused(tmp_path / "t")
            assert "checksum" in text or "is not a readable TensorFlow checkpoint index" in text
        for size in (1, 47, len(content) // 2, len(content) - 1):
            file.write_bytes(content[:size])
            text = refused(tmp_path / "t")
            assert "truncated" in text
        file.write_bytes(content)
    assert same(bf.load_model(tmp_path / "t"), model)


def test_random_garbage_gives_only_checkpoint_errors(tmp_path):
    """Whatever lies in the blocks, with right checksums, is refused without another exception."""
    rng = np.random.default_rng(0)
    (tmp_path / "t.data-00000-of-00001").write_bytes(bytes(100))
    for _ in range(150):
        entries = [(b"", rng.bytes(rng.integers(0, 6))), (b"a", rng.bytes(rng.integers(0, 30)))]
        content = table(entries, entries_per_block=2, restart_interval=rng.integers(1, 3))
        (tmp_path / "t.index").write_bytes(content)
        refused(tmp_path / "t")


def test_wrong_tensorflow_checkpoints(tmp_path):
    tensors, _ = glassy_tensors()
    path = tmp_path / "t"

    def text(changes=(), **options):
        write_bundle(path, {k: v for k, v in {**tensors, **dict(changes)}.items() if v is not None}, **options)
        return refused(path)

    assert "its index is compressed (snappy), which is not supported" in text(compression=1)
    assert "is a big-endian checkpoint" in text(header=number(1, 1) + number(2, 1))
    assert "a field of the wrong type" in text(header=message(1, b"abc"))
    assert "a number runs past the end" in text(header=varint(8) + b"\xff")
    name = "Graph/graph_network/edge_block/mlp/linear_0/w"
    assert f"tensor '{name}' of shape (24, 4) is missing" in text({name: None})
    assert f"tensor '{name}' has shape (16, 4), expected (24, 4)" in text({name: np.zeros((16, 4), np.float32)})
    assert f"tensor '{name}' has TensorFlow dtype 3" in text({name: np.zeros((24, 4), np.int32)})
    first = "Graph/graph_independent/node_model/mlp/linear_0/w"
    assert f"tensor '{first}' is missing" in text({first: None})
    write_bundle(path, tensors)
    (tmp_path / "t.data-00000-of-00001").unlink()
    assert "the data file must lie beside its .index file" in refused(path)
    (tmp_path / "t.data-00000-of-00001").write_bytes(b"")
    (tmp_path / "t.index").unlink()
    assert "does not exist; the data file needs its index beside it" in refused(tmp_path / "t.data-00000-of-00001")
