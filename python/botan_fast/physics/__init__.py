"""Trajectories become targets and correlations.

targets       isoconfigurational_targets, local_displacement_field: S, E, R, C, D, G, L
field         interpolate_field, field_in_slice: values of particles between them
targets_cuda  S and E on CUDA, runs streamed to the device
correlations  F_s, overlap, chi_4, bond breaking
relaxation    relaxation_time: 1/e, and tau_alpha by the paper's two-step fit
potential     LennardJones: the potential of a mixture
inherent      inherent_structure, potential_energy: the minimum downhill
cage          cage: mean positions of a dynamics that springs confine
mechanics     local_mechanics: virial, stiffness, softness of each site
descriptors   radial densities, bond order, energy, displacement and their means, invariant under rotations
descriptor_settings  which of them, as plain data
kob_andersen  the mixture of Kob and Andersen
"""
