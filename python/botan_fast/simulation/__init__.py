"""Nothing becomes a data set: molecular dynamics by LAMMPS.

ensemble     simulate: quench, equilibrate, runs from each configuration
result       SimulationResult: the physics checks, tau_alpha
cost         what it will take, and the bar
protocol     the numbers that decide a simulation
start        positions on a lattice, velocities of a temperature
lammps       LAMMPS, as few calls
work_folder  what is kept on disk to continue after a kill
options      the options of simulate
"""
