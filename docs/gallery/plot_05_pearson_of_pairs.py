"""
Fig. 5: scores of pairs against time
====================================

Pearson's coefficient of predicted and actual changes of pair distances, at each time of models that were trained for
it. The marks are medians of three seeds, the bars go from the worst to the best. The linear baseline, ridge regression
on structure, is what a network must beat.

Made by: the stages ``botan`` and ``baseline`` of the plan; ``botan-fast figures study`` draws it.
"""

from botan_fast import figures
from results import table

rows = [row for row in table("botan", "baseline") if (row["node_target"] or "S") == "S"]
figure = figures.pearson_against_time(rows, score="edge_pearson", series="model").figure
