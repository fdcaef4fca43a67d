r"""
Fig. 2: relaxation
==================

The self part of the intermediate scattering function of the A particles, :math:`F_s(k, t)`, with the fit in two steps
whose second time is :math:`\tau_\alpha`. Here a correlation function with the paper's :math:`\tau_\alpha` at T = 0.64,
and some noise, stands for a simulation; `botan_fast.self_intermediate_scattering` computes it from trajectories.
"""

import numpy as np

import botan_fast as bf
from botan_fast import figures

liquid = bf.TwoStepFit(16.5, 0.4, plateau=0.75, tau_s=0.2, short_exponent=1.6, exponent=0.75, residual=0.0)
times = np.logspace(-2, 2.5, 28)
values = liquid.at(times) + 0.005 * np.random.default_rng(0).standard_normal((10, len(times)))

fit = bf.relaxation_time(times, values.mean(axis=0), method="two-step")
figure = figures.scattering(times, values, fit=fit, temperature=0.64).figure
