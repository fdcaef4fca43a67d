"""The configuration as plain data, and its way through a file: round trips, older readers, hostile values."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

import botan_fast as bf
from botan_fast.errors import CheckpointError, InputError
from botan_fast.model.checkpoint import read_metadata
from botan_fast.model.config import DEFAULTS, check_config, state_shapes, stored_config
from tests.helpers.checkpoints import refused, same
from tests.helpers.wide_models import EVERYTHING, make_model

# ---- the default model is that of before ---------------------------------------------------------------------------


def test_default_model_has_the_tensors_of_before():
    config = {"hidden_size": 16, "num_steps": 2, "decoders": "separate", "dimensions": 3, "edge_node_skip": False}
    config |= {"self_edges": False, "cutoff": 2.0, "node_target": "S"}
    model = bf.BOTAN(16, 2)
    assert stored_config(model.config) == config
    names = [f"{part}.{layer}" for part in ("node_encoder", "edge_encoder") for layer in ("fc1", "fc2")]
    names += [f"processor.{part}.{layer}" for part in ("edge_mlp", "node_mlp") for layer in ("fc1", "fc2")]
    names += [f"{part}.fc{layer}" for part in ("node_decoder", "edge_decoder") for layer in (1, 2, 3)]
    assert list(model.state_dict()) == [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]
    assert list(state_shapes(config)) == list(model.state_dict())


def test_a_default_file_is_one_that_earlier_versions_read(tmp_path):
    bf.save_model(bf.BOTAN(16, 2), tmp_path / "m")
    header = json.loads(header_of(tmp_path / "m")["config"])
    assert set(header) == set(bf.BOTAN(16, 2).config) - (set(DEFAULTS) - {"node_target"})
    assert header_of(tmp_path / "m")["format_version"] == "1"
    bf.save_model(bf.BOTAN(16, 2, node_target="R"), tmp_path / "m")
    assert header_of(tmp_path / "m")["format_version"] == "2"


# ---- files ---------------------------------------------------------------------------------------------------------


def header_of(path):
    with safetensors.safe_open(path, "pt") as opened:
        return opened.metadata()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"decoders": "shared"},
        {"decoders": "node", "dimensions": 2},
        *(
            {**DEFAULTS, name: EVERYTHING[name], **({"num_species": 3} if name == "scaled" else {})}
            for name in ("edge_inputs", "num_species", "radial", "num_outputs", "scaled", "structure")
        ),
        {**DEFAULTS, "node_inputs": ["density"]},
    ],
)
def test_every_option_goes_through_a_file(tmp_path, options):
    model = make_model(fitted=False, **options)
    g = torch.Generator().manual_seed(0)
    for buffer in model.buffers():
        buffer.copy_(torch.rand(buffer.shape, generator=g) + 0.5)
    assert {name: tuple(t.shape) for name, t in model.state_dict().items()} == state_shapes(model.config)
    assert list(model.state_dict()) == list(state_shapes(model.config))
    bf.save_model(model, tmp_path / "m")
    again = bf.load_model(tmp_path / "m")
    assert again.config == model.config
    assert same(again, model)
    assert header_of(tmp_path / "m")["format_version"] == "3"
    assert read_metadata(tmp_path / "m")["config"] == model.config
    bf.save_model(again, tmp_path / "n")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()


def test_configuration_is_plain_data():
    model = bf.BOTAN(node_inputs=("species",), edge_inputs=("radial",), num_species=2, structure={"a": (1, 2)})
    assert json.loads(json.dumps(model.config)) == model.config
    assert model.config["node_inputs"] == ["species"]
    assert model.config["structure"] == {"a": [1, 2]}
    assert check_config(model.config) == model.config


def deep(levels):
    value = 1
    for _ in range(levels):
        value = {"a": value}
    return value


WRONG = [
    ("node_inputs", [], "list of 1 to 64 different names"),
    ("node_inputs", "type", "list of 1 to 64 different names"),
    ("node_inputs", ["type", "type"], "different names"),
    ("node_inputs", ["type", 3], "different names"),
    ("node_inputs", ["a\n"], "different names"),
    ("node_inputs", ["a" * 201], "different names"),
    ("node_inputs", [f"a{k}" for k in range(65)], "different names"),
    ("node_inputs", [["a"]], "different names"),
    ("edge_inputs", ["type"], "among vector, radial, inherent"),
    ("edge_inputs", [], "among vector"),
    ("input_columns", {"descriptors": 0}, "dictionary of names in node_inputs"),
    ("input_columns", {"descriptors": 4097}, "numbers of columns"),
    ("input_columns", {"descriptors": True}, "numbers of columns"),
    ("input_columns", {"descriptors": 1.0}, "numbers of columns"),
    ("input_columns", {"other": 3}, "names in node_inputs"),
    ("input_columns", {"type": 3}, "names in node_inputs"),
    ("input_columns", [1], "dictionary"),
    ("num_species", -1, "non-negative integer up to 1000"),
    ("num_species", 1001, "non-negative integer up to 1000"),
    ("num_species", True, "non-negative integer"),
    ("radial", [0.75, 2.0, 18], "list of four"),
    ("radial", [0.75, 2.0, 18.0, 0.1], "list of four"),
    ("radial", [2.0, 0.75, 18, 0.1], "list of four"),
    ("radial", [0.75, 2.0, 10**6, 0.1], "list of four"),
    ("radial", [0.75, 2.0, 18, 0.0], "list of four"),
    ("radial", [0.75, float("nan"), 18, 0.1], "list of four"),
    ("radial", [0.75, 10**400, 18, 0.1], "list of four"),
    ("num_outputs", 0, "positive integer up to 1000"),
    ("num_outputs", 10**9, "positive integer up to 1000"),
    ("scaled", 1, "true or false"),
    ("structure", [], "plain dictionary"),
    ("structure", deep(9), "plain dictionary"),
    ("structure", {"a": [0] * 10_001}, "plain dictionary"),
    ("structure", {"a": "b" * 201}, "plain dictionary"),
    ("structure", {"a\x1b": 1}, "plain dictionary"),
    ("structure", {"a": float("inf")}, "plain dictionary"),
    ("structure", {"a": 10**30}, "plain dictionary"),
]


@pytest.mark.parametrize(("name", "value", "reason"), WRONG)
def test_wrong_values_are_refused_as_arguments_and_in_files(tmp_path, name, value, reason):
    if name != "scaled":  # an argument is taken as bool(scaled), as edge_node_skip is
        with pytest.raises(InputError, match=rf"^{name} = .*it must be .*{reason}"):
            bf.BOTAN(**{**EVERYTHING, name: value})
    model = bf.BOTAN(**EVERYTHING)
    header = {"format": "botan_fast", "format_version": "3", "botan_fast_version": "0", "metadata": "{}"}
    header["config"] = json.dumps({**model.config, name: value})
    safetensors.torch.save_file(model.state_dict(), tmp_path / "m", header)
    text = refused(tmp_path / "m")
    assert f"entry {name} = " in text
    assert reason in text
    assert len(text) < 500


def test_a_very_deep_structure_is_refused(tmp_path):
    header = {"format": "botan_fast", "format_version": "3", "botan_fast_version": "0", "metadata": "{}"}
    config = json.dumps({**bf.BOTAN(**EVERYTHING).config, "structure": "HERE"})
    for levels in (500, 100_000):
        header["config"] = config.replace('"HERE"', '{"a":' * levels + "1" + "}" * levels)
        safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "m", header)
        assert "has a wrong configuration" in refused(tmp_path / "m")


@pytest.mark.parametrize("reader", [{"node_inputs": ["species"], "input_columns": {}}, {"scaled": True}])
def test_species_need_their_number(tmp_path, reader):
    with pytest.raises(InputError, match=r"num_species = 0, but .* needs the number of species; give num_species"):
        bf.BOTAN(**reader)


def test_sizes_are_compared_before_tensors_are_read(tmp_path):
    model = make_model()
    state = model.state_dict()
    header = {"format": "botan_fast", "format_version": "3", "botan_fast_version": "0", "metadata": "{}"}
    header["config"] = json.dumps(model.config)
    for name, shape in (("edge_output_width", (4, 3, 2)), ("node_input_mean", (1,)), ("node_decoder.fc3.bias", (5,))):
        safetensors.torch.save_file({**state, name: torch.ones(shape)}, tmp_path / "m", header)
        assert f"tensor '{name}' has shape {shape}" in refused(tmp_path / "m")
    del state["node_input_width"]
    safetensors.torch.save_file(state, tmp_path / "m", header)
    assert "tensor 'node_input_width' of shape (45,) is missing" in refused(tmp_path / "m")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["node_input_width", "edge_output_width", "edge_input_mean", "node_output_mean"])
def test_scales_that_are_none_are_refused(tmp_path, name, value):
    model = make_model()
    getattr(model, name).view(-1)[-1] = value
    bf.save_model(model, tmp_path / "m")
    if name.endswith("mean") and np.isfinite(value):
        assert same(bf.load_model(tmp_path / "m"), model)
    else:
        assert f"tensor '{name}' holds something else than" in refused(tmp_path / "m")


def test_a_reader_of_before_refuses_new_files_and_new_entries_need_no_reader(tmp_path):
    """A file of version 1 with new entries never came from this program; it is read as what it says."""
    model = make_model()
    header = {"format": "botan_fast", "format_version": "4", "botan_fast_version": "9", "metadata": "{}"}
    header["config"] = json.dumps(model.config)
    safetensors.torch.save_file(model.state_dict(), tmp_path / "m", header)
    with pytest.raises(CheckpointError, match="has format_version = 4"):
        bf.load_model(tmp_path / "m")
