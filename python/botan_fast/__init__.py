"""botan_fast: fast training and inference of BOTAN, the graph neural network for glassy dynamics.

The public names are loaded on first use, so that importing the package and the command line stay quick.
"""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "build_info": "info",
    "Graph": "graph.graph",
    "batch_graphs": "graph.graph",
    "build_graph": "graph.build",
    "neighbor_list": "graph.build",
    "Targets": "physics.targets",
    "isoconfigurational_targets": "physics.targets",
    "local_displacement_field": "physics.targets",
    "self_intermediate_scattering": "physics.correlations",
    "relaxation_time": "physics.correlations",
    "BondBreaking": "physics.correlations",
    "bond_breaking": "physics.correlations",
    "overlap": "physics.correlations",
    "chi_4": "physics.correlations",
    "segment_sum": "ops",
    "scatter_sum": "ops",
    "MLP": "model.botan",
    "BOTANLayer": "model.botan",
    "BOTAN": "model.botan",
    "Prediction": "model.botan",
    "load_model": "model.checkpoint",
    "save_model": "model.checkpoint",
    "Sample": "data.sample",
    "load_samples": "data.loading",
    "Dataset": "data.dataset",
    "DatasetWriter": "data.writer",
    "Record": "data.record",
    "TimeRecord": "data.record",
    "convert": "data.conversion",
    "evaluate": "evaluation.scores",
    "predict": "evaluation.prediction",
    "train": "training.loop",
    "simulate": "simulation.ensemble",
    "BotanFastError": "errors",
}

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name):
    if name in _PUBLIC:
        value = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
        globals()[name] = value  # the next access is a plain lookup
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
