"""Forward passes over samples."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch

from .. import ops
from ..arrays import Array
from ..data.loading import Data, load_samples
from ..data.sample import Sample
from ..data.selection import Numbers
from ..device import Device, choose_device
from ..errors import InputError
from ..terminal import progress_bar


class Model(Protocol):
    """What is needed of a model; `botan_fast.BOTAN` is one."""

    config: dict[str, Any]
    training: bool

    def __call__(self, *arguments: Any) -> Any: ...  # a graph and a precision to node and edge values
    def parameters(self) -> Iterator[torch.nn.Parameter]: ...
    def to(self, device: torch.device) -> Any: ...
    def train(self, mode: bool) -> Any: ...
    def eval(self) -> Any: ...


def samples_for(
    model: Model,
    data: Data,
    box: Array | None,
    density: float | None,
    temperature: Numbers,
    time: Numbers,
    *,
    require_targets: bool,
    progress: bool,
) -> list[Sample]:
    config = model.config
    samples = load_samples(
        data,
        cutoff=config["cutoff"],
        self_edges=config["self_edges"],
        box=box,
        density=density,
        temperature=temperature,
        time=time,
        node_target=config["node_target"],
        require_targets=require_targets,
        progress=progress,
    )
    for sample in samples:
        if sample.positions.shape[1] != config["dimensions"]:
            raise InputError(
                f"the model has dimensions = {config['dimensions']} but {sample.name} has "
                f"{sample.positions.shape[1]}-dimensional positions; use a model trained on such data"
            )
    return samples


def forward_passes(
    model: Model, samples: list[Sample], device: Device, precision: str, progress: bool, description: str
) -> Iterator[tuple[Sample, np.ndarray, np.ndarray | None]]:
    """Yield each sample with the model's node and edge output as float64; leave the model as it was."""
    home = next(model.parameters()).device
    device = choose_device(device, default=home)
    was_training = model.training
    ops.warn_if_slow(model.config["hidden_size"], precision, device)
    bar = progress_bar(samples, show=progress, desc=description, unit="graph", leave=False)
    try:
        model.to(device).eval()
        for sample in bar:
            with torch.no_grad():
                prediction = model(sample.graph.to(device), precision)
            edge = None if prediction.edge is None else float64_array(prediction.edge)
            yield sample, float64_array(prediction.node), edge
    finally:
        model.to(home).train(was_training)


def float64_array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
