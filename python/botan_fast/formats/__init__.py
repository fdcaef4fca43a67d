"""Files of others as NumPy arrays: one module for each format, chosen by a file's content, never by its name.

reading        read, iterate, iterate_groups: a file, or the files of a pattern, as `Configuration`s
configuration  `Configuration`, what every reader returns
pattern        the files that a name with placeholders, or a layout.toml, describes
ensembles      those files as configurations with all their runs
registry       which reader reads a file
frames         from frames of a trajectory to configurations
periodic       coordinates and boxes
sizes          how large the arrays of a file may become
text, hdf5, npz, pickle_arrays      what several readers need; pickles are read without executing them
plain, pyg_botan, glassy_dynamics, glassbench, lammps, extended_xyz, h5md, hoomd_gsd     the formats
"""

from .configuration import Configuration
from .reading import READERS, is_layout, is_pattern, iterate, iterate_groups, near_matches, read

__all__ = ["READERS", "Configuration", "is_layout", "is_pattern", "iterate", "iterate_groups", "near_matches", "read"]
