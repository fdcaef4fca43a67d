"""Facts of the paper: temperatures, times and tags of Table I of Shiba et al., J. Chem. Phys. 158, 084503 (2023)."""

import math

__all__ = ["TAU_ALPHA", "first_tag", "time_of_tag", "times_of"]

# T -> (number of the first tag, times in Lennard-Jones units). The authors' files carry the number of the time as
# _tcNN, counted from 1 on a scale that the temperatures share; at T = 0.64 their files begin with tc02.
_TABLE_I: dict[float, tuple[int, tuple[float, ...]]] = {
    0.44: (1, (0.13, 1.3, 13.0, 130.0, 412.0, 1300.0, 4120.0, 13000.0, 41200.0, 130000.0)),
    0.50: (1, (0.108, 0.434, 2.17, 6.86, 21.7, 68.6, 217.0, 686.0, 2170.0, 6860.0)),
    0.64: (2, (0.1, 0.165, 0.52, 1.65, 5.2, 16.5, 52.0, 165.0, 520.0)),
}

# Second time of the two-step fit of F_s(k = 2 pi, t) of the A particles; tag 7 at every temperature.
TAU_ALPHA: dict[float, float] = {0.44: 4120.0, 0.50: 217.0, 0.64: 16.5}


def times_of(temperature: float) -> tuple[float, ...] | None:
    """Times of Table I at a temperature, or None where the table has none.

    >>> from botan_fast.paper import times_of
    >>> times_of(0.5)[:3], times_of(0.47)
    ((0.108, 0.434, 2.17), None)
    """
    row = _row(temperature)
    return None if row is None else row[1]


def time_of_tag(temperature: float, tag: int) -> float | None:
    """Time of the authors' file tag tcNN at a temperature, or None where the table has none.

    >>> from botan_fast.paper import time_of_tag
    >>> time_of_tag(0.44, 7), time_of_tag(0.64, 7), time_of_tag(0.64, 1)
    (4120.0, 16.5, None)
    """
    row = _row(temperature)
    if row is None:
        return None
    first, times = row
    return times[tag - first] if first <= tag < first + len(times) else None


def first_tag(temperature: float) -> int | None:
    """The tag tcNN of the first of `times_of`, or None where the table has no such temperature.

    >>> from botan_fast.paper import first_tag
    >>> first_tag(0.44), first_tag(0.64), first_tag(0.47)
    (1, 2, None)
    """
    row = _row(temperature)
    return None if row is None else row[0]


def _row(temperature: float) -> tuple[int, tuple[float, ...]] | None:
    return next((row for known, row in _TABLE_I.items() if math.isclose(known, temperature, rel_tol=1e-9)), None)
