r"""
Fig. 2: relaxation
==================

The self part of the intermediate scattering function of the A particles, :math:`F_s(k, t)`, of twenty configurations,
with the fit in two steps whose second time is :math:`\tau_\alpha`. The paper has 16.5 at this temperature; seven times,
which are those of the targets, leave the fit some freedom.

Made by: ``botan-fast simulate -o ka.h5 --num-particles 1000 --temperature 0.64 --configurations 20
--configurations-per-quench 5 --times 0.1 0.165 0.52 1.65 5.2 16.5 52 --targets SERD --seed 17``, and drawn by
``botan-fast figures ka.h5``.
"""

import numpy as np

import botan_fast as bf
from botan_fast import figures
from results import RECORD

found = RECORD["scattering"]
times, curves = np.array(found["times"]), np.array(found["configurations"])

fit = bf.relaxation_time(times, curves.mean(axis=0), method="two-step")
figure = figures.scattering(
    times, curves, fit=fit, k=found["k"], temperature=found["temperature"], number=found["num_particles"]
).figure
