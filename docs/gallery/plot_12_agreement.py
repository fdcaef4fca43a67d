"""
Actual against predicted values
===============================

The density of points, the identity, and the line of regression. A slope of 1 is that of a calibrated model, whatever it
does not know.

Made by: the stages ``curve`` and ``seen`` of the plan; ``botan-fast figures study/runs/curve --data
study/data/seen.h5`` draws it.
"""

from botan_fast import figures
from results import NUMBER, TOLD, held_out

found = held_out()
is_a = found.types == 0
figure = figures.actual_against_predicted(
    found.actual[is_a], found.predicted[is_a], bins=40, title="type A, 1 configuration", number=NUMBER, **TOLD
).figure

# %%
# The changes of pair distances, of A-A neighbours:

near = is_a[found.pairs].all(axis=0) & (found.distances < 1.35)
figure = figures.actual_against_predicted(
    found.actual_pairs[near],
    found.predicted_pairs[near],
    name=r"$\mathcal{E}_{ij}\,/\,\sigma_{AA}$",
    title=r"A-A, $r_{ij}(0) < 1.35$, 1 configuration",
    number=NUMBER,
    **TOLD,
).figure
