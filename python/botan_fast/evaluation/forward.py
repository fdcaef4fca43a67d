"""Forward passes over samples: which model, which samples, and their outputs."""

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from .. import ops
from ..arrays import Array
from ..data.loading import Data, read_samples
from ..data.sample import Sample
from ..data.selection import NotHeld, Numbers, SeveralValues
from ..data.species import letter
from ..data.structure import Structure, with_structure
from ..device import Device, choose_device
from ..errors import InputError, warn
from ..model.card import ModelCard
from ..model.checkpoint import load_model
from ..model.ensemble import Ensemble
from ..model.linear import LinearBaseline
from ..model.prediction import Prediction
from ..terminal import progress_bar
from .progress import shown_steps
from .times import num_outputs, once_each


class Model(Protocol):
    """What is needed of a model; `botan_fast.BOTAN` is one."""

    config: dict[str, Any]
    training: bool

    def __call__(self, *arguments: Any) -> Any: ...  # a graph and a precision to node and edge values
    def parameters(self) -> Iterator[torch.nn.Parameter]: ...
    def to(self, device: torch.device) -> Any: ...
    def train(self, mode: bool) -> Any: ...
    def eval(self) -> Any: ...


class NamedModel(NamedTuple):
    """A model, what messages call it, and its card."""

    model: Model
    name: str
    card: ModelCard | None

    @property
    def kind(self) -> str:
        """What figures call it: "linear baseline", "BOTAN", or "network" for one of another layout (Bapst et al.)."""
        model: Any = self.model
        if isinstance(model, Ensemble):
            model = model.members[0]
        if isinstance(model, LinearBaseline):
            return "linear baseline"
        return "network" if model.config.get("edge_node_skip") else "BOTAN"


def named_model(model: Any, rotations: int = 0) -> NamedModel:
    """The model, or that in the file or run folder of the path; of several, or with rotations, their ensemble."""
    if isinstance(model, NamedModel):
        return model
    if isinstance(model, (list, tuple)) and (len(model) != 1 or rotations):
        ensemble = load_model(model, rotations=rotations)
        return NamedModel(ensemble, "the ensemble", ensemble.card)
    if isinstance(model, (list, tuple)):
        [model] = model
    if isinstance(model, (str, PathLike)):
        loaded = load_model(model)
        return NamedModel(loaded, Path(model).name or str(model), loaded.card)
    if not isinstance(getattr(model, "config", None), dict):
        raise InputError(
            f"model is a {type(model).__name__}; give a BOTAN, or the path of a model file or of a run folder"
        )
    return NamedModel(model, "the model", getattr(model, "card", None))


def samples_for(
    named: NamedModel,
    data: Data,
    box: Array | None,
    density: float | None,
    temperature: Numbers,
    time: Numbers,
    *,
    require_targets: bool,
    progress: bool,
    species: Sequence[str] | None = None,
    halves: bool = False,
) -> list[Sample]:
    """The samples for a model. Of several temperatures or times, those that the model's card names, if nobody chose.

    Without need of targets, a configuration with several times comes once and without targets where the card does not
    help. What was chosen is said in a warning. A model with several outputs gets each configuration once, with a column
    of targets for each time. The graphs carry what the model reads (`with_structure`). With `halves` the samples of
    files with runs have `Sample.halves`.
    """
    config, card = named.model.config, named.card
    structure, several = structure_of(named), num_outputs(config) > 1
    chosen: dict[str, Numbers] = {"temperature": temperature, "time": time}
    refused: dict[str, SeveralValues] = {}  # names for which the card was asked
    once, said = False, []
    while True:
        try:
            samples = read_samples(
                data,
                cutoff=config["cutoff"],
                self_edges=config["self_edges"],
                box=box,
                density=density,
                **chosen,
                species=species,
                node_target=config["node_target"],
                require_targets=require_targets,
                progress=progress,
                time_optional=once,
                joined=several,
                structure=structure,
                halves=halves,
            )
            break
        except (SeveralValues, NotHeld) as error:
            name = error.name
            default: tuple[float, ...] = () if card is None else getattr(card, f"{name}s")
            # A model of several temperatures is for all of them; several times with one output are no choice.
            usable = len(default) == 1 or (name == "temperature" and len(default) > 1)
            if isinstance(error, SeveralValues) and name not in refused and usable:
                refused[name], chosen[name] = error, default[0] if len(default) == 1 else list(default)
                said.append(f"{name} {', '.join(f'{value:g}' for value in default)}")
            elif isinstance(error, NotHeld) and name not in refused:
                raise
            elif name == "time" and not require_targets and not once:
                once, chosen["time"] = True, None
                said = [text for text in said if not text.startswith("time")]
                refused.setdefault(name, error)  # type: ignore[arg-type]
            else:
                raise refused.get(name, error) from None
    if said:
        taken = " and ".join(said) + (" is" if len(said) == 1 else " are")
        warn(f"{taken} taken, which {named.name} was trained for; the data hold others too")
    if once:
        warn("the data hold several times and none is chosen: each configuration is predicted once, without targets")
    for sample in samples:
        check_fits(named, sample)
    if several:
        samples = once_each(config, card, named.name, samples, require_targets, chosen["time"] is not None)
    pair_targets = _has_pairs(named) and (require_targets or None)
    return with_structure(samples, structure, progress, pair_targets=pair_targets)


def structure_of(named: NamedModel) -> Structure:
    """What the graphs for the model carry; InputError that names the model where its configuration is none."""
    try:
        return Structure.from_config(named.model.config)
    except InputError as error:
        raise InputError(f"{named.name}: {error}") from None


def _has_pairs(named: NamedModel) -> bool:
    """Are E_ij compared with the model's?"""
    return named.model.config["decoders"] != "node" and (named.card is None or named.card.trains("E"))


def check_fits(named: NamedModel, sample: Sample) -> None:
    """InputError unless the sample has the model's number of dimensions, and no species that the model never met."""
    dimensions, card = named.model.config["dimensions"], named.card
    if sample.positions.shape[1] != dimensions:
        raise InputError(
            f"the model has dimensions = {dimensions} but {sample.name} has "
            f"{sample.positions.shape[1]}-dimensional positions; use a model trained on such data"
        )
    if card is None or not card.fractions:
        return
    for number in np.unique(sample.types).tolist():
        if not any(card.fractions[number : number + 1]):
            known = ", ".join(f"{name} {part:.4g}" for name, part in zip(card.species, card.fractions, strict=True))
            raise InputError(
                f"{sample.name} has particles of type {number} ({letter(number)}), but {named.name} was trained on "
                f"{known}; number the species as its training data did, or name them by --species (species=)"
            )


class Outputs(NamedTuple):
    """Node and edge output (None without), in the numbers of the model: the scores compute in float64."""

    node: np.ndarray
    edge: np.ndarray | None

    @classmethod
    def of(cls, prediction: Prediction) -> "Outputs":
        edge = prediction.edge
        return cls(prediction.node.detach().cpu().numpy(), None if edge is None else edge.detach().cpu().numpy())


class Passed(NamedTuple):
    """A sample and what a model says of it: of an ensemble the mean, the spread, and each member without rotation."""

    sample: Sample
    outputs: Outputs
    spread: Outputs | None = None
    members: Sequence[Outputs] = ()


def forward_passes(
    model: Model, samples: Iterable[Sample], device: Device, precision: str, progress: bool, description: str
) -> Iterator[Passed]:
    """Yield each sample with the model's output; leave the model as it was."""
    home = next(model.parameters()).device
    device = choose_device(device, default=home)
    was_training = model.training
    hidden = model.config.get("hidden_size")  # a model of another kind has no width
    precision = ops.resolve_precision(precision, device, hidden)
    if hidden is not None:
        ops.warn_if_slow(hidden, precision, device)
    bar = progress_bar(samples, show=progress, desc=description, unit="graph", leave=False)
    try:
        model.to(device).eval()
        for sample in bar:
            with torch.no_grad(), shown_steps(sample.name, progress, description):
                graph = sample.graph.to(device)
                if isinstance(model, Ensemble):
                    each = model.predictions(graph, precision)  # the mean, the spread and the members, in one go
                    of_members = [Outputs.of(one[0]) for one in each]
                    passed = Passed(sample, Outputs.of(model.mean(each)), Outputs.of(model.deviation(each)), of_members)
                else:
                    passed = Passed(sample, Outputs.of(model(graph, precision)))
            yield passed
    finally:
        model.to(home).train(was_training)


def float64_array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
