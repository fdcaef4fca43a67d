"""
Fig. 10: weight of the node loss
================================

Scores of networks that differ in p, the weight of the particles in the loss, and in their seeds. p = 1 is the
node-targeting model, which has no output for pairs and is not pretrained.

Made by: the stages ``scan_p``, ``botan`` and ``node`` of the plan; ``botan-fast figures study`` draws it.
"""

from botan_fast import figures
from results import table

rows = [row for row in table("scan_p", "botan", "node") if row["time"] == "16.5"]
figure = figures.pearson_against_p([row for row in rows if float(row["p"]) > 0]).figure

# %%
# Of the pairs:

figure = figures.pearson_against_p(rows, score="edge_pearson").figure
