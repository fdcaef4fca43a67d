"""What a simulation gives besides its data set: the physics checks, and tau_alpha measured from them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..physics.relaxation import TwoStepFit, relaxation_time

__all__ = ["PEAK", "ConfigurationCheck", "SimulationResult"]

PEAK = 7.25  # wave number of the first peak of the structure factor of the A particles


@dataclass(frozen=True)
class ConfigurationCheck:
    """What the physics checks measured in the runs of one configuration.

    energy_drift: largest |E(t) - E(0)| / (N T) of all runs; at constant temperature, of the conserved quantity of the
    thermostat. temperature: mean kinetic temperature of the runs. scattering: F_s(k, t) of the A particles at the
    times of the protocol, averaged over the runs; peak_scattering: the same at k = 7.25, () where an earlier version
    measured. energy: potential energy of the configuration per particle, None likewise.
    """

    name: str
    energy_drift: float
    temperature: float
    scattering: tuple[float, ...]
    peak_scattering: tuple[float, ...] = ()
    energy: float | None = None


@dataclass(frozen=True)
class SimulationResult:
    """What `simulate` returns.

    output: the data set. times: of the targets. configurations: the `ConfigurationCheck` of each one of this call's
    share. wave_number: k of `scattering`, by default the paper's 2 pi / sigma_AA.

    >>> from pathlib import Path
    >>> from botan_fast.simulation.result import ConfigurationCheck, SimulationResult
    >>> check = ConfigurationCheck("T0.64-0000-00", 1e-4, 0.64, scattering=(0.9, 0.1), peak_scattering=(0.8, 0.05))
    >>> result = SimulationResult(Path("ka.h5"), (1.0, 100.0), [check])
    >>> round(result.falls_to_1_over_e(), 1), round(result.falls_to_1_over_e(7.25), 1), result.tau_alpha
    (21.4, 14.2, None)
    """

    output: Path
    times: tuple[float, ...]
    configurations: list[ConfigurationCheck] = field(default_factory=list)
    wave_number: float = 2 * np.pi

    @property
    def scattering(self) -> np.ndarray:
        """F_s(wave_number, t) (T,), averaged over the configurations; NaN without any."""
        return self.scattering_at(self.wave_number)

    def scattering_at(self, wave_number: float) -> np.ndarray:
        """F_s(k, t) (T,) at `wave_number` or 7.25, averaged over the configurations."""
        curves = self._curves(wave_number)
        return np.mean(curves, axis=0) if len(curves) else np.full(len(self.times), np.nan)

    def falls_to_1_over_e(self, wave_number: float | None = None) -> float | None:
        """The time at which F_s(k, t) falls to 1/e, at `wave_number` (default) or 7.25; None outside the times."""
        scattering = self.scattering_at(self.wave_number if wave_number is None else wave_number)
        if not scattering[0] > np.exp(-1):
            return None
        return relaxation_time(self.times, scattering)

    def fit(self, short_exponent: float | None = None) -> TwoStepFit:
        """The paper's fit of F_s(wave_number, t) in two steps; its tau_alpha has a standard error by the jackknife.

        Raises `InputError` where the times do not allow it, with the reason.
        """
        curves = self._curves(self.wave_number)
        if not len(curves):
            raise InputError("there is no configuration to fit; simulate one")
        values = curves if len(curves) > 1 else curves[0]
        return relaxation_time(self.times, values, method="two-step", short_exponent=short_exponent)

    @property
    def tau_alpha(self) -> float | None:
        """tau_alpha of `fit`, the paper's definition; None where the times do not allow it."""
        try:
            return self.fit().tau_alpha
        except InputError:
            return None

    def _curves(self, wave_number: float) -> np.ndarray:
        if wave_number == self.wave_number:
            return np.array([check.scattering for check in self.configurations])
        if wave_number == PEAK:
            return np.array([check.peak_scattering for check in self.configurations if check.peak_scattering])
        raise InputError(f"wave_number = {wave_number} was not measured; give {self.wave_number} or {PEAK}")
