"""Results become figures, drawn from arrays and tables of scores: no model, no torch, no pyplot.

Every function draws into the axes `ax`, or those of a new figure, and returns them; those with several panels return
all. The figure says T, t, N and what is shown, as far as it was told.

appearance   fonts, lines, colours (botan_fast.mplstyle), the widths of journals; writing PDF, PNG and SVG
inputs       checks, with NumPy alone
slab         a slab of a periodic system from above: images at the edges, order of depth
colors       ranges and bars of colours
relaxation   Fig. 2, F_s(k, t) with fits and tau_alpha
history      Fig. 3, losses against the epoch
segments     Fig. 4, pairs coloured by E_ij
pearson      Figs. 5, 8, 9, 10, Pearson's correlation against time, steps and p
pair_change  Fig. 6, E_ij against r_ij(0)
propensity   Fig. 7, particles coloured by S_i, with the local displacement field
transfer     what was trained for one temperature or time, at another
agreement    actual against predicted values
learning     scores against the number of training configurations
"""

from .agreement import actual_against_predicted
from .appearance import COLUMN, PAGE, save_both, save_figure, style
from .history import losses
from .learning import learning_curve
from .pair_change import pair_change_compared, pair_change_map
from .pearson import (
    pearson_against,
    pearson_against_p,
    pearson_against_steps,
    pearson_against_time,
    pearson_of_targets,
)
from .propensity import propensity_compared, propensity_map
from .relaxation import scattering
from .segments import bonds, bonds_compared
from .transfer import transfer_matrix

__all__ = [
    "COLUMN",
    "PAGE",
    "actual_against_predicted",
    "bonds",
    "bonds_compared",
    "learning_curve",
    "losses",
    "pair_change_compared",
    "pair_change_map",
    "pearson_against",
    "pearson_against_p",
    "pearson_against_steps",
    "pearson_against_time",
    "pearson_of_targets",
    "propensity_compared",
    "propensity_map",
    "save_both",
    "save_figure",
    "scattering",
    "style",
    "transfer_matrix",
]
