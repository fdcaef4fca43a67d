"""
Fig. 7: propensity in a slab
============================

Predicted and actual propensity of the particles of a slab on one scale of colours, and the error.
"""

from botan_fast import figures
from results import held_out

found = held_out(16.5)
axes = figures.propensity_compared(
    found.positions, found.types, found.box, found.actual, found.predicted, temperature=0.64, time=16.5
)
figure = axes[0].figure

# %%
# One panel alone, of any value of the particles, across another axis:

figure = figures.propensity_map(
    found.positions, found.types, found.box, found.actual, axis=0, temperature=0.64, time=16.5
).figure
