"""Trajectories become targets and correlations.

targets       isoconfigurational_targets, local_displacement_field: S, E, R, C, D, G, L
targets_cuda  S and E on CUDA, runs streamed to the device
correlations  F_s, tau_alpha, overlap, chi_4, bond breaking
kob_andersen  the mixture of Kob and Andersen
"""
