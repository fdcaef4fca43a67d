"""
Transfer
========

What was trained at one time, at another: the scores of every model on every set of test data. With temperatures in
place of times it is the matrix of the paper.
"""

from botan_fast import figures
from results import TIMES, quick_scores

matrix = [[quick_scores(trained, 0, 8, tested)["node_pearson"] for tested in TIMES] for trained in TIMES]
figure = figures.transfer_matrix(matrix, TIMES, TIMES, rows_are="trained at $t$", columns_are="tested at $t$").figure
