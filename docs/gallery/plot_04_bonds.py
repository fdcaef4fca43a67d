"""
Fig. 4: changes of pair distances
=================================

Pairs in a slab as segments, coloured by the change of their distance, predicted and actual. Blue pairs come nearer, red
ones part.
"""

from botan_fast import figures
from results import held_out

found = held_out(16.5)
near = found.distances < 1.35
axes = figures.bonds_compared(
    found.positions,
    found.types,
    found.box,
    found.pairs[:, near],
    found.actual_pairs[near],
    found.predicted_pairs[near],
    slab=(4.0, 5.0),
    temperature=0.64,
    time=16.5,
)
figure = axes[0].figure

# %%
# One panel alone, for a figure of your own:

figure = figures.bonds(
    found.positions, found.types, found.box, found.pairs[:, near], found.actual_pairs[near], slab=(4.0, 5.0)
).figure
