"""What a prediction says, under the names that it has in files: a column for each number of particles and of bonds."""

from dataclasses import dataclass

import numpy as np

from ..checks import positive
from ..errors import InputError
from ..quantities import FIRST_SHELL
from .prediction import ConfigurationPrediction

__all__ = ["Bonds", "bonds_of", "cell_of", "names_of", "particle_columns", "places_of", "radii_of"]

# What is drawn: sigma_AA / 2 and sigma_BB / 2 of the Kob-Andersen mixture. By its name alone B would be boron in OVITO,
# several times as large as A. Nothing is known of mixtures of more species.
RADII = (0.5, 0.44)
OTHER_RADIUS = 0.5


@dataclass
class Bonds:
    """Pairs of particles that are near neighbours, each once.

    pairs     (P, 2) int64, i < j, sorted
    columns   `distance`, r_ij(0); where the model predicts it `pair_change`, the mean of E_ij of both directions; where
              the data have runs `target_pair_change`; where both are there `pair_change_error`, predicted - actual; all
              (P,) float32. With several outputs the last three have endings, as those of particles
    """

    pairs: np.ndarray
    columns: dict[str, np.ndarray]


def particle_columns(prediction: ConfigurationPrediction) -> dict[str, np.ndarray]:
    """Numbers of particles by name, (N,) float32: predicted, spread of an ensemble, actual, predicted - actual.

    What is not known has no column. The names are `propensity`, `propensity_spread`, `target_propensity` and
    `propensity_error`, or those of another node target; with several outputs each has an ending for every time:
    `propensity_t13`.
    """
    p, name = prediction, prediction.quantity
    found = {name: p.propensity, f"{name}_spread": p.propensity_spread, f"target_{name}": p.target_propensity}
    if p.propensity is not None and p.target_propensity is not None:
        found[f"{name}_error"] = p.propensity - p.target_propensity
    return _split(p, found)


def bonds_of(prediction: ConfigurationPrediction, length: float = FIRST_SHELL) -> Bonds:
    """The pairs with r_ij(0) < length, from the edges of the graph; 0 for none.

    The default is the first shell of A particles, the pairs of which the paper scores E_ij.

    Raises
    ------
    InputError
        For a length that is negative, or no number.
    """
    p = prediction
    length = positive("bonds", length, zero=True)
    senders, receivers = p.senders.astype(np.int64), p.receivers.astype(np.int64)
    number = max(1, len(p.positions))
    near = p.distance < length
    forth = np.nonzero(near & (senders < receivers))[0]
    forth = forth[np.lexsort((receivers[forth], senders[forth]))]
    back = np.nonzero(near & (senders > receivers))[0]
    back = back[np.lexsort((senders[back], receivers[back]))]
    # Both directions of a pair, in one order: the graph has each edge both ways.
    if not np.array_equal(senders[forth] * number + receivers[forth], receivers[back] * number + senders[back]):
        raise InputError("senders and receivers do not hold both directions of each pair; take those of predict")

    def mean(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else (values[forth] + values[back]) / 2

    predicted, actual = mean(p.pair_change), mean(p.target_pair_change)
    found = {"pair_change": predicted, "target_pair_change": actual}
    if predicted is not None and actual is not None:
        found["pair_change_error"] = predicted - actual
    pairs = np.stack([senders[forth], receivers[forth]], axis=1)
    return Bonds(pairs, {"distance": p.distance[forth], **_split(p, found)})


def _split(p: ConfigurationPrediction, found: dict[str, np.ndarray | None]) -> dict[str, np.ndarray]:
    """One column for each output."""
    columns: dict[str, np.ndarray] = {}
    for name, values in found.items():
        if values is None:
            continue
        if values.ndim == 1:
            columns[name] = values
            continue
        # "_t13" for the time 13 of several, or their numbers.
        endings = [f"_t{t:.10g}" for t in p.times or ()] or [f"_{k}" for k in range(values.shape[1])]
        columns |= {f"{name}{ending}": values[:, k] for k, ending in enumerate(endings)}
    return columns


def names_of(prediction: ConfigurationPrediction) -> list[str]:
    """The letters of the species, A, B, ...; InputError for more than 26, which have none."""
    largest = int(prediction.types.max(initial=0))
    if largest > 25:
        raise InputError(f"types hold {largest}; files name species by the letters A to Z")
    return [chr(ord("A") + k) for k in range(largest + 1)]


def radii_of(prediction: ConfigurationPrediction) -> np.ndarray:
    """(N,) float64: 0.5 for A and 0.44 for B; of more species 0.5 for all."""
    largest = int(prediction.types.max(initial=0))
    radii = RADII if largest < len(RADII) else (OTHER_RADIUS,) * (largest + 1)
    return np.array(radii)[prediction.types]


def cell_of(prediction: ConfigurationPrediction) -> np.ndarray:
    """(3, 3) row vectors of the box; the third is (0, 0, 1) in two dimensions."""
    p = prediction
    dimensions = p.positions.shape[1]
    cell = np.eye(3)
    cell[:dimensions, :dimensions] = np.diag(p.box) if p.box.ndim == 1 else p.box
    return cell


def places_of(prediction: ConfigurationPrediction) -> np.ndarray:
    """(N, 3) float64 positions; z = 0 in two dimensions."""
    positions = prediction.positions
    return np.pad(positions, ((0, 0), (0, 3 - positions.shape[1])))
