"""
Fig. 7: propensity in a slab
============================

Predicted and actual propensity of the particles of a slab on one scale of colours, and the error. The arrows are the
local displacement field, Eq. (16), averaged over the 32 runs and linearly interpolated between particles.

Made by: the stages ``curve`` and ``seen`` of the plan, whose simulation keeps its trajectories for the field.
"""

import botan_fast as bf
from botan_fast import figures
from results import TOLD, held_out

found = held_out()
particles = (found.positions, found.types, found.box)
field = bf.field_in_slice(found.positions, found.field, found.box, center=4.7)
axes = figures.propensity_compared(*particles, found.actual, found.predicted, slab=(4.3, 5.1), field=field, **TOLD)
figure = axes[0].figure

# %%
# One panel alone, of any value of the particles, across another axis:

figure = figures.propensity_map(*particles, found.actual, axis=0, title="simulation", **TOLD).figure
