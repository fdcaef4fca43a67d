"""botan_fast: fast training and inference of BOTAN, the graph neural network for glassy dynamics.

The public names are loaded on first use, so that importing the package and the command line stay quick.
"""

from importlib import import_module

TYPE_CHECKING = False  # as in typing, which takes longer than everything else here

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
    "interpolate_field": "physics.field",
    "field_in_slice": "physics.field",
    "LennardJones": "physics.potential",
    "KOB_ANDERSEN": "physics.potential",
    "InherentStructure": "physics.inherent",
    "inherent_structure": "physics.inherent",
    "potential_energy": "physics.inherent",
    "Cage": "physics.cage",
    "cage": "physics.cage",
    "LocalMechanics": "physics.mechanics",
    "local_mechanics": "physics.mechanics",
    "descriptors": "physics.descriptors",
    "DescriptorSettings": "physics.descriptor_settings",
    "self_intermediate_scattering": "physics.correlations",
    "relaxation_time": "physics.relaxation",
    "TwoStepFit": "physics.relaxation",
    "BondBreaking": "physics.correlations",
    "bond_breaking": "physics.correlations",
    "overlap": "physics.correlations",
    "chi_4": "physics.correlations",
    "segment_sum": "ops",
    "scatter_sum": "ops",
    "MLP": "model.botan",
    "BOTANLayer": "model.botan",
    "BOTAN": "model.botan",
    "LinearBaseline": "model.linear",
    "Ensemble": "model.ensemble",
    "shipped_models": "model.shipped",
    "BaselineResult": "training.baseline",
    "train_baseline": "training.baseline",
    "Prediction": "model.prediction",
    "ModelCard": "model.card",
    "load_model": "model.checkpoint",
    "save_model": "model.checkpoint",
    "Sample": "data.sample",
    "load_samples": "data.loading",
    "Dataset": "data.dataset",
    "DatasetWriter": "data.writer",
    "Record": "data.record",
    "TimeRecord": "data.record",
    "Structure": "data.structure",
    "with_structure": "data.structure",
    "convert": "data.conversion",
    "evaluate": "evaluation.scores",
    "predict": "evaluation.prediction",
    "train": "training.loop",
    "simulate": "simulation.ensemble",
    "BotanFastError": "errors",
    "BotanFastWarning": "errors",
}

_MODULES = ("callbacks", "figures")  # public, and found on first use as well

__all__ = [*_PUBLIC, "__version__"]

if TYPE_CHECKING:  # the same names for type checkers, to which __getattr__ would make any name of any type
    from . import callbacks as callbacks
    from . import figures as figures
    from .data.conversion import convert as convert
    from .data.dataset import Dataset as Dataset
    from .data.loading import load_samples as load_samples
    from .data.record import Record as Record
    from .data.record import TimeRecord as TimeRecord
    from .data.sample import Sample as Sample
    from .data.structure import Structure as Structure
    from .data.structure import with_structure as with_structure
    from .data.writer import DatasetWriter as DatasetWriter
    from .errors import BotanFastError as BotanFastError
    from .errors import BotanFastWarning as BotanFastWarning
    from .evaluation.prediction import predict as predict
    from .evaluation.scores import evaluate as evaluate
    from .graph.build import build_graph as build_graph
    from .graph.build import neighbor_list as neighbor_list
    from .graph.graph import Graph as Graph
    from .graph.graph import batch_graphs as batch_graphs
    from .info import build_info as build_info
    from .model.botan import BOTAN as BOTAN
    from .model.botan import MLP as MLP
    from .model.botan import BOTANLayer as BOTANLayer
    from .model.card import ModelCard as ModelCard
    from .model.checkpoint import load_model as load_model
    from .model.checkpoint import save_model as save_model
    from .model.ensemble import Ensemble as Ensemble
    from .model.linear import LinearBaseline as LinearBaseline
    from .model.prediction import Prediction as Prediction
    from .model.shipped import shipped_models as shipped_models
    from .ops import scatter_sum as scatter_sum
    from .ops import segment_sum as segment_sum
    from .physics.cage import Cage as Cage
    from .physics.cage import cage as cage
    from .physics.correlations import BondBreaking as BondBreaking
    from .physics.correlations import bond_breaking as bond_breaking
    from .physics.correlations import chi_4 as chi_4
    from .physics.correlations import overlap as overlap
    from .physics.correlations import self_intermediate_scattering as self_intermediate_scattering
    from .physics.descriptor_settings import DescriptorSettings as DescriptorSettings
    from .physics.descriptors import descriptors as descriptors
    from .physics.field import field_in_slice as field_in_slice
    from .physics.field import interpolate_field as interpolate_field
    from .physics.inherent import InherentStructure as InherentStructure
    from .physics.inherent import inherent_structure as inherent_structure
    from .physics.inherent import potential_energy as potential_energy
    from .physics.mechanics import LocalMechanics as LocalMechanics
    from .physics.mechanics import local_mechanics as local_mechanics
    from .physics.potential import KOB_ANDERSEN as KOB_ANDERSEN
    from .physics.potential import LennardJones as LennardJones
    from .physics.relaxation import TwoStepFit as TwoStepFit
    from .physics.relaxation import relaxation_time as relaxation_time
    from .physics.targets import Targets as Targets
    from .physics.targets import isoconfigurational_targets as isoconfigurational_targets
    from .physics.targets import local_displacement_field as local_displacement_field
    from .simulation.ensemble import simulate as simulate
    from .training.baseline import BaselineResult as BaselineResult
    from .training.baseline import train_baseline as train_baseline
    from .training.loop import train as train

else:

    def __getattr__(name: str) -> object:
        if name in _PUBLIC:
            value = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
            globals()[name] = value  # the next access is a plain lookup
            return value
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
