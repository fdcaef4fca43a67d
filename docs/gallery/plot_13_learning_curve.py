"""
Learning curve
==============

Scores against the number of training configurations: how steep it ends says whether more simulations would help.
"""

from botan_fast import figures
from results import quick_scores

rows = [{"num_train": n, "seed": seed, **quick_scores(4.0, seed, n)} for n in (1, 2, 4, 8) for seed in range(3)]
figure = figures.learning_curve(rows).figure
