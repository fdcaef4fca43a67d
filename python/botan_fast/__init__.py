"""botan_fast: fast training and inference of BOTAN, the graph neural network for glassy dynamics.

The public names are loaded on first use, so that importing the package and the command line stay quick.
"""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "build_info": "build",
    "Graph": "graph",
    "batch_graphs": "graph",
    "build_graph": "graph",
    "neighbor_list": "graph",
    "Targets": "targets",
    "isoconfigurational_targets": "targets",
    "local_displacement_field": "targets",
    "self_intermediate_scattering": "dynamics",
    "relaxation_time": "dynamics",
    "BondBreaking": "dynamics",
    "bond_breaking": "dynamics",
    "overlap": "dynamics",
    "chi_4": "dynamics",
    "segment_sum": "ops",
    "scatter_sum": "ops",
    "MLP": "model",
    "BOTANLayer": "model",
    "BOTAN": "model",
    "Prediction": "model",
    "load_model": "checkpoint",
    "save_model": "checkpoint",
    "Sample": "samples",
    "load_samples": "samples",
    "Dataset": "dataset",
    "DatasetWriter": "dataset_writer",
    "Record": "records",
    "TimeRecord": "records",
    "convert": "conversion",
    "evaluate": "evaluation",
    "predict": "evaluation",
    "train": "training",
    "simulate": "simulation",
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
