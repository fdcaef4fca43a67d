"""Descriptors: rows of numbers that say what the structure around each particle is, whatever its orientation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from .. import _core
from ..arrays import Array
from ..box import check_box, check_cutoff
from ..checks import as_array, check_finite
from ..errors import InputError
from ..graph.images import minimum_image
from ..graph.inputs import check_positions, check_types
from .descriptor_settings import MAX_SPECIES, MECHANICS, DescriptorSettings
from .mechanics import local_mechanics
from .potential import PotentialLike

__all__ = ["descriptors"]


def descriptors(
    positions: Array,
    types: Array,
    box: Array,
    *,
    inherent: Any = None,
    energy: Array | None = None,
    potential: PotentialLike | None = None,
    scalars: Mapping[str, Array] | None = None,
    settings: DescriptorSettings | None = None,
) -> tuple[np.ndarray, list[str]]:
    """K numbers for each particle that rotations, reflections and translations of everything leave as they are.

    With r_ij the minimum image, u_ij = r_ij / |r_ij|, and w(x) = exp(-x^2 / 2) for \\|x| < 5, else 0::

        radial[s,c]       g_i(c, s) = sum_(j of s) w((|r_ij| - c) / width)
        bond_order[l,c]   q_l = sqrt(4 pi / (2 l + 1) sum_m |q_lm|^2)                                 (3D)
                          q_lm = sum_j w_j Y_lm(u_ij) / sum_j w_j,   w_j = w((|r_ij| - c) / width_c)
        psi[l,c]          psi_l = |sum_j w_j exp(i l theta_ij)| / sum_j w_j                            (2D)
        energy            as given, or that of the inherent structure
        displacement      |r_IS - r|, minimum image
        virial, stiffness, softness      of the site, see `local_mechanics`; with `potential`
        NAME @n           X(n)_i = sum_j e_ij X(n-1)_j / sum_j e_ij,   e_ij = exp(-|r_ij| / R), |r_ij| < R
        NAME~s,L          sum_(j of s) e_ij x_j / sum_(j of s) e_ij,   e_ij = exp(-|r_ij| / L),
                          |r_ij| < min(5 L, smear_radius)

    radial and q have j != i, the means have j = i too. Species are A, B, ...; @n is of every column before it. With
    ``bond_by_species`` it is bond_order[l,c,s], with shells of one distance and several widths bond_order[l,c~width].
    Without a neighbour g, q and psi are 0, and so is a mean over a species that has none within its radius.

    Parameters
    ----------
    positions, types, box : as in `build_graph`.
    inherent : (N, D) positions of the inherent structure, or an object with `positions` and `energy` such as
        `inherent_structure` returns. All but the displacement is then taken there (`settings.geometry`).
    energy : (N,) per particle; by default `inherent.energy` where there is one.
    potential : a `LennardJones`, or "kob-andersen", of the virial, stiffness and softness.
    scalars : more numbers of each particle, name -> (N,): columns of these names, and their means.
    settings : `DescriptorSettings`; the defaults where None.

    Returns X (N, K) float32 and the K names. Columns: for n = 0, 1, ..., `settings.averages`, radial, bond order (with
    geometry="both" again as "thermal NAME"), energy, displacement, mechanics, scalars; then means by length, species
    and name. Sums are in float64; the bits are the same for any number of threads, of which there are
    ``torch.get_num_threads()``. Time and memory O(N): neighbours are met and not stored.

    Raises `InputError` for wrong shapes, NaN or infinite numbers, types beyond `settings.num_species`, two particles at
    one point, a group whose input is missing, and a box that does not hold a distance of the settings twice.

    Sources: q_l in shells and averages: Boattini, Smallenburg and Filion, Phys. Rev. Lett. 127, 088007 (2021). q_l:
    Steinhardt, Nelson and Ronchetti, Phys. Rev. B 28, 784 (1983). Means by species: Jung, Biroli and Berthier, Phys.
    Rev. Lett. 130, 238202 (2023).

    >>> import botan_fast as bf
    >>> settings = bf.DescriptorSettings(groups=["radial"], radial_centres=[1.0], averages=0, smear_lengths=[])
    >>> X, names = bf.descriptors([[0, 0, 0], [1, 0, 0]], [0, 1], 4.0, settings=settings)
    >>> names, X.tolist()
    (['radial[A,1]', 'radial[B,1]'], [[0.0, 1.0], [1.0, 0.0]])
    """
    settings = DescriptorSettings() if settings is None else settings
    if not isinstance(settings, DescriptorSettings):
        raise InputError(f"settings is a {type(settings).__name__}; give DescriptorSettings")
    here = check_positions(positions)
    number, dimensions = here.shape
    species = check_types(types, number).numpy()
    num_species = _num_species(species, settings)
    shape, cell = check_box(box, dimensions)
    quenched, energies = _inherent(inherent, energy, here.shape)
    given = {"energy": energies is not None, "displacement": quenched is not None, "mechanics": potential is not None}
    groups = settings.chosen(**given)
    more = _scalars(scalars, number)
    geometries = settings.geometries(quenched is not None)
    names = settings.names(dimensions, num_species, scalars=tuple(more), **given)
    first = here if quenched is None or geometries[0] == "thermal" else quenched
    search = _Sums(first, species, shape, cell, num_species)

    values = np.empty((number, len(names)), np.float32)
    column = 0
    for geometry in geometries:
        one = search if geometry == geometries[0] else _Sums(here, species, shape, cell, num_species)
        width = len(settings.local_names(dimensions, groups, num_species))
        if width:
            one.local(settings, groups, values[:, column : column + width])
        column += width
    local = column
    if "energy" in groups:
        values[:, column] = energies
        column += 1
    if "displacement" in groups and quenched is not None:
        values[:, column] = np.linalg.norm(minimum_image(quenched - here, shape), axis=1)
        column += 1
    if "mechanics" in groups and potential is not None:
        values[:, column : column + len(MECHANICS)] = np.stack(local_mechanics(first, types, box, potential), 1)
        column += len(MECHANICS)
    for array in more.values():
        values[:, column] = array
        column += 1
    base = column
    for _ in range(settings.averages if base else 0):
        done, to = values[:, column - base : column], values[:, column : column + base]
        search.means("average_radius", [settings.average_radius], [settings.average_radius], done, to, False)
        column += base
    smeared = values[:, 0 if settings.smear_local else local : base]
    if settings.smear_lengths and smeared.shape[1]:
        search.means("smear_radius", settings.smear_lengths, settings.smear_reach(), smeared, values[:, column:], True)
    return values, names


class _Sums:
    """Sums over neighbours in one geometry, by the core."""

    def __init__(
        self, positions: np.ndarray, types: np.ndarray, box: np.ndarray, cell: np.ndarray, num_species: int
    ) -> None:
        self.positions, self.types = np.ascontiguousarray(positions), np.ascontiguousarray(types, np.int32)
        self.box, self.cell, self.num_species = box, np.ascontiguousarray(cell), num_species

    def local(self, settings: DescriptorSettings, groups: tuple[str, ...], out: np.ndarray) -> None:
        """Radial densities and bond order into the columns `out`."""
        self._check("bond_shells" if "radial" not in groups else "radial_centres", settings.local_reach(groups))
        centres = np.array(settings.radial_centres if "radial" in groups else (), np.float64)
        orders = np.array(settings.bond_orders if "bond_order" in groups else (), np.int32)
        shells = np.array(settings.bond_shells if len(orders) else (), np.float64).reshape(-1, 2)
        self._call(
            "local_structure", self.num_species, centres.ctypes.data, len(centres), settings.radial_width,
            shells.ctypes.data, len(shells), orders.ctypes.data, len(orders), settings.bond_by_species,
            out.ctypes.data, out.strides[0] // 4, torch.get_num_threads(),
        )  # fmt: skip

    def means(self, name: str, lengths: Any, reach: Any, values: np.ndarray, out: np.ndarray, by_species: bool) -> None:
        """Weighted means of the columns `values` into the columns `out`, by length, species, column."""
        lengths, reach = np.array(lengths, np.float64), np.array(reach, np.float64)
        self._check(name, float(reach.max()))
        self._call(
            "weighted_means", self.num_species if by_species else 1, lengths.ctypes.data, reach.ctypes.data,
            len(lengths), values.ctypes.data, values.shape[1], values.strides[0] // 4, out.ctypes.data,
            out.strides[0] // 4, torch.get_num_threads(),
        )  # fmt: skip

    def _check(self, name: str, reach: float) -> None:
        if not reach:
            return
        try:
            check_cutoff(reach, self.box, self.cell)
        except InputError as error:
            where = str(error).partition(" is smaller than")[0]
            raise InputError(
                f"{where} is smaller than twice the {reach:.10g} that {name} reaches; use a larger system or a smaller "
                f"{name} in the settings of descriptors"
            ) from None

    def _call(self, function: str, *arguments: Any) -> None:
        try:
            getattr(_core, function)(
                self.positions.ctypes.data, self.types.ctypes.data, *self.positions.shape, self.cell.ctypes.data,
                *arguments,
            )  # fmt: skip
        except ValueError as error:
            raise InputError(str(error)) from None


def _num_species(types: np.ndarray, settings: DescriptorSettings) -> int:
    found = int(types.max()) + 1 if len(types) else 1
    if settings.num_species is None:
        if found > MAX_SPECIES:
            raise InputError(f"types holds {found - 1}; species are counted 0, 1, ... up to {MAX_SPECIES - 1}")
        return found
    if found > settings.num_species:
        k = int(types.argmax())
        raise InputError(
            f"types[{k}] = {found - 1}, but the settings of descriptors have num_species = {settings.num_species}"
        )
    return settings.num_species


def _inherent(inherent: Any, energy: Any, shape: tuple[int, ...]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(N, D) positions of the inherent structure and (N,) energies, each or None."""
    positions = getattr(inherent, "positions", inherent)
    if energy is None:
        energy = getattr(inherent, "energy", None)
    if energy is not None:
        energy = as_array("energy", energy, np.float64)
        if energy.shape != shape[:1]:
            raise InputError(f"energy has shape {energy.shape}; positions need {shape[:1]}")
        check_finite("energy", energy)
    if positions is None:
        return None, energy
    positions = check_positions(positions, "inherent")
    if positions.shape != shape:
        raise InputError(f"inherent has shape {positions.shape}; positions have {shape}")
    return positions, energy


def _scalars(scalars: Mapping[str, Array] | None, number: int) -> dict[str, np.ndarray]:
    """name -> (N,) float64."""
    found = {}
    for name, values in (scalars or {}).items():
        array = as_array(f"scalars[{name!r}]", values, np.float64)
        if array.shape != (number,):
            raise InputError(f"scalars[{name!r}] has shape {array.shape}; positions need ({number},)")
        check_finite(f"scalars[{name!r}]", array)
        found[str(name)] = array
    return found
