"""Models that read structure: evaluate and predict make it from positions."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import DataError, InputError
from botan_fast.model.scales import fit_inputs
from tests.helpers.tiny_data import write_tiny

SETTINGS = bf.DescriptorSettings(
    groups=["radial", "energy", "displacement"], radial_centres=[0.9, 1.1], radial_width=0.1, averages=0,
    smear_lengths=[], num_species=2,
)  # fmt: skip
SOFT = bf.LennardJones(((0.1, 0.1), (0.1, 0.1)), ((0.5, 0.4), (0.4, 0.44)), cutoff=2.0)  # tiny_data are ideal gases


@pytest.fixture
def model(tiny_data):
    torch.manual_seed(0)
    structure = bf.Structure(("descriptors",), True, "union", SOFT, SETTINGS)
    model = bf.BOTAN(
        hidden_size=8, num_steps=1, node_inputs=("type", "descriptors", "temperature", "energy"),
        input_columns={"descriptors": 6}, edge_inputs=("vector", "radial", "inherent"), structure=structure.as_dict(),
    )  # fmt: skip
    structure = bf.Structure.from_config(model.config)
    samples = bf.load_samples(tiny_data / "train/*.npz")
    for sample in samples:
        sample.temperature = 0.5
    fit_inputs(model, [sample.graph for sample in bf.with_structure(samples, structure, pair_targets=False)])
    return model


def cold(path):
    samples = bf.load_samples(path)
    for sample in samples:
        sample.temperature = 0.5
    return samples


@pytest.mark.filterwarnings("ignore:hidden_size")
def test_everything_is_made_from_positions(model, tiny_data):
    [sample] = cold(tiny_data / "test/conf_20.npz")
    [structured] = bf.with_structure([sample], bf.Structure.from_config(model.config), pair_targets=False)
    with torch.no_grad():
        wanted = model(structured.graph)
    [prediction] = bf.predict(model, [bf.Sample(sample.graph, None, "bare", sample.positions, 0.5)])
    np.testing.assert_array_equal(prediction.propensity, wanted.node)
    np.testing.assert_array_equal(prediction.pair_change, wanted.edge)
    assert len(prediction.senders) == structured.graph.num_edges > sample.graph.num_edges
    [with_targets] = bf.predict(model, [sample])  # those of the pairs that the sample holds
    assert 0 < np.isnan(with_targets.target_pair_change).mean() < 1
    with pytest.raises(DataError, match="conf_20: E_ij of"):
        bf.evaluate(model, [sample])
    with pytest.raises(InputError, match="temperature is unknown"):
        bf.evaluate(model, tiny_data / "test/conf_20.npz")
    model.config["node_inputs"].remove("temperature")
    with pytest.raises(InputError, match=r"graph.arrays is None; this model reads 'descriptors'.*with_structure"):
        model(sample.graph)


@pytest.mark.filterwarnings("ignore:hidden_size")
def test_scores_of_files_and_of_frames(tiny_data, tmp_path):
    torch.manual_seed(0)
    structure = bf.Structure(pairs="union", potential=SOFT).as_dict()
    model = bf.BOTAN(hidden_size=8, num_steps=1, node_inputs=("energy",), structure=structure)
    scores = bf.evaluate(model, tiny_data / "test/conf_20.npz")
    assert abs(scores["edge_pearson"]) <= 1
    [prediction] = bf.predict(model, tiny_data / "test/conf_20.npz")
    assert np.isfinite(prediction.target_pair_change).all()
    near = (prediction.distance < 1.35) & (prediction.types[prediction.senders] == 0)
    near &= prediction.types[prediction.receivers] == 0
    pairs = prediction.pair_change[near].astype(float), prediction.target_pair_change[near].astype(float)
    assert scores["edge_pearson"] == pytest.approx(np.corrcoef(*pairs)[0, 1], abs=1e-12)
    # Frames of a trajectory: each with its own minimum.
    arrays = np.load(tiny_data / "test/conf_20.npz")
    edge = (80 / 1.2) ** (1 / 3)
    lines = []
    for shift in (0.0, 0.5):
        lines += ["80", f'Lattice="{edge} 0 0 0 {edge} 0 0 0 {edge}" Properties=species:S:1:pos:R:3']
        for kind, x in zip(arrays["types"], (arrays["initial_positions"] + shift) % edge, strict=True):
            lines.append(f"{'AB'[kind]} {x[0]:.17g} {x[1]:.17g} {x[2]:.17g}")
    (tmp_path / "t.xyz").write_text("\n".join(lines) + "\n")
    first, second = bf.predict(model, tmp_path / "t.xyz", frames="all")
    np.testing.assert_allclose(first.propensity, prediction.propensity, atol=1e-4)
    x = (arrays["initial_positions"] + 0.5) % edge
    moved = bf.Sample(bf.build_graph(x, arrays["types"], edge), None, "moved", torch.from_numpy(x))
    [alone] = bf.predict(model, moved)
    np.testing.assert_allclose(second.propensity, alone.propensity, atol=1e-4)
    assert (first.frame, second.frame) == (0, 1)


def test_a_strange_structure_names_the_model(tiny_data, tiny_model):
    tiny_model.config["structure"] = {"cake": 1}
    with pytest.raises(InputError, match="the model: structure: entry 'cake' is unknown"):
        bf.predict(tiny_model, tiny_data / "test/*.npz")


def test_species_beyond_the_potential(tmp_path):
    write_tiny(tmp_path / "a.npz", 1)
    model = bf.BOTAN(
        hidden_size=8, node_inputs=("energy",), structure={"potential": bf.LennardJones(0.1, 0.5).as_dict()}
    )
    with pytest.raises(InputError, match="a has particles of type 1, but the potential of the model knows 1 species"):
        bf.evaluate(model, tmp_path / "a.npz")
