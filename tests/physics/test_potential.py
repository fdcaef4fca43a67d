"""The table of a mixture: checked, and whole after a way through a file."""

import json

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.physics.kob_andersen import KOB_ANDERSEN_DIAMETERS
from botan_fast.physics.potential import check_potential


def test_kob_andersen():
    assert bf.KOB_ANDERSEN.epsilon == ((1.0, 1.5), (1.5, 0.5))
    assert bf.KOB_ANDERSEN.sigma == KOB_ANDERSEN_DIAMETERS == ((1.0, 0.8), (0.8, 0.88))
    assert (bf.KOB_ANDERSEN.cutoff, bf.KOB_ANDERSEN.truncation) == (2.5, "force-shifted")
    assert bf.KOB_ANDERSEN.distances.tolist() == [[2.5, 2.0], [2.0, 2.2]]
    assert check_potential("kob-andersen") is check_potential(bf.KOB_ANDERSEN) is bf.KOB_ANDERSEN


@pytest.mark.parametrize("cutoff", [2.5, ((2.5, 2.0), (2.0, 1.5))])
def test_plain_data(cutoff):
    potential = bf.LennardJones(np.array([[1, 2], [2, 3]]), [[1.0, 0.8], [0.8, 0.7]], cutoff, "shifted")
    assert bf.LennardJones.from_dict(json.loads(json.dumps(potential.as_dict()))) == potential
    assert hash(potential) == hash(bf.LennardJones.from_dict(potential.as_dict()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0, 2.0]], 1.0), r"epsilon has shape \(1, 2\); give \(S, S\)"),
        (([[1.0, 2.0], [2.1, 1.0]], 1.0), r"epsilon\[0\]\[1\] = 2 and epsilon\[1\]\[0\] = 2.1 must be equal"),
        ((1.0, [[1.0, 1.0], [1.0, 1.0]]), "sigma is for 2 species, epsilon for 1"),
        ((1.0, -1.0), r"sigma\[0\]\[0\] = -1 and .* positive and finite"),
        ((1.0, float("nan")), r"sigma\[0\]\[0\] = nan"),
        ((1.0, "x"), "sigma = 'x' is not a table of numbers"),
        (([[1.0], [1.0, 2.0]], 1.0), "epsilon = .* is not a table of numbers"),
        ((1.0, 1.0, 0), "cutoff = 0.0 must be positive"),
        ((1.0, 1.0, 2.5, "cut"), "truncation = 'cut' is unknown; give one of plain, shifted, force-shifted"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        bf.LennardJones(*arguments)


def test_plain_data_of_others():
    for data in ({}, [], {"epsilon": 1.0}, bf.KOB_ANDERSEN.as_dict() | {"mass": 1.0}):
        with pytest.raises(InputError, match=r"potential holds .*; it must hold cutoff, epsilon, sigma, truncation"):
            bf.LennardJones.from_dict(data)
