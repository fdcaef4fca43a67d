"""The mixture of Kob and Andersen (Phys. Rev. E 51, 4626 (1995)); its potential is `KOB_ANDERSEN`."""

from .potential import KOB_ANDERSEN, LennardJones

__all__ = ["CUTOFF", "DENSITY", "KOB_ANDERSEN_DIAMETERS", "PAIRS", "binary"]

CUTOFF = 2.5  # in units of sigma_ab
DENSITY = 1.2  # N sigma_AA^3 / V
KOB_ANDERSEN_DIAMETERS = KOB_ANDERSEN.sigma  # sigma_ab of the species A and B
Pairs = tuple[float, float, float]  # of AA, AB and BB
PAIRS: dict[str, Pairs] = {
    name: (table[0][0], table[0][1], table[1][1])
    for name, table in (("epsilon", KOB_ANDERSEN.epsilon), ("sigma", KOB_ANDERSEN.sigma))
}


def binary(epsilon: Pairs, sigma: Pairs, cutoff: float) -> LennardJones:
    """The force-shifted potential of two species from the values for the pairs (AA, AB, BB).

    >>> from botan_fast.physics.kob_andersen import CUTOFF, PAIRS, binary
    >>> from botan_fast.physics.potential import KOB_ANDERSEN
    >>> binary(**PAIRS, cutoff=CUTOFF) == KOB_ANDERSEN
    True
    """

    def table(aa: float, ab: float, bb: float) -> tuple[tuple[float, float], tuple[float, float]]:
        return ((aa, ab), (ab, bb))

    return LennardJones(table(*epsilon), table(*sigma), cutoff)
