"""
Learning curve
==============

Scores against the number of training configurations: how steep it ends says whether more simulations would help.
"""

from botan_fast import figures
from results import quick_scores

rows = [{"num_train": n, "seed": seed, **quick_scores(4.0, seed, n)} for n in (1, 2, 4, 8) for seed in range(3)]
figure = figures.learning_curve(rows).figure

# %%
# Against any other column of a table of scores, with a line for each value of another:

rows = [{"time": time, "train": n, **quick_scores(time, 0, n)} for time in (4.0, 16.5) for n in (1, 2, 4, 8)]
figure = figures.pearson_against(rows, "train", score="edge_pearson", series="time").figure
