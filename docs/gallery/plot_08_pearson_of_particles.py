"""
Fig. 8: scores of particles against time
========================================

Pearson's coefficient of predicted and actual propensity. `botan_fast.figures.pearson_of_targets` draws a panel for each
of S, R and D from the rows of `botan-fast collect`, and a line for each kind of model.
"""

from botan_fast import figures
from results import TIMES, quick_scores

rows = [{"time": time, "seed": seed, **quick_scores(time, seed)} for time in TIMES for seed in range(3)]
figure = figures.pearson_of_targets([{"command": "baseline", **row} for row in rows])[0].figure
