"""The mixture of Kob and Andersen (Phys. Rev. E 51, 4626 (1995))."""

from dataclasses import dataclass

__all__ = ["DENSITY", "KOB_ANDERSEN_DIAMETERS", "Potential"]


@dataclass(frozen=True)
class Potential:
    """The force-shifted Lennard-Jones potential of the mixture, values for the pairs (AA, AB, BB)::

        V_ab(r) = phi_ab(r) - phi_ab(r_c) - (r - r_c) phi_ab'(r_c)   for r < r_c = cutoff * sigma_ab,  else 0
        phi_ab(r) = 4 epsilon_ab [ (sigma_ab / r)^12 - (sigma_ab / r)^6 ]

    Energy and force go to zero continuously at the cutoff (LAMMPS pair style lj/smooth/linear).

    Sources: Kob and Andersen, Phys. Rev. E 51, 4626 (1995); Shiba et al., J. Chem. Phys. 158, 084503 (2023), Sec. II.

    >>> from botan_fast.physics.kob_andersen import Potential
    >>> Potential().longest
    2.5
    """

    epsilon: tuple[float, float, float] = (1.0, 1.5, 0.5)
    sigma: tuple[float, float, float] = (1.0, 0.8, 0.88)
    cutoff: float = 2.5

    @property
    def longest(self) -> float:
        """The largest distance at which particles interact."""
        return self.cutoff * max(self.sigma)


DENSITY = 1.2  # N sigma_AA^3 / V
_AA, _AB, _BB = Potential.sigma
KOB_ANDERSEN_DIAMETERS = ((_AA, _AB), (_AB, _BB))  # sigma_ab of the species A and B
