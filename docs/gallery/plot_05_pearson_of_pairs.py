"""
Fig. 5: scores of pairs against time
====================================

Pearson's coefficient of predicted and actual changes of pair distances. The bars go from the worst to the best of three
choices of the test configurations.
"""

from botan_fast import figures
from results import TIMES, quick_scores

rows = [{"time": time, "seed": seed, **quick_scores(time, seed)} for time in TIMES for seed in range(3)]
figure = figures.pearson_against_time(rows, score="edge_pearson").figure
