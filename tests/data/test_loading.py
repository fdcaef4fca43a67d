"""From files to samples."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import DataError, InputError
from tests.helpers.tiny_data import DENSITY, tiny_arrays, write_tiny

EDGE = (80 / DENSITY) ** (1 / 3)


def test_a_sample_is_what_its_parts_are(tiny_data):
    arrays = tiny_arrays(1)
    [sample] = bf.load_samples(tiny_data / "train/conf_1.npz")
    graph = bf.build_graph(arrays["initial_positions"], arrays["types"], np.full(3, EDGE))
    targets = bf.isoconfigurational_targets(arrays["initial_positions"], arrays["positions"], graph)
    assert sample.name == "conf_1"
    for name in ("senders", "receivers", "vectors", "row_ptr", "reverse", "types"):
        assert torch.equal(getattr(sample.graph, name), getattr(graph, name))
    assert torch.equal(sample.targets.propensity, targets.propensity)
    assert torch.equal(sample.targets.pair_change, targets.pair_change)
    np.testing.assert_array_equal(sample.positions.numpy(), arrays["initial_positions"])


def test_patterns_sort_naturally_and_lists_keep_their_order(tiny_data):
    names = [sample.name for sample in bf.load_samples(str(tiny_data / "train/*.npz"))]
    assert names == ["conf_1", "conf_2", "conf_3", "conf_10"]
    both = [tiny_data / "test/conf_21.npz", str(tiny_data / "train/conf_?.npz")]
    assert [sample.name for sample in bf.load_samples(both)] == ["conf_21", "conf_1", "conf_2", "conf_3"]


def test_a_name_with_brackets_is_a_file(tmp_path):
    write_tiny(tmp_path / "conf[1].npz", seed=1)
    assert bf.load_samples(tmp_path / "conf[1].npz")[0].name == "conf[1]"


def test_samples_are_returned_as_they_are(tiny_data):
    samples = bf.load_samples(tiny_data / "train/*.npz")
    assert all(a is b for a, b in zip(bf.load_samples(samples), samples, strict=True))
    assert bf.load_samples(samples[0]) == [samples[0]]
    with pytest.raises(InputError, match=r"conf_1 was built with cutoff = 2.0.*cutoff = 1.5"):
        bf.load_samples(samples, cutoff=1.5)
    with pytest.raises(InputError, match="box and density belong to files"):
        bf.load_samples(samples, box=5.0)


@pytest.mark.parametrize("box", [EDGE, [EDGE] * 3, np.diag([EDGE] * 3), torch.full((3,), EDGE, dtype=torch.float64)])
def test_a_box_in_every_form(tiny_data, box):
    file = tiny_data / "train/conf_1.npz"
    [sample], [default] = bf.load_samples(file, box=box), bf.load_samples(file)
    assert torch.equal(sample.graph.senders, default.graph.senders)


def test_density_sets_the_box(tiny_data):
    [sample] = bf.load_samples(tiny_data / "train/conf_1.npz", density=DENSITY)
    np.testing.assert_allclose(np.asarray(sample.graph.box), EDGE)


def test_two_dimensions_and_self_edges(tmp_path):
    write_tiny(tmp_path / "flat.npz", seed=0, dimensions=2)
    [sample] = bf.load_samples(tmp_path / "flat.npz", self_edges=True)
    own = sample.graph.senders == sample.graph.receivers
    assert own.sum() == 80
    assert (sample.targets.pair_change[own] == 0).all()
    np.testing.assert_allclose(np.asarray(sample.graph.box), (80 / DENSITY) ** 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box": 4.01}, r"conf_1\.npz: the largest coordinate along axis \d is 4\.0\d+, outside \[0, 4\.01\).*box= or"),
        ({"density": 1.3}, r"largest coordinate .* outside .* L = 3\.94\d+ \(from N = 80 and density = 1\.3\)"),
        ({"density": 0.4}, r"largest coordinate is 4\.\d+, which leaves an empty layer in the box edge L = 5\.8"),
        ({"box": [5, 5]}, r"conf_1\.npz: box has shape \(2,\); for 3 dimensions"),
        ({"box": [5, 5, -5]}, r"conf_1\.npz: box\[2\] = -5\.0 must be positive"),
        ({"box": np.ones((3, 3))}, r"no volume"),
        ({"box": "large"}, r"conf_1\.npz: box is not an array of real numbers \(str\)"),
        ({"box": 5.0, "density": 1.2}, r"box = 5.0 and density = 1.2 are both given"),
        ({"density": -1}, r"density = -1 must be"),
        ({"cutoff": 2.1}, r"conf_1\.npz: box"),
    ],
)
def test_wrong_boxes(tiny_data, options, message):
    with pytest.raises(bf.BotanFastError, match=message) as error:
        bf.load_samples(tiny_data / "train/conf_1.npz", **options)
    assert "\n" not in str(error.value)


def test_an_explicit_box_may_be_larger_than_the_cloud_of_particles(tiny_data):
    [sample] = bf.load_samples(tiny_data / "train/conf_1.npz", box=8.0)
    assert sample.graph.num_nodes == 80


def test_positions_around_zero_are_refused(tmp_path):
    arrays = tiny_arrays(0)
    for name in ("initial_positions", "positions"):
        arrays[name] = arrays[name] - EDGE / 2
    np.savez(tmp_path / "centred.npz", **arrays)
    with pytest.raises(DataError, match=r"smallest coordinate along axis 0 is -1\.9\d+.*wrap the positions"):
        bf.load_samples(tmp_path / "centred.npz")


def test_the_upper_face_belongs_to_the_box(tmp_path):
    arrays = tiny_arrays(0)
    arrays["positions"][:, 0] += EDGE - arrays["initial_positions"][0]
    arrays["initial_positions"][0] = EDGE
    np.savez(tmp_path / "face.npz", **arrays)
    assert bf.load_samples(tmp_path / "face.npz")[0].graph.num_nodes == 80


def test_a_triclinic_box_is_checked_in_fractional_coordinates(tmp_path):
    arrays = tiny_arrays(0)
    cell = np.array([[5.0, 0, 0], [1.0, 5.0, 0], [0, 1.0, 5.0]])
    arrays["initial_positions"] = arrays["initial_positions"] / EDGE @ cell
    np.savez(tmp_path / "tilted.npz", **arrays)
    assert bf.load_samples(tmp_path / "tilted.npz", box=cell)[0].graph.box.shape == (3, 3)
    with pytest.raises(DataError, match="largest fractional coordinate"):
        bf.load_samples(tmp_path / "tilted.npz", box=0.9 * cell)


def test_particle_numbers_may_differ_unless_a_box_is_given(tmp_path):
    files = [write_tiny(tmp_path / f"n{n}.npz", seed=n, number=n) for n in (80, 90)]
    assert [s.graph.num_nodes for s in bf.load_samples(files)] == [80, 90]
    with pytest.raises(InputError, match=r"box = 5\.0 .* 80 in n80, 90 in .*n90\.npz"):
        bf.load_samples(files, box=5.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "train/*.npy",
            r"no file matches '.*train/\*\.npy'; the folder .* holds conf_1\.npz, conf_2\.npz, conf_3\.npz, \.\.\.",
        ),
        ("tarin/*.npz", r"no file matches '.*tarin/\*\.npz'; the path exists only up to"),
        ("train", r"is a directory; name the files"),
        ("train/conf_4.npz", r"no such file; did you mean"),
    ],
)
def test_nothing_to_read(tiny_data, data, message):
    with pytest.raises(DataError, match=message):
        bf.load_samples(tiny_data / data)


@pytest.mark.parametrize(("data", "message"), [([], "data is empty"), (3, "data is a int"), ([3], "data holds a int")])
def test_wrong_data_arguments(data, message):
    with pytest.raises(InputError, match=message):
        bf.load_samples(data)
