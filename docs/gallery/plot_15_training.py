"""
A training
==========

Losses and scores against the epoch, side by side: what `result.plot()` and the report of a run show.

Made by: the stage ``curve`` of the plan.
"""

from botan_fast import figures
from results import history

axes = figures.training_curves(history(), title="$T = 0.64$, $t = 16.5$, 15 training configurations")
figure = axes[0].figure

# %%
# The scores alone:

figure = figures.score_curves(history(), title="$T = 0.64$, $t = 16.5$").figure
