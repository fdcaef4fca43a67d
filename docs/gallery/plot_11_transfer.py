r"""
Transfer
========

Models of one temperature on data of another, each near its :math:`\tau_\alpha`: t = 16.5, 5 and 2 at T = 0.64, 0.8 and
1. They are trained on five configurations each, so the diagonal is below the scores of Fig. 8.

Made by: the stages ``warm``, ``moved`` and ``transfer`` of the plan; ``botan-fast figures study`` draws it.
"""

from botan_fast import figures
from results import NUMBER, table

matrix, trained, tested = figures.transfer_of(table("transfer"))
options = {"number": NUMBER, "title": r"$t \approx \tau_\alpha$, median of 3 seeds"}
figure = figures.transfer_matrix(matrix, trained, tested, **options).figure

# %%
# Of the pairs:

matrix, trained, tested = figures.transfer_of(table("transfer"), "edge_pearson")
options["label"] = figures.score_label("edge_pearson")
figure = figures.transfer_matrix(matrix, trained, tested, **options).figure
