"""Recipes of `train`: what its options are where nobody says otherwise."""

from collections.abc import Mapping
from typing import Any

from ..errors import InputError

__all__ = ["MODEL_OPTIONS", "OPTIONS", "RECIPES", "STRUCTURE_OPTIONS", "resolve"]

STRUCTURE_OPTIONS = ("pairs", "potential", "descriptors")  # entries of `structure` in the configuration of a model
# Options that belong to the model: with `init` they come from there, whatever the recipe says.
MODEL_OPTIONS = (
    *("hidden_size", "num_steps", "decoders", "edge_node_skip", "self_edges", "cutoff", "node_target"),
    *("node_inputs", "edge_inputs", "num_species", "radial", "target_scaling"),
    *STRUCTURE_OPTIONS,
)

# Shiba et al., J. Chem. Phys. 158, 084503 (2023), as in the authors' code. What is not here is the default of `BOTAN`.
_PAPER: dict[str, Any] = {
    "p": 0.4,
    "epochs": 1000,
    "augmentation": "octahedral",
    "learning_rate": 1e-4,
    "schedule": "constant",
    "clip_norm": 1.0,
    "batch_size": None,  # 5 for p = 1, else 1
    "evaluate_every": 5,
    "ema": 0.0,
    "weight_decay": 0.0,
    "input_noise": 0.0,
    "validation": 0,
    "patience": 0,
    "species_weights": "particles",
}

# Few configurations: what the minimum of the energy tells goes in, and a small network learns the rest.
_STRUCTURE: dict[str, Any] = {
    **_PAPER,
    "p": 0.5,
    "epochs": 40,
    "augmentation": "o3",
    "learning_rate": 6e-3,
    "schedule": "cosine",
    "ema": 0.99,
    "hidden_size": 32,
    "num_steps": 3,
    "node_inputs": ("species", "descriptors"),
    "edge_inputs": ("vector", "radial", "inherent"),
    "target_scaling": True,
}

OPTIONS = (*_PAPER, *MODEL_OPTIONS)
RECIPES: dict[str, dict[str, Any]] = {"paper": _PAPER, "structure": _STRUCTURE}


def resolve(recipe: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a run: those given (not None), and the recipe's for the others.

    >>> from botan_fast.training.recipes import resolve
    >>> options = resolve("structure", {"epochs": 80, "p": None})
    >>> options["epochs"], options["p"], options["schedule"]
    (80, 0.5, 'cosine')
    """
    if not isinstance(recipe, str) or recipe not in RECIPES:
        raise InputError(f"recipe = {recipe!r} is unknown; choose one of {', '.join(RECIPES)}")
    return RECIPES[recipe] | {name: value for name, value in given.items() if value is not None}
