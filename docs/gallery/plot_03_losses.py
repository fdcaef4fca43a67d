"""
Fig. 3: losses
==============

Training and test loss against the epoch, from `history.csv` of a run: 15 configurations, weights that were pretrained
on edges, 40 epochs.

Made by: the stage ``curve`` of the plan; ``botan-fast figures study/runs/curve`` draws it.
"""

from botan_fast import figures
from results import history

figure = figures.losses(history(), title="$T = 0.64$, $t = 16.5$, 15 training configurations").figure

# %%
# With the errors of particles and of pairs alone, of which the loss is the weighted sum:

figure = figures.losses(history(), parts=True, title="$T = 0.64$, $t = 16.5$, $p = 0.4$").figure
