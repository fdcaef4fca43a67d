"""
Spatial correlation
===================

How far together particles are fast or slow: the correlation of the propensities of two particles against their
distance, of the simulation and of a model, over the five test configurations.

Made by: ``botan-fast evaluate --model study/runs/curve --data study/data/test.h5 --json``, which gives both.
"""

from botan_fast import figures
from results import NUMBER, RECORD, TOLD

found = RECORD["correlation"]
figure = figures.spatial_correlation(found["r"], found["actual"], found["predicted"], number=NUMBER, **TOLD).figure
