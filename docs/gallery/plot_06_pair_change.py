"""
Fig. 6: change of a distance against the distance
=================================================

How many pairs of which distance change it by how much, on a logarithmic scale of colours, and the mean.

Made by: the stages ``curve`` and ``seen`` of the plan; ``botan-fast figures study/runs/curve --data
study/data/seen.h5`` draws it. The pairs end at 1.5, the cutoff of this network.
"""

from botan_fast import figures
from results import NUMBER, TOLD, held_out

found = held_out()
both_a = (found.types[found.pairs] == 0).all(axis=0)
r, actual, predicted = (part[both_a] for part in (found.distances, found.actual_pairs, found.predicted_pairs))
axes = figures.pair_change_compared(r, actual, predicted, title="A-A", bins=60, number=NUMBER, **TOLD)
figure = axes[0].figure

# %%
# The actual changes alone:

figure = figures.pair_change_map(r, actual, title="A-A", bins=60, number=NUMBER, **TOLD).figure
