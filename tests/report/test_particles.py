"""What the view draws, unpacked again as its script does it."""

from base64 import b64decode

import numpy as np
import pytest

from botan_fast.evaluation.prediction import ConfigurationPrediction
from botan_fast.report.particles import colours, packed


def prediction(number=200, box=(4.0, 5.0, 6.0), actual=True, times=None, seed=0, kinds=2):
    rng = np.random.default_rng(seed)
    box = np.asarray(box, dtype=np.float64)
    dimensions = box.shape[0]
    cell = np.diag(box) if box.ndim == 1 else box
    positions = (rng.random((number, dimensions)) * 5 - 2) @ cell  # unwrapped
    shape = (number,) if times is None else (number, len(times))
    values = rng.random(shape).astype(np.float32)
    none = np.empty(0, np.int32)
    return ConfigurationPrediction(
        *("a", positions, np.arange(number) % kinds, box, values, none, none, np.empty(0, np.float32)),
        target_propensity=(values + 0.1 * rng.standard_normal(shape)).astype(np.float32) if actual else None,
        times=times,
    )


def array(text, dtype):
    return np.frombuffer(b64decode(text), dtype=dtype)


def places(view):
    """Positions as the script places them, from the corner of the cell."""
    return (array(view["positions"], "<u2").reshape(-1, 3) + 0.5) / 65536 @ np.array(view["cell"])


@pytest.mark.parametrize("box", [(4.0, 5.0, 6.0), [[4.0, 0.0, 0.0], [1.0, 5.0, 0.0], [0.5, -1.0, 6.0]], (4.0, 5.0)])
def test_positions_are_those_of_the_configuration_in_its_cell(box):
    p = prediction(box=box)
    view = packed(p)
    cell = np.array(view["cell"])
    assert view["dimensions"] == len(box)
    exact = np.pad(p.positions, ((0, 0), (0, 3 - len(box))))
    difference = (places(view) - exact) @ np.linalg.inv(cell)
    difference[:, : len(box)] -= np.round(difference[:, : len(box)])  # whole cells
    assert np.abs(difference[:, : len(box)]).max() <= 0.51 / 65536
    assert array(view["types"], "u1").tolist() == p.types.tolist()


def test_values_keep_their_bits_and_the_scale_holds_98_per_cent():
    p = prediction(2000)
    [field] = packed(p)["fields"]
    assert np.array_equal(array(field["predicted"], "<f4"), p.propensity)
    assert np.array_equal(array(field["actual"], "<f4"), p.target_propensity)
    both = np.concatenate([p.propensity, p.target_propensity])
    assert np.mean((both >= field["low"]) & (both <= field["high"])) == pytest.approx(0.98, abs=0.002)
    assert np.mean(np.abs(p.propensity - p.target_propensity) <= field["error"]) == pytest.approx(0.99, abs=0.002)


def test_without_targets_there_is_nothing_actual():
    [field] = packed(prediction(actual=False))["fields"]
    assert field["actual"] is None


def test_a_time_that_the_data_do_not_have_is_not_actual():
    p = prediction(times=(1.0, 4.0))
    p.target_propensity[:, 0] = np.nan
    first, second = packed(p)["fields"]
    assert (first["label"], first["actual"]) == ("t = 1", None)
    assert np.array_equal(array(second["actual"], "<f4"), p.target_propensity[:, 1])


def test_of_many_particles_a_slab():
    p = prediction(1000)
    view = packed(p, most=300)
    kept = places(view)
    assert len(kept) == 300
    assert view["total"] == 1000
    inside = (p.positions[:, 2] / 6.0) % 1 <= view["slab"]
    assert inside.sum() == 300
    assert kept[:, 2].max() <= 6.0 * (view["slab"] + 1 / 65536)
    assert np.array_equal(array(view["fields"][0]["predicted"], "<f4"), p.propensity[inside])


def test_values_that_are_all_alike_have_a_scale():
    p = prediction(actual=False)
    p.propensity[:] = 0.5
    [field] = packed(p)["fields"]
    assert field["low"] < field["high"]


def test_radii_and_names():
    assert packed(prediction(), ("Si", "Ge"))["species"] == ["Si", "Ge"]
    three = packed(prediction(kinds=3))
    assert (three["radii"], three["species"]) == ([0.5, 0.5, 0.5], ["A", "B", "C"])
    assert packed(prediction())["radii"] == [0.5, 0.44]


def test_colours_are_maps_of_256_and_no_error_is_white():
    maps = {name: array(text, "u1").reshape(-1, 3) for name, text in colours().items()}
    assert {len(rows) for rows in maps.values()} == {256}
    assert maps["error"][127:129].min() > 240
    lightness = maps["values"] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > -1.0).all()  # rises: it is read without colours too
    assert lightness[-1] > lightness[0] + 150
