"""How data differ from what a model was trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.evaluation.differences import differences, mean_composition, number_density, species_names

CARD = bf.ModelCard(
    outputs=("S",),
    temperatures=(0.44,),
    times=(13.0,),
    species=("A", "B"),
    fractions=(0.8, 0.2),
    density=1.2,
)


def sample(types=None, edge=5.0, number=150, species=None, temperature=None, cell=None):
    rng = np.random.default_rng(0)
    positions = torch.from_numpy(rng.random((number, 3)) * edge)
    types = (np.arange(number) % 5 == 4).astype(int) if types is None else np.asarray(types)
    graph = bf.build_graph(positions, types, [edge] * 3 if cell is None else cell)
    made = bf.Sample(graph, None, "x", positions, temperature=temperature)
    if species is not None:
        made.species = species
    return made


def test_alike():
    assert differences(CARD, [sample()]) is None
    assert differences(CARD, [sample(temperature=0.44)]) is None
    assert differences(bf.ModelCard(outputs=("S",)), [sample(np.zeros(150, int), temperature=3.0)]) is None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (136, None),  # 5^3 * 1.2 = 150 particles are trained for
        (164, None),
        (134, "number density 1.072 (trained: 1.2)"),
        (166, "number density 1.328 (trained: 1.2)"),
    ],
)
def test_density_by_a_tenth(number, text):
    assert differences(CARD, [sample(number=number)]) == text


def test_one_density_among_others():
    """The mean of many files would hide one of them."""
    assert differences(CARD, [*[sample()] * 9, sample(number=100)]) == "number density 0.8 (trained: 1.2)"


def test_fractions_of_any_species():
    rich = np.zeros(150, int)
    rich[:34] = 1  # 0.227 instead of 0.2
    assert differences(CARD, [sample(rich)]) == "species fractions 0.7733, 0.2267 (trained: 0.8, 0.2)"
    assert differences(CARD, [sample(np.zeros(150, int))]) == "species fractions 1 (trained: 0.8, 0.2)"


def test_fractions_are_means_over_configurations():
    """Compositions that scatter around the trained one are no difference."""
    few, many = np.zeros(150, int), np.zeros(150, int)
    few[:20], many[:40] = 1, 1
    assert differences(CARD, [sample(few), sample(many)]) is None
    assert differences(CARD, [sample(few)]) is not None


def test_names_of_species():
    named = replace(CARD, species=("Si", "Ge"))
    assert differences(named, [sample(species=("Si", "Ge"))]) is None
    assert differences(named, [sample(species=("Ge", "Si"))]) == "species Ge, Si (trained: Si, Ge)"
    assert differences(named, [sample()]) is None  # types that nobody named
    assert differences(CARD, [sample(species=("Si", "Ge"))]) is None
    assert differences(CARD, [sample(species=("A", "B"))]) is None


def test_temperatures_are_listed():
    text = differences(CARD, [sample(temperature=t) for t in (0.44, 0.5, 0.64, 0.5)])
    assert text == "temperature 0.5, 0.64 (trained: 0.44)"


def test_what_a_card_is_made_of():
    assert species_names([sample()]) == ("A", "B")
    assert species_names([sample(species=("Si", "Ge"))]) == ("Si", "Ge")
    assert species_names([sample(np.full(150, 27))])[25:] == ("Z", "26", "27")
    cell = [[5.0, 0, 0], [1.0, 5.0, 0], [0, 0, 5.0]]
    assert number_density([sample(cell=cell)]) == pytest.approx(1.2)
    assert mean_composition([sample(), sample(np.zeros(150, int))]) == pytest.approx((0.9, 0.1))
