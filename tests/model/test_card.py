"""The card of a model: checked, kept, and found for published weights alone."""

import copy
import json
import pickle

import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.model import published
from botan_fast.model.card import ModelCard, card_from_json
from botan_fast.model.checkpoint import read_metadata
from botan_fast.model.config import state_shapes
from tests.helpers.checkpoints import random_model, refused, same

CARD = ModelCard(
    outputs=("S", "E"),
    p=0.4,
    temperatures=(0.44, 0.5),
    times=(13.0,),
    species=("Si", "Ge"),
    fractions=(0.75, 0.25),
    density=1.2,
    dimensions=3,
    cutoff=2.0,
    num_configurations=400,
    num_runs=(8, 32),
    botan_fast="0.1.0",
    note="a note",
)


def with_header(path, **entries):
    """Replace entries of the metadata of a safetensors file."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"].update(entries)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])
    return path


def test_json_gives_the_card_back():
    assert card_from_json(CARD.to_json()) == CARD
    assert card_from_json(ModelCard(outputs=("R",)).to_json()) == ModelCard(outputs=("R",))
    assert "\n" not in CARD.to_json()


def test_words():
    assert CARD.trained_for == "propensity and pair changes (p = 0.4)"
    assert ModelCard(outputs=("E",), p=0.0).trained_for == "pair changes alone (p = 0)"
    assert ModelCard(outputs=("D",)).trained_for == "nonaffine displacement alone"
    lines = dict(CARD.describe())
    assert lines["species"] == "Si 0.75, Ge 0.25"
    assert lines["temperature"] == "0.44, 0.5"
    assert lines["runs"] == "8 to 32"
    assert "time" not in dict(ModelCard(outputs=("S",)).describe())


def test_a_card_is_kept(tmp_path):
    model = random_model()
    assert model.card is None
    model.card = CARD
    bf.save_model(model, tmp_path / "a.safetensors")
    assert read_metadata(tmp_path / "a.safetensors")["card"] == CARD
    again = bf.load_model(tmp_path / "a.safetensors")
    assert again.card == CARD
    assert same(again, model)
    assert copy.deepcopy(model).card == CARD
    assert pickle.loads(pickle.dumps(model)).card == CARD
    compiled = torch.compile(model)
    assert compiled.card == CARD
    bf.save_model(compiled, tmp_path / "b.safetensors")
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "a.safetensors").read_bytes()


def test_files_without_a_card_load(tmp_path):
    bf.save_model(random_model(), tmp_path / "a.safetensors")
    assert bf.load_model(tmp_path / "a.safetensors").card is None
    assert read_metadata(tmp_path / "a.safetensors")["card"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("nonsense", "not a JSON object"),
        ("[" * 5000, "not a JSON object"),
        ("[]", "not a JSON object"),
        ("x" * 200_000, "200000 characters"),
        ({"card_version": 2}, "card_version = 2, this botan_fast reads up to 1; update botan_fast"),
        ({"card_version": "1"}, "card_version = '1'"),
        ({"card_version": True}, "card_version = 'True'"),
        ({"colour": 1}, "unknown entry 'colour'"),
        ({"outputs": []}, "outputs = "),
        ({"outputs": ["S", "R"]}, "outputs = "),
        ({"outputs": ["S", "S"]}, "outputs = "),
        ({"outputs": "SE"}, "outputs = 'SE'"),
        ({"outputs": ["X"]}, "outputs = "),
        ({"outputs": [["S"]]}, "outputs = "),
        ({"p": 2}, "p = 2"),
        ({"p": float("nan")}, "p = nan"),
        ({"p": "0.4"}, "p = '0.4'"),
        ({"temperatures": [1e400]}, "temperatures = "),
        ({"times": [-1.0]}, "times = "),
        ({"times": list(range(2000))}, "times = "),
        ({"times": {}}, "times = "),
        ({"species": ["A", "B"], "fractions": [1.0]}, "fractions = "),
        ({"species": ["A\nB", "C"]}, "species = "),
        ({"species": ["A", "\x1b[31m"]}, "species = "),
        ({"fractions": [0.9, 0.9]}, "fractions = "),
        ({"density": 0}, "density = 0"),
        ({"density": 10**400}, "density = "),
        ({"dimensions": 4}, "dimensions = 4"),
        ({"dimensions": 3.0}, "dimensions = 3.0"),
        ({"cutoff": -2.0}, "cutoff = -2.0"),
        ({"num_configurations": True}, "num_configurations = True"),
        ({"num_runs": [1, 2, 3]}, "num_runs = "),
        ({"num_runs": [0.5]}, "num_runs = "),
        ({"note": "two\nlines"}, "note = "),
        ({"units": 3}, "units = 3"),
        # Of another model than the one in the file:
        ({"dimensions": 2}, "dimensions = 2, but the model 3"),
        ({"cutoff": 1.5}, "cutoff = 1.5, but the model 2.0"),
        ({"outputs": ["D", "E"]}, "a node target = D, but the model S"),
    ],
)
def test_a_strangers_card_is_checked(tmp_path, change, message):
    """One line for whatever stands in the metadata of a file; nothing of it is believed or printed as it is."""
    bf.save_model(random_model(), tmp_path / "a.safetensors")
    text = change if isinstance(change, str) else json.dumps({**json.loads(CARD.to_json()), **change})
    said = refused(with_header(tmp_path / "a.safetensors", card=text))
    assert message in said
    assert said.isprintable()
    assert len(said) < 400


def test_a_card_needs_its_outputs(tmp_path):
    bf.save_model(random_model(), tmp_path / "a.safetensors")
    assert "which outputs" in refused(with_header(tmp_path / "a.safetensors", card='{"card_version": 1}'))
    with pytest.raises(InputError, match=r"outputs = \(\)"):
        ModelCard(outputs=())


def authors_file(path, seed):
    """A file as the authors' script saves it, of random weights."""
    torch.manual_seed(seed)
    model = bf.BOTAN(hidden_size=8, decoders="shared")
    names = {"processor.edge_mlp": "network.edge_model.mlp", "processor.node_mlp": "network.node_model.mlp"}
    state = {}
    for name in state_shapes(model.config):
        module, rest = name.rsplit(".fc", 1)
        state[f"{names.get(module, module)}.fc{rest}"] = model.state_dict()[name]
    torch.save(state, path)
    return model


def test_published_weights_are_known_by_their_digest(tmp_path, monkeypatch):
    """The same file under any name and in any format has the card, other weights of the same layout have none."""
    card = ModelCard(outputs=("E",), p=0.0)
    model = authors_file(tmp_path / "any.pth", seed=0)
    authors_file(tmp_path / "model1.pth", seed=1)
    assert bf.load_model(tmp_path / "any.pth").card is None
    monkeypatch.setitem(published.CARDS, published.weights_digest(model.state_dict()), card)
    assert bf.load_model(tmp_path / "any.pth").card == card
    assert bf.load_model(tmp_path / "model1.pth").card is None
    bf.save_model(model, tmp_path / "own.safetensors")  # by a version without cards
    assert bf.load_model(tmp_path / "own.safetensors").card == card
    with torch.no_grad():
        model.decoder.fc3.bias += 1e-3
    bf.save_model(model, tmp_path / "trained.safetensors")
    assert bf.load_model(tmp_path / "trained.safetensors").card is None


def test_the_table_of_published_weights():
    assert len(published.CARDS) == 5
    assert all(len(digest) == 64 and int(digest, 16) for digest in published.CARDS)
    pairs = [card for card in published.CARDS.values() if card.outputs == ("E",)]
    assert {(card.p, card.temperatures, card.times) for card in pairs} == {(0.0, (0.44,), (13.0,))}
    assert sorted(card.note[:40] for card in pairs) == [
        f"pretraining weights initial_model/model{k}"[:40] for k in (1, 2, 3, 4)
    ]
