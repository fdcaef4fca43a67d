"""
Fig. 6: change of a distance against the distance
=================================================

How many pairs of which distance change it by how much, on a logarithmic scale of colours, and the mean.
"""

from botan_fast import figures
from results import held_out

found = held_out(16.5)
axes = figures.pair_change_compared(
    found.distances, found.actual_pairs, found.predicted_pairs, temperature=0.64, time=16.5, number=1000
)
figure = axes[0].figure

# %%
# The actual changes alone:

figure = figures.pair_change_map(found.distances, found.actual_pairs, time=16.5).figure
