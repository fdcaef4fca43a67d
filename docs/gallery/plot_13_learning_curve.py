"""
Learning curve
==============

Scores against the number of training configurations: how steep it ends says whether more simulations would help. Every
network takes 240 steps; none is pretrained.

Made by: the stages ``learn_few``, ``learn_5``, ``learn_10`` and ``learn_15`` of the plan; ``botan-fast figures study``
draws it.
"""

from botan_fast import figures
from results import table

rows = table("learn_few", "learn_5", "learn_10", "learn_15")
figure = figures.learning_curve(rows).figure

# %%
# Against any other column of a table of scores, with a line for each value of another:

rows = [row for row in table("botan", "node") if float(row["time"]) > 1]
figure = figures.pearson_against(rows, "time", series="p").figure
