"""
Fig. 4: changes of pair distances
=================================

Pairs in a slab as segments, coloured by the change of their distance, predicted and actual. Blue pairs come nearer, red
ones part. The configuration is of a quench that nothing was trained on.

Made by: the stages ``curve`` and ``seen`` of the plan; ``botan-fast figures study/runs/curve --data study/data/seen.h5
--slab 4.3 5.1`` draws it.
"""

from botan_fast import figures
from results import TOLD, held_out

found = held_out()
near = found.distances < 1.35
pairs, actual, predicted = found.pairs[:, near], found.actual_pairs[near], found.predicted_pairs[near]
particles = (found.positions, found.types, found.box)
axes = figures.bonds_compared(*particles, pairs, actual, predicted, slab=(4.3, 5.1), **TOLD)
figure = axes[0].figure

# %%
# One panel alone, for a figure of your own:

figure = figures.bonds(*particles, pairs, actual, slab=(4.3, 5.1), title="simulation", **TOLD).figure
