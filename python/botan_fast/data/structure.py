"""What a model reads besides types and vectors, made from positions: arrays of particles, vectors at the minimum."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

from ..errors import InputError
from ..files import printable
from ..physics.descriptor_settings import DescriptorSettings
from ..physics.potential import KOB_ANDERSEN, LennardJones
from ..terminal import progress_bar
from .making import Kept, StructureMaker, check_sample, shared, word_on_potentials
from .sample import Sample

__all__ = ["PAIRS", "Structure", "makers_without_minimum", "with_structure"]

PAIRS = ("thermal", "inherent", "union")
OF_THE_GRAPH = ("type", "species")  # node inputs that every graph has
_ENTRIES = ("pairs", "potential", "descriptors")


@dataclass(frozen=True)
class Structure:
    """What the graphs for a model carry, and how it is made; `from_config` reads it from the model's configuration.

    ================  ==========================================================================================
    arrays            names of `Graph.arrays`, see `with_structure`
    inherent_vectors  does the graph have `Graph.inherent_vectors`?
    pairs             which pairs are its edges: closer than the cutoff in "thermal" positions (those of the data),
                      at the "inherent" structure, or in one or other of the two ("union")
    potential         `LennardJones` whose minimum the inherent structure is; None: the one whose minima the data
                      hold, or Kob-Andersen where they hold none
    descriptors       `DescriptorSettings`
    ================  ==========================================================================================

    >>> import botan_fast as bf
    >>> model = bf.BOTAN(hidden_size=8, node_inputs=("type", "energy"), structure={"pairs": "union"})
    >>> structure = bf.Structure.from_config(model.config)
    >>> structure.arrays, structure.pairs, structure.needs_minimum
    (('energy',), 'union', True)
    """

    arrays: tuple[str, ...] = ()
    inherent_vectors: bool = False
    pairs: str = "thermal"
    potential: LennardJones | None = None
    descriptors: DescriptorSettings = field(default_factory=DescriptorSettings)

    def __post_init__(self) -> None:
        if not isinstance(self.pairs, str) or self.pairs not in PAIRS:
            raise InputError(f"pairs = {_shown(self.pairs)}; it must be one of {', '.join(PAIRS)}")
        for name, kind in (("potential", LennardJones), ("descriptors", DescriptorSettings)):
            value = getattr(self, name)
            if not isinstance(value, kind) and (name, value) != ("potential", None):
                raise InputError(f"{name} is a {type(value).__name__}; give {kind.__name__}")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Structure":
        """That of `BOTAN.config`. Its entry "structure" may come from a stranger's file: InputError for what is unknown
        or wrong in it."""
        plain = config.get("structure") or {}
        if not isinstance(plain, Mapping):
            raise InputError(f"structure is a {type(plain).__name__}; give a dictionary of {', '.join(_ENTRIES)}")
        unknown = next((name for name in plain if name not in _ENTRIES), None)
        if unknown is not None:
            raise InputError(f"structure: entry {_shown(unknown)} is unknown; known are {', '.join(_ENTRIES)}")
        options: dict[str, Any] = {"pairs": plain.get("pairs", "thermal")}
        settings = plain.get("descriptors", {})
        try:
            if "potential" in plain:
                options["potential"] = LennardJones.from_dict(plain["potential"])
            if isinstance(settings, Mapping) and settings.get("num_species") is None and config.get("num_species"):
                settings = {**settings, "num_species": config["num_species"]}  # a sample may lack a species
            options["descriptors"] = DescriptorSettings.from_dict(settings)
        except InputError as error:
            raise InputError(f"structure: {printable(str(error), 300)}") from None
        names = tuple(name for name in config.get("node_inputs", ()) if name not in OF_THE_GRAPH)
        return cls(names, "inherent" in config.get("edge_inputs", ()), **options)

    def as_dict(self) -> dict[str, Any]:
        """The plain data of `BOTAN(structure=...)`: pairs, potential where there is one, and descriptors."""
        plain: dict[str, Any] = {"pairs": self.pairs}
        if self.potential is not None:
            plain["potential"] = self.potential.as_dict()
        return {**plain, "descriptors": self.descriptors.as_dict()}

    @property
    def is_plain(self) -> bool:
        """Does the model read nothing but types and vectors of the pairs that every graph has?"""
        return not self.arrays and not self.inherent_vectors and self.pairs == "thermal"

    @property
    def needs_minimum(self) -> bool:
        """Is the inherent structure needed?"""
        if self.inherent_vectors or self.pairs != "thermal":
            return True
        needed = {"energy", "displacement", "mean_energy"}
        return bool(needed & set(self.arrays)) or ("descriptors" in self.arrays and self.descriptors_need_minimum)

    @property
    def descriptors_need_minimum(self) -> bool:
        """False for descriptors of the thermal positions alone, which name their groups without any of the minimum."""
        d = self.descriptors
        return d.geometry != "thermal" or d.groups is None or bool({"energy", "displacement"} & set(d.groups))

    @property
    def descriptors_read_potential(self) -> bool:
        """Are virial, stiffness and softness among the descriptors?"""
        return self.descriptors.groups is None or "mechanics" in self.descriptors.groups

    def potential_for(self, samples: Sequence[Sample]) -> LennardJones:
        """Its own potential, or else that of the minima that the samples hold, or else Kob-Andersen.

        A model remembers the potential of its training data by it. Raises InputError where they hold those of several.
        """
        if self.potential is not None:
            return self.potential
        held = {s.inherent.potential: s.name for s in samples if s.inherent is not None and s.inherent.potential}
        if len(held) > 1:
            (one, first), (other, second) = list(held.items())[:2]
            raise InputError(
                f"{first} holds a minimum of {one}, and {second} one of {other}; say which potential the model reads: "
                "structure={'potential': potential.as_dict()}"
            )
        return next(iter(held), KOB_ANDERSEN)


@overload
def with_structure(
    samples: Sample, structure: Structure, progress: bool = False, *, pair_targets: bool | None = True
) -> Sample: ...
@overload
def with_structure(
    samples: Sequence[Sample], structure: Structure, progress: bool = False, *, pair_targets: bool | None = True
) -> list[Sample]: ...
def with_structure(
    samples: Sample | Sequence[Sample],
    structure: Structure,
    progress: bool = False,
    *,
    pair_targets: bool | None = True,
) -> Sample | list[Sample]:
    """Samples whose graphs carry what the model reads; the same objects for a model that reads nothing more.

    `graph.arrays` gets, of the names in `structure.arrays`, float32, in the units of the data:

    - "descriptors" (N, K): `botan_fast.descriptors` of positions, inherent structure and potential;
    - "energy", "displacement", "mean_energy" (N,): potential energy of each particle at the inherent structure,
      |r_IS - r| by minimum image, and the mean of the energy over the configuration;
    - "thermal_energy", "force" (N,): potential energy of each particle where it is, and the length of the force on it,
      which decides where it goes first (the inherent structure knows nothing of it);
    - "temperature" (N,): that of the sample; "diameter" (N,): the array of the data, or else sigma_aa of the potential;
    - any other name: that array of `Sample.arrays`, one number standing for all particles.

    `graph.inherent_vectors` are the vectors of the same edges at the inherent structure. With `structure.pairs` other
    than "thermal" the edges are others; `graph.vectors` are those of the thermal positions all the same, and targets of
    pairs are what the data hold of them.

    The inherent structure is `Sample.inherent` where the data hold one, or else it is minimised when the graph is first
    asked for, once: a sample remembers it (0.1 MB), and so do others of the same configuration in `samples`.

    Parameters
    ----------
    samples : Sample or list of Sample
    structure : Structure
    progress : bool
        Minimise now, with a progress bar on standard error when that is a terminal.
    pair_targets : bool or None
        Are E_ij needed? With False other pairs than the thermal ones come without, with None they have NaN where the
        data do not hold it.

    Raises
    ------
    InputError
        The temperature or an array is unknown, or the potential lacks a species; when the graph is made, as
        `inherent_structure` and `descriptors`.
    DataError
        When graph and targets are made: an E_ij that is needed is not in the data.

    Warns
    -----
    BotanFastWarning
        The data hold minima of another potential, which are not used.

    >>> import torch, botan_fast as bf
    >>> x = torch.tensor([[0.0, 0.0, 0.0], [1.2, 0.0, 0.0]], dtype=torch.float64)
    >>> sample = bf.Sample(bf.build_graph(x, [0, 0], [6.0, 6.0, 6.0]), None, "pair", x)
    >>> structure = bf.Structure(arrays=("displacement",), inherent_vectors=True)
    >>> graph = bf.with_structure(sample, structure).graph
    >>> graph.arrays["displacement"], graph.inherent_vectors.norm(dim=1)  # to 2^(1/6), but for the shift of the force
    (tensor([0.0384, 0.0384]), tensor([1.1231, 1.1231]))
    """
    if isinstance(samples, Sample):
        return _all([samples], structure, progress, pair_targets)[0]
    return _all(list(samples), structure, progress, pair_targets)


def makers_without_minimum(samples: Sequence[Sample], structure: Structure) -> list[StructureMaker]:
    """One for each configuration whose inherent structure is needed and is neither held nor made yet.

    Its `minimum` makes it; `remember` gives it one that was made elsewhere. All samples of the configuration have it.
    """
    if not structure.needs_minimum:
        return []
    bases = [_base_of(sample) for sample in samples]
    structure = replace(structure, potential=structure.potential_for(bases))
    makers = {}
    for base, kept in zip(bases, shared(bases), strict=True):
        check_sample(base, structure)
        makers[id(kept)] = StructureMaker(base, structure, kept, None)
    return [maker for maker in makers.values() if not maker.has_minimum]


def _base_of(sample: Sample) -> Sample:
    return sample._maker.base if isinstance(sample._maker, StructureMaker) else sample


def _all(samples: list[Sample], structure: Structure, progress: bool, pair_targets: bool | None) -> list[Sample]:
    if not isinstance(structure, Structure):
        raise InputError(f"structure is a {type(structure).__name__}; give Structure.from_config(model.config)")
    if structure.is_plain:
        return samples
    bases = [_base_of(sample) for sample in samples]
    structure = replace(structure, potential=structure.potential_for(bases))
    for base in bases:
        check_sample(base, structure)
    word_on_potentials(bases, structure)
    result, makers = [], []
    for sample, base, kept in zip(samples, bases, shared(bases), strict=True):
        other = copy.copy(sample)  # of its own class, with whatever else it knows
        makers.append(StructureMaker(base, structure, kept, pair_targets))
        other._maker, other._made = makers[-1], None
        if sample.halves is not None:
            one, two = (_half(_base_of(half), structure, kept, pair_targets) for half in sample.halves)
            other.halves = one, two
        result.append(other)
    if progress and structure.needs_minimum:
        waiting = [maker for maker in makers if not maker.has_minimum]
        for maker in progress_bar(waiting, desc="minimising", unit=" configurations", leave=False) if waiting else []:
            _ = maker.minimum
    return result


def _half(base: Sample, structure: Structure, kept: Kept, pair_targets: bool | None) -> Sample:
    """A half of the runs of a configuration, which shares what is made of its positions."""
    other = copy.copy(base)
    other._maker, other._made = StructureMaker(base, structure, kept, pair_targets), None
    return other


def _shown(value: Any) -> str:
    return printable(repr(value), 60)
