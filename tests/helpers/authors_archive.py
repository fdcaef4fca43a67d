"""Tiny files under the names of the authors' archive, and the lines of warnings."""

import itertools
import warnings

import numpy as np

from botan_fast.errors import BotanFastWarning
from tests.helpers.tiny_data import tiny_arrays


def write_archive(folder, temperature="0.44", configurations=(1, 2), tags=range(1, 11)):
    """Files under the authors' names: each tag moves the particles by its own number."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, tag in itertools.product(configurations, tags):
        arrays = tiny_arrays(seed)
        moves = arrays["positions"] - arrays["initial_positions"]
        arrays["positions"] = arrays["initial_positions"] + tag / 10 * moves
        np.savez(folder / f"isoconfig_N80T{temperature}_{seed}_tc{tag:02d}.npz", **arrays)
    return folder


def tags_by_time(samples, seed=1):
    """time -> tag, told from the targets."""
    arrays = tiny_arrays(seed)
    whole = np.linalg.norm(arrays["positions"] - arrays["initial_positions"], axis=2).mean()
    return {s.time: round(10 * float(s.targets.propensity.mean() / whole)) for s in samples}


def warned(call):
    """What a call returns, and the lines of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [str(w.message) for w in caught if issubclass(w.category, BotanFastWarning)]
