"""The numbers of the mixture of Kob and Andersen (Phys. Rev. E 51, 4626 (1995)); its potential is `KOB_ANDERSEN`.

No imports: the command line has these numbers as defaults.
"""

__all__ = ["CUTOFF", "DENSITY", "EPSILON", "KOB_ANDERSEN_DIAMETERS", "SIGMA"]

CUTOFF = 2.5  # in units of sigma_ab
DENSITY = 1.2  # N sigma_AA^3 / V
EPSILON = (1.0, 1.5, 0.5)  # of the pairs AA, AB and BB
SIGMA = (1.0, 0.8, 0.88)
KOB_ANDERSEN_DIAMETERS = (SIGMA[:2], SIGMA[1:])  # sigma_ab of the species A and B
