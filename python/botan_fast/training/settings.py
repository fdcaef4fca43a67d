"""The settings of a training run: their checks, their record in config.json, and the comparison on resume."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from ..arrays import Array
from ..data.sample import Sample
from ..errors import BotanFastError, InputError
from ..files import FilePath, printable
from ..model.botan import BOTAN
from ..model.checkpoint import load_model
from ..model.config import DEFAULTS, check_arguments, plain, stored_config
from ..model.published import weights_digest
from ..ops.precision import AUTO, check_precision, check_save_memory
from ..quantities import LETTERS_VERSION, NODE_TARGETS, letter_of_version
from .augmentation import check_augmentation
from .fingerprint import describe_targets, first_difference

__all__ = ["TrainingSettings", "check_resumed", "describe_run", "initial_model", "load_init", "model_config"]


SCHEDULES = ("constant", "cosine")
SPECIES_WEIGHTS = ("particles", "equal")
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class TrainingSettings:
    """The numbers of a run, checked."""

    p: float
    epochs: int
    seed: int
    augmentation: str
    learning_rate: float
    schedule: str
    clip_norm: float
    batch_size: int
    evaluate_every: int
    checkpoint_every: int
    precision: str = "fp32"
    save_memory: bool = False
    ema: float = 0.0
    weight_decay: float = 0.0
    input_noise: float = 0.0
    validation: int | float = 0
    patience: int = 0
    species_weights: str | tuple[float, ...] = "particles"

    def __post_init__(self) -> None:
        for name in ("p", "learning_rate", "clip_norm", "ema", "weight_decay", "input_noise"):
            value = getattr(self, name)
            _require(isinstance(value, (int, float, np.number)), name, value, "give a number")
            object.__setattr__(self, name, float(value))
        _require(
            0 <= self.p <= 1, "p", self.p, "the weight of the node loss lies between 0 (edges only) and 1 (nodes only)"
        )
        for name, least in (
            ("epochs", 1),
            ("seed", 0),
            ("batch_size", 1),
            ("evaluate_every", 1),
            ("checkpoint_every", 1),
            ("patience", 0),
        ):
            value = getattr(self, name)
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            fits = whole and least <= value < 1 << 63  # what torch and NumPy hold
            _require(fits, name, value, f"give a whole number of at least {least}, below 2^63")
            object.__setattr__(self, name, int(value))
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            _require(0 < value <= LARGEST, name, value, "give a positive number that fits float32")
        _require(0 <= self.ema < 1, "ema", self.ema, "give a decay below 1, such as 0.99, or 0 for no averages")
        for name in ("weight_decay", "input_noise"):
            value = getattr(self, name)
            _require(0 <= value <= LARGEST, name, value, "give a number that is not negative, 0 for none")
        self._check_validation()
        self._check_species_weights()
        check_augmentation(self.augmentation)
        _require(self.schedule in SCHEDULES, "schedule", self.schedule, f"choose one of {', '.join(SCHEDULES)}")
        check_precision(self.precision, auto=True)  # train() replaces "auto" before the run is described
        check_save_memory(self.save_memory)

    def _check_validation(self) -> None:
        value = self.validation
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        whole = number and (isinstance(value, (int, np.integer)) or value == 0)
        fits = number and (0 <= value < 1 << 63 if whole else 0 < value < 1)
        remedy = "give a number of training configurations, or a fraction of them between 0 and 1; 0 for none"
        _require(fits, "validation", value, remedy)
        object.__setattr__(self, "validation", int(value) if whole else float(value))

    def _check_species_weights(self) -> None:
        value = self.species_weights
        if not isinstance(value, str):
            try:
                value = tuple(float(weight) for weight in value)
            except (TypeError, ValueError):
                fits = False
            else:
                fits = all(0 <= w <= LARGEST for w in value) and sum(value) > 0
                object.__setattr__(self, "species_weights", value)
        else:
            fits = value in SPECIES_WEIGHTS
        remedy = "give 'particles', 'equal', or a list of numbers that are not negative, one for each species"
        _require(fits, "species_weights", self.species_weights, remedy)

    def step_size(self, epoch: int, batch: int, num_batches: int) -> float:
        """The learning rate of a batch, from its place in the run alone: a resumed run needs no further state.

        constant   learning_rate
        cosine     learning_rate min(1, 20 u) (1 + cos(pi u)) / 2, where u is the part of the run that is done: a rise
                   over the first twentieth, then a fall to zero (Loshchilov & Hutter, arXiv:1608.03983, no restarts)
        """
        if self.schedule == "constant":
            return self.learning_rate
        done, total = epoch * num_batches + batch, self.epochs * num_batches
        rise = min(1.0, 20 * (done + 1) / total)
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * done / total))

    def generator(self, epoch: int) -> torch.Generator:
        """The source of all randomness of one epoch (order of the samples, rotations).

        It depends on (seed, epoch) alone: an epoch that runs again after a kill draws the same numbers.
        """
        state = np.random.SeedSequence([int(self.seed), epoch]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state) >> 1)  # 63 bits: manual_seed takes a signed number


def load_init(init: BOTAN | FilePath | None) -> BOTAN | None:
    """The model to start from: `init` itself, or what load_model reads from that path; None without `init`."""
    model = init if init is None or isinstance(init, BOTAN) else load_model(init)
    if model is not None and not isinstance(model, BOTAN):
        raise InputError(f"init is a {type(model).__name__}, which has no weights that a network could start from")
    return model


def model_config(
    source: BOTAN | None, options: Mapping[str, Any], p: float, defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Keyword arguments of BOTAN for a run: those of `source`, else the given options (not None) and the defaults.

    Raises
    ------
    InputError
        when an option contradicts `source`, or p < 1 meets a model without edge decoder.
    """
    given = {name: plain(value) for name, value in options.items() if value is not None}
    if source is None:
        # Without an edge loss an edge decoder would stay random, and its predictions would be noise.
        decoders = "node" if p == 1 else "separate"
        config = {"decoders": decoders, "cutoff": 2.0, "self_edges": False, "node_target": "S"}
        config |= {name: plain(value) for name, value in (defaults or {}).items()} | given
        # What is wrong is said before data are read; num_species may still come from them.
        usual = {"hidden_size": 64, "num_steps": 7, "dimensions": 3, "edge_node_skip": False, **DEFAULTS}
        check_arguments(usual | {"num_species": 1} | config)
    else:
        config = dict(source.config)
        if _is_free(source, given.get("node_target")):
            config["node_target"] = given["node_target"]
        for name, value in given.items():
            if config[name] != value:
                raise InputError(
                    f"{name} = {value!r} but init has {name} = {config[name]!r}; "
                    f"leave {name} out or start from other weights"
                )
    if p < 1 and config["decoders"] == "node":
        raise InputError(
            f"p = {p} trains edges, but decoders = 'node' has no edge decoder; use p=1 or decoders='separate'"
        )
    return config


def _is_free(source: BOTAN, target: Any) -> bool:
    """May the node output learn another target than the one that its configuration names?

    After pretraining on edges (p = 0) it has learnt none: one pretrained model serves S, R and D. With target_scaling
    it knows the widths of its own.
    """
    card = source.card
    if card is None or source.config["scaled"]:
        return False
    return target in NODE_TARGETS and not any(map(card.trains, NODE_TARGETS))


def initial_model(source: BOTAN | None, config: dict, dimensions: int, seed: int) -> BOTAN:
    """The model that training starts from: a copy of `source`, or a new one whose weights the seed decides."""
    if config.setdefault("dimensions", dimensions) != dimensions:
        raise InputError(
            f"init has dimensions = {config['dimensions']} but the training data are {dimensions}-dimensional; "
            "start from weights for such data"
        )
    with torch.random.fork_rng(devices=[]):  # the global random state stays as it was
        torch.random.default_generator.manual_seed(seed)  # the CPU's alone; torch.manual_seed seeds GPUs as well
        model = BOTAN(**config)
    if source is not None:
        model.load_state_dict(source.state_dict())
    return model


def describe_run(
    settings: TrainingSettings,
    model: BOTAN,
    init: BOTAN | FilePath | None,
    train: list[Sample],
    test: list[Sample],
    box: Array | None,
    density: float | None,
    validation: Sequence[Sample] = (),
    asked_precision: str | None = None,
) -> dict[str, Any]:
    """What config.json records, and what must be the same on resume (see check_resumed)."""
    from .. import __version__

    return {
        "botan_fast": __version__,
        "letters_version": LETTERS_VERSION,
        "settings": plain(asdict(settings)),
        **({"asked_precision": AUTO} if asked_precision == AUTO else {}),
        "box": None if box is None else np.asarray(box, dtype=float).tolist(),
        "density": None if density is None else float(density),
        "model": stored_config(model.config),
        "init": None if init is None else {"from": _init_name(init), "sha256": weights_digest(model.state_dict())},
        "train": _describe_data(train, model.config["node_target"]),
        "test": _describe_data(test, model.config["node_target"]),
        **({"validation": _describe_data(validation, model.config["node_target"])} if validation else {}),
        **({"times": list(train[0].times)} if train[0].times else {}),
    }


def check_resumed(recorded: dict, given: dict, folder: Path) -> None:
    """Refuse to resume a run with other settings, data or weights than it began with.

    `checkpoint_every` may differ, `save_memory` (on a CPU it changes no bit), and `epochs` where the learning rate is
    constant.

    Raises
    ------
    InputError
        naming the first argument that differs and both of its values.
    """

    def refuse(name: str, was: Any, now: Any) -> NoReturn:
        raise InputError(
            f"{name} = {now} differs from the run in '{folder}', which has {name} = {printable(was)}; "
            "resume with the same arguments, or name another output folder"
        )

    try:
        # What runs had before there was a choice.
        before = {"schedule": "constant", "precision": "fp32", "save_memory": False, "ema": 0.0, "weight_decay": 0.0}
        before |= {"input_noise": 0.0, "validation": 0, "patience": 0, "species_weights": "particles"}
        settings = before | recorded["settings"]
        pairs = [(name, settings[name], now) for name, now in given["settings"].items()]
        model = {**DEFAULTS, **recorded["model"]}
        model["node_target"] = letter_of_version(model["node_target"], recorded.get("letters_version", 1))
        pairs += [(name, model[name], now) for name, now in (DEFAULTS | given["model"]).items()]
        pairs += [(name, recorded[name], given[name]) for name in ("box", "density")]
        pairs += [("time", recorded.get("times"), given.get("times"))]
        # The end of a run decides every step of a schedule; a constant step size lets a run be extended.
        free = ("checkpoint_every", "save_memory", *(["epochs"] if settings["schedule"] == "constant" else []))
        for name, was, now in pairs:
            if name not in free and was != now:
                refuse(name, repr(was), repr(now))
        was, now = recorded["init"], given["init"]
        if (was and was["sha256"]) != (now and now["sha256"]):
            refuse(
                "init",
                was and f"{was['from']!r} (sha256 {was['sha256'][:8]})",
                now and f"{now['from']!r} (sha256 {now['sha256'][:8]})",
            )
        for name in ("train", "test", "validation"):
            if name in recorded or name in given:  # runs without a validation part say nothing of it
                _check_data(name, recorded[name], given[name], refuse)
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, BotanFastError):
            raise
        raise InputError(
            f"'{folder / 'config.json'}' is not of this version ({printable(repr(error))}); name another output folder"
        ) from error


def _check_data(name: str, was: dict, now: dict, refuse: Callable[[str, Any, Any], NoReturn]) -> None:
    if was["names"] != now["names"]:
        first = next((pair for pair in zip(was["names"], now["names"], strict=False) if pair[0] != pair[1]), None)
        if first and len(was["names"]) == len(now["names"]):
            refuse(name, f"{first[0]} in its place", first[1])
        refuse(name, f"{len(was['names'])} configurations", f"{len(now['names'])} configurations")
    # float() refuses what is no number: a comparison of an empty list would hold.
    mean = float(was["mean_propensity"])
    if was["sha256"] != now["sha256"]:
        refuse(
            name,
            f"other contents (sha256 {was['sha256'][:8]})",
            f"files of the same names (sha256 {now['sha256'][:8]})",
        )
    difference = None
    if "targets" in was:  # runs of older versions have none
        difference = first_difference(now["names"], was["targets"], now["targets"])
    if difference is None and not np.isclose(mean, now["mean_propensity"], rtol=1e-4):
        difference = f"mean propensity {now['mean_propensity']:.6g} instead of {mean:.6g}"
    if difference:
        refuse(name, "other targets for the same positions", f"data with other targets ({difference})")


def _describe_data(samples: Sequence[Sample], node_target: str) -> dict:
    """A fingerprint that is the same on every machine: the targets' last bits, which may not be, stay out of it."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(np.ascontiguousarray(sample.positions).tobytes())
        digest.update(sample.graph.types.cpu().numpy().tobytes())
    return {
        "names": [sample.name for sample in samples],
        "sha256": digest.hexdigest(),
        "mean_propensity": float(np.mean([_mean_propensity(sample) for sample in samples])) if samples else 0.0,
        "targets": describe_targets(samples, node_target),
    }


def _mean_propensity(sample: Sample) -> float:
    assert sample.targets is not None  # training reads no samples without
    propensity = sample.targets.propensity
    return float(propensity.mean() if sample.times is None else propensity.nanmean())


def _init_name(init: BOTAN | FilePath) -> str:
    return "a BOTAN model" if isinstance(init, BOTAN) else str(Path(init).resolve())


def _require(condition: bool, name: str, value: Any, remedy: str) -> None:
    if not condition:
        raise InputError(f"{name} = {value!r}: {remedy}")
