"""What an ensemble gains over its members, and what its spread says of its errors."""

from typing import Any

import numpy as np

__all__ = ["BINS", "calibration"]

BINS = 5


def calibration(spread: np.ndarray, error: np.ndarray) -> dict[str, Any]:
    """Does the spread tell where a prediction is wrong? For (M,) spreads and errors of the same particles.

    `pearson` is the correlation of spread and |error|; `bins` has, for five parts of equal number from the smallest
    spread to the largest, the mean spread and the root of the mean squared error. Members that share their training
    data share errors, so the second is larger: the ratio is what to multiply a spread with.

    >>> import numpy as np
    >>> from botan_fast.evaluation.ensembles import calibration
    >>> found = calibration(np.arange(1.0, 11.0), 2 * np.arange(1.0, 11.0))
    >>> round(found["pearson"], 6), found["bins"][0]
    (1.0, {'spread': 1.5, 'error': 3.1622776601683795})
    """
    error = np.abs(error)
    varies = len(spread) > 1 and spread.std() > 0 and error.std() > 0
    order = np.argsort(spread, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return {
        "pearson": float(np.corrcoef(spread, error)[0, 1]) if varies else float("nan"),
        "bins": [
            {"spread": float(spread[part].mean()), "error": float(np.sqrt((error[part] ** 2).mean()))} for part in parts
        ],
    }
