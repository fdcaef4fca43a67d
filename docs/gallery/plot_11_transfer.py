r"""
Transfer
========

Models of one temperature on data of another, each near its :math:`\tau_\alpha`: t = 16.5, 5 and 2 at T = 0.64, 0.8 and
1, where :math:`F_s(2 \pi, t)` is 0.30 to 0.35. They are trained on five configurations each, and not pretrained. The
columns differ more than the rows: the colder liquid has more structure to learn from, and its targets are of 32 runs,
those of the others of 16.

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
