"""Results become figures, drawn from arrays and tables of scores: no model, no torch, no pyplot.

Every function draws into the axes `ax`, or those of a new figure, and returns them; those with several panels return
all. The figure says T, t, N and what is shown, as far as it was told.

appearance   fonts, lines, colours (botan_fast.mplstyle), the widths of journals; writing PDF, PNG and SVG
inputs       checks, with NumPy alone
slab         a slab of a periodic system from above: images at the edges, order of depth
colors       ranges and bars of colours
relaxation   Fig. 2, F_s(k, t) with fits and tau_alpha
history      Fig. 3, losses against the epoch
curves       a training: losses, and scores along the epochs
segments     Fig. 4, pairs coloured by E_ij
pearson      Figs. 5, 8, 9, 10, Pearson's correlation against time, steps and p
pair_change  Fig. 6, E_ij against r_ij(0)
propensity   Fig. 7, particles coloured by S_i, with the local displacement field
transfer     what was trained for one temperature or time, at another
agreement    actual against predicted values
correlation  G(r), how far together particles are fast or slow
tables       which rows of a table belong into one figure
learning     scores against the number of training configurations
options      of `botan-fast figures`
"""

from importlib import import_module

TYPE_CHECKING = False  # as in typing, which takes longer than everything else here

# Loaded on first use: the command line reads the options alone.
_PUBLIC = {
    "COLUMN": "appearance",
    "PAGE": "appearance",
    "actual_against_predicted": "agreement",
    "bonds": "segments",
    "bonds_compared": "segments",
    "learning_curve": "learning",
    "losses": "history",
    "pair_change_compared": "pair_change",
    "pair_change_map": "pair_change",
    "pearson_against": "pearson",
    "pearson_against_p": "pearson",
    "pearson_against_steps": "pearson",
    "pearson_against_time": "pearson",
    "pearson_of_targets": "pearson",
    "propensity_compared": "propensity",
    "propensity_map": "propensity",
    "save_both": "appearance",
    "save_figure": "appearance",
    "scans": "tables",
    "scattering": "relaxation",
    "score_curves": "curves",
    "score_label": "pearson",
    "spatial_correlation": "correlation",
    "style": "appearance",
    "training_curves": "curves",
    "transfer_matrix": "transfer",
    "transfer_of": "tables",
}

__all__ = [*_PUBLIC]

if TYPE_CHECKING:  # the same names for type checkers, to which __getattr__ would make any name of any type
    from .agreement import actual_against_predicted as actual_against_predicted
    from .appearance import COLUMN as COLUMN
    from .appearance import PAGE as PAGE
    from .appearance import save_both as save_both
    from .appearance import save_figure as save_figure
    from .appearance import style as style
    from .correlation import spatial_correlation as spatial_correlation
    from .curves import score_curves as score_curves
    from .curves import training_curves as training_curves
    from .history import losses as losses
    from .learning import learning_curve as learning_curve
    from .pair_change import pair_change_compared as pair_change_compared
    from .pair_change import pair_change_map as pair_change_map
    from .pearson import pearson_against as pearson_against
    from .pearson import pearson_against_p as pearson_against_p
    from .pearson import pearson_against_steps as pearson_against_steps
    from .pearson import pearson_against_time as pearson_against_time
    from .pearson import pearson_of_targets as pearson_of_targets
    from .pearson import score_label as score_label
    from .propensity import propensity_compared as propensity_compared
    from .propensity import propensity_map as propensity_map
    from .relaxation import scattering as scattering
    from .segments import bonds as bonds
    from .segments import bonds_compared as bonds_compared
    from .tables import scans as scans
    from .tables import transfer_of as transfer_of
    from .transfer import transfer_matrix as transfer_matrix

else:

    def __getattr__(name: str) -> object:
        if name not in _PUBLIC:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
