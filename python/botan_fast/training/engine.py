"""Which steps a run has: captured ones on CUDA where that is possible, else eager ones, and why."""

import os
from collections.abc import Sequence

import torch

from .. import ops
from ..data.sample import Sample
from ..errors import InputError, warn
from .batches import PackedBatches
from .captured import CapturedSteps
from .device_queue import DeviceQueue
from .distributed import ALONE, Team
from .eager import EagerSteps
from .learner import Learner, works_on_device
from .packing import NotCapturable
from .settings import TrainingSettings
from .shared_steps import SharedSteps
from .steps import Steps

__all__ = ["VARIABLE", "choose_steps"]

VARIABLE = "BOTAN_FAST_CAPTURE"


def choose_steps(learner: Learner, samples: Sequence[Sample], settings: TrainingSettings, team: Team = ALONE) -> Steps:
    """The steps of a run. On CUDA captured; where that is impossible one warning says why, and they are eager.

    BOTAN_FAST_CAPTURE=0 in the environment asks for eager ones: the same numbers, one launch after the other. Where
    there are no kernels, plain torch computes, and `ops.warn_if_slow` has said so. Several processes take eager steps.
    """
    if team.size > 1:
        return SharedSteps(learner, samples, settings, team)
    if not works_on_device(learner.device):
        return EagerSteps(learner, samples, settings)
    value = os.environ.get(VARIABLE, "")
    if value not in ("", "0", "1"):
        raise InputError(f"{VARIABLE} = {value!r}; set it to 0 to train without a CUDA graph, or leave it out")
    config = learner.model.config
    if not ops.has_fast_path(config["hidden_size"], torch.float32, learner.device, settings.precision):
        return EagerSteps(learner, samples, settings)
    try:
        if not hasattr(torch.cuda, "CUDAGraph"):
            raise NotCapturable(f"torch {torch.__version__} has no CUDA graphs")
        queue = DeviceQueue(learner.device)
        batches = PackedBatches(samples, learner.model, settings, queue)
        if value == "0":
            return EagerSteps(learner, samples, settings, batches)
        try:
            return CapturedSteps(learner, samples, settings, batches, queue)
        except torch.OutOfMemoryError:
            if not batches.resident:
                raise
        del batches  # the step needs more than the data leave: they stay in host memory
        queue = DeviceQueue(learner.device)  # with memory of its own: that of a failed capture cannot be used again
        batches = PackedBatches(samples, learner.model, settings, queue, resident=False)
        return CapturedSteps(learner, samples, settings, batches, queue)
    except NotCapturable as reason:
        if value != "0":  # who asks for eager steps need not hear that there are no others
            warn(f"training without a CUDA graph, which takes more time: {reason}")
    return EagerSteps(learner, samples, settings)
