"""
Spatial correlation
===================

How far together particles are fast or slow: the correlation of the propensities of two particles against their
distance, of the simulation and of a model. `evaluate` gives both.
"""

import botan_fast as bf
from botan_fast import figures
from results import quick_fit, split

train, test = split(16.5)
scores = bf.evaluate(quick_fit(16.5), test)
found = scores["heterogeneity"]["correlation"]
figure = figures.spatial_correlation(
    found["r"], found["actual"], found["predicted"], temperature=0.64, time=16.5, number=1000
).figure
