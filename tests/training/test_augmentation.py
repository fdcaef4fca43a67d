"""Random rotations."""

import itertools

import pytest
import torch

from botan_fast.errors import InputError
from botan_fast.training.augmentation import random_rotation


def draw(augmentation, dimensions, number, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([random_rotation(augmentation, dimensions, generator) for _ in range(number)])


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("augmentation", ["octahedral", "o3"])
def test_orthogonal_with_both_determinants(augmentation, dimensions):
    q = draw(augmentation, dimensions, 200)
    torch.testing.assert_close(q @ q.mT, torch.eye(dimensions).expand_as(q), atol=1e-6, rtol=0)
    assert q.dtype == torch.float32
    assert 60 < (torch.linalg.det(q) > 0).sum() < 140


@pytest.mark.parametrize(("dimensions", "order"), [(2, 8), (3, 48)])
def test_octahedral_draws_every_element_equally(dimensions, order):
    elements, counts = draw("octahedral", dimensions, 100 * order).unique(dim=0, return_counts=True)
    assert len(elements) == order
    assert set(elements.unique().tolist()) == {-1.0, 0.0, 1.0}
    # chi^2 has mean order - 1 and variance 2 (order - 1)
    chi2 = ((counts - 100) ** 2 / 100).sum()
    assert abs(chi2 - (order - 1)) < 5 * (2 * (order - 1)) ** 0.5


def test_octahedral_is_a_group():
    elements = {tuple(q.flatten().tolist()) for q in draw("octahedral", 3, 2000)}
    some = [torch.tensor(e).reshape(3, 3) for e in itertools.islice(elements, 12)]
    for a, b in itertools.product(some, some):
        assert tuple((a @ b + 0.0).flatten().tolist()) in elements


@pytest.mark.parametrize("dimensions", [2, 3])
def test_o3_is_uniform(dimensions):
    q = draw("o3", dimensions, 4000)
    # Haar: entries have mean 0 and variance 1 / D, and each entry's fourth moment is 3 / (D (D + 2)).
    torch.testing.assert_close(q.mean(dim=0), torch.zeros(dimensions, dimensions), atol=0.05, rtol=0)
    torch.testing.assert_close((q**2).mean(dim=0), torch.full((dimensions,) * 2, 1 / dimensions), atol=0.03, rtol=0)
    fourth = torch.full((dimensions,) * 2, 3 / (dimensions * (dimensions + 2)))
    torch.testing.assert_close((q**4).mean(dim=0), fourth, atol=0.03, rtol=0)


@pytest.mark.parametrize("augmentation", ["octahedral", "o3"])
def test_the_generator_decides(augmentation):
    state = torch.random.get_rng_state()
    assert torch.equal(draw(augmentation, 3, 5, seed=1), draw(augmentation, 3, 5, seed=1))
    assert not torch.equal(draw(augmentation, 3, 5, seed=1), draw(augmentation, 3, 5, seed=2))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_none_and_unknown():
    generator = torch.Generator()
    assert random_rotation("none", 3, generator) is None
    with pytest.raises(InputError, match="augmentation = 'cubic' is unknown; use one of octahedral, o3, none"):
        random_rotation("cubic", 3, generator)
