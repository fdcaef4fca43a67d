"""
Fig. 9: number of message-passing steps
=======================================

Scores of networks that differ in their number of steps n, each pretrained on edges by itself, and in their seeds.

Made by: the stages ``scan_n`` and ``botan`` of the plan; ``botan-fast figures study`` draws it.
"""

from botan_fast import figures
from results import table

rows = [row for row in table("scan_n", "botan") if row["time"] == "16.5"]
figure = figures.pearson_against_steps(rows).figure

# %%
# Of the pairs:

figure = figures.pearson_against_steps(rows, score="edge_pearson").figure
