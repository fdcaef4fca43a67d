"""Predictions as objects of other packages: Atoms of ASE, DataCollection and session of OVITO.

Neither package is needed to import this module.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import FilePath, atomic_write
from ..quantities import FIRST_SHELL
from .colors import scale_of_bonds, scale_of_particles
from .columns import bonds_of, cell_of, names_of, particle_columns, places_of, radii_of
from .prediction import ConfigurationPrediction, FramePrediction

__all__ = ["to_ase", "to_ovito", "write_ovito"]

# With spheres of their full size, which touch, nothing of a bond can be seen: drawn are balls and sticks.
BOND_WIDTH = 0.15  # in sigma_AA
PARTICLE_SCALING = 0.4


def to_ase(
    prediction: ConfigurationPrediction, *, symbols: Sequence[str] | None = None, bonds: float = FIRST_SHELL
) -> Any:
    """`ConfigurationPrediction.to_ase`, which describes it."""
    try:
        from ase import Atoms
    except ImportError:
        raise InputError('to_ase() needs ASE: pip install "botan_fast[ase]"') from None
    p = prediction
    names = names_of(p)
    symbols = ["X"] * len(names) if symbols is None else list(symbols)
    if len(symbols) < len(names):
        raise InputError(f"symbols has {len(symbols)} names for {len(names)} species; give one for each")
    pairs = bonds_of(p, bonds)
    info: dict[str, Any] = {"name": p.name, "units": "lj"}
    if isinstance(p, FramePrediction):
        known = {"frame": p.frame, "time": p.time, "step": p.step}
        info |= {key: value for key, value in known.items() if value is not None}
    if p.times is not None:
        info["times"] = np.array(p.times)
    if len(pairs.pairs):
        info |= {"pairs": pairs.pairs, **pairs.columns}
    flat = p.positions.shape[1] == 2
    try:
        atoms = Atoms(
            [symbols[k] for k in p.types],
            positions=places_of(p),
            cell=cell_of(p),
            pbc=[True, True, not flat],
            info=info,
        )
    except KeyError as error:
        raise InputError(f"symbols holds {error}, which is no chemical symbol; X is one for any species") from None
    for name, values in {"type": p.types, **particle_columns(p)}.items():
        atoms.set_array(name, values)
    return atoms


def to_ovito(prediction: ConfigurationPrediction, *, color: str | None = None, bonds: float = FIRST_SHELL) -> Any:
    """`ConfigurationPrediction.to_ovito`, which describes it."""
    try:
        from ovito.data import DataCollection
    except ImportError:
        raise InputError('to_ovito() needs OVITO: pip install "botan_fast[ovito]"') from None
    p = prediction
    cell, places, flat = cell_of(p), places_of(p), p.positions.shape[1] == 2
    scale, pairs, columns = scale_of_particles(p, color), bonds_of(p, bonds), particle_columns(p)
    data = DataCollection()
    box = data.create_cell(np.column_stack([cell.T, np.zeros(3)]), pbc=(True, True, not flat))
    box.is2D = flat
    particles = data.create_particles(count=len(places))
    particles.create_property("Position", data=places)
    particles.create_property("Particle Identifier", data=np.arange(1, len(places) + 1))
    kinds = particles.create_property("Particle Type", data=p.types + 1)
    for number, name in enumerate(names_of(p), start=1):
        kinds.add_type_id(number, particles, name=name)
    particles.create_property("Radius", data=radii_of(p))
    for name, values in columns.items():
        particles.create_property(name, data=values)
    if scale is not None:
        particles.create_property("Color", data=scale.colors(columns[scale.column]))
        words = {"ColorBy": scale.column, "ColorLow": scale.low, "ColorHigh": scale.high, "ColorMap": scale.colormap}
        data.attributes.update(words)
    if len(pairs.pairs):
        particles.vis.scaling = PARTICLE_SCALING
        both = particles.create_bonds(count=len(pairs.pairs), vis_params={"width": BOND_WIDTH})
        both.create_property("Topology", data=pairs.pairs)
        # A bond is shorter than the cutoff, and so than half of each height of the cell: rounding finds its image.
        way = (places[pairs.pairs[:, 1]] - places[pairs.pairs[:, 0]]) @ np.linalg.inv(cell)
        both.create_property("Periodic Image", data=-np.rint(way).astype(np.int64))
        for name, values in pairs.columns.items():
            both.create_property(name, data=values)
        shown = scale_of_bonds(pairs, scale, p.quantity)
        if shown is not None:
            both.create_property("Color", data=shown.colors(pairs.columns[shown.column]))
    if isinstance(p, FramePrediction):
        known = {"Frame": p.frame, "Time": p.time, "Timestep": p.step}
        data.attributes.update({key: value for key, value in known.items() if value is not None})
    data.attributes["Name"] = p.name
    return data


def write_ovito(
    prediction: ConfigurationPrediction, path: FilePath, *, color: str | None = None, bonds: float = FIRST_SHELL
) -> None:
    """Write an OVITO session, which shows particles and bonds with their colours as soon as it is opened.

    It is the only file of OVITO that holds colours of bonds: readers of other formats colour bonds by their particles.
    What is in it, and the parameters: `to_ovito`. What your own program has in OVITO's scene stays there and is not
    written. The file is written completely or not at all.

    Raises
    ------
    InputError
        as `to_ovito`; without OVITO (extra `ovito`).

    Examples
    --------
    With a `prediction` of `botan_fast.predict`, where OVITO is installed::

        write_ovito(prediction, "conf.ovito")
    """
    data = to_ovito(prediction, color=color, bonds=bonds)
    import ovito
    from ovito.pipeline import Pipeline, StaticSource

    kept = list(ovito.scene.pipelines)
    for pipeline in kept:
        pipeline.remove_from_scene()
    own = Pipeline(source=StaticSource(data=data))
    try:
        own.add_to_scene()
        with atomic_write(path) as temporary:
            ovito.scene.save(str(temporary))
    finally:
        own.remove_from_scene()
        for pipeline in kept:
            pipeline.add_to_scene()
