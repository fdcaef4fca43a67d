"""
Fig. 8: scores of particles against time
========================================

Pearson's coefficient of predicted and actual S, R and D of BOTAN, which learns pairs and particles together, of the
node-targeting model, and of ridge regression on structure. The marks are medians of three seeds (of S; two of R and D),
the bars go from the worst to the best. BOTAN starts from weights, and scales of targets, of edges at t = 0.52. So few
epochs do not leave them at t = 52, where a run that starts anew has 0.32 for S.

Made by: the stages ``botan``, ``node``, ``botan_rd``, ``node_rd`` and ``baseline`` of the plan; ``botan-fast figures
study`` draws it.
"""

from botan_fast import figures
from results import table

rows = table("botan", "node", "botan_rd", "node_rd", "baseline")
figure = figures.pearson_of_targets(rows)[0].figure
