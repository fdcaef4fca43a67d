"""Files of others as NumPy arrays: one module for each format, chosen by a file's content, never by its name.

reading        read, iterate, iterate_groups: a file, or the files of a pattern, as `Configuration`s
configuration  `Configuration`, what every reader returns
pattern        the files that a name with placeholders, or a layout.toml, describes
ensembles      those files as configurations with all their runs
registry       which reader reads a file
boundary       which faces of an H5MD box are periodic
groups         particles that a file keeps in several groups
frames         from frames of a trajectory to configurations
trajectory     frames by themselves, each a configuration without a future
objects        Atoms of ASE, Universe of MDAnalysis, DataCollection of OVITO
species        which name is type 0, which is type 1
periodic       coordinates and boxes
sizes          how large the arrays of a file may become
text, hdf5, npz, pickle_arrays      what several readers need; pickles are read without executing them
plain, pyg_botan, glassy_dynamics, glassbench, lammps, lammps_data, extended_xyz, plain_xyz, h5md, hoomd_gsd     the
formats
"""

from .configuration import Configuration
from .pyg_botan import name_without_tag
from .reading import (
    READERS,
    holds_frames,
    is_layout,
    is_pattern,
    iterate,
    iterate_groups,
    near_matches,
    read,
    read_trajectory,
    stated,
)

__all__ = [
    "READERS",
    "Configuration",
    "holds_frames",
    "is_layout",
    "is_pattern",
    "iterate",
    "iterate_groups",
    "name_without_tag",
    "near_matches",
    "read",
    "read_trajectory",
    "stated",
]
