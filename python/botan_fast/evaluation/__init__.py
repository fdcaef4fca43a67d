"""A model and samples become predictions and scores.

forward      which model, which samples; forward passes over them
progress     how far the prediction of a large system is
times        which output is for which time of the data
differences  how data differ from what a model was trained on
prediction   predict, ConfigurationPrediction, FramePrediction
scores       evaluate: Pearson and losses, in both conventions
details      the scores one by one: species, pairs and windows of distance
coefficients  Pearson, Spearman, slope of two arrays
measures     these and the loss of a group, over configurations
intervals    confidence intervals over configurations
ceiling      the largest Pearson that a finite number of runs allows
heterogeneity  chi_4 and the spatial correlation, actual and predicted
seeds        median, best and worst over trainings
rows         scores as tidy rows and CSV
ensembles    what an ensemble gains, and what its spread tells
columns      a prediction as named columns of particles and bonds
colors       from a column to colours
writing      predictions as npz and extended XYZ, trajectories of them
lammps       predictions as LAMMPS data with bonds, and dumps
objects      predictions as Atoms of ASE, DataCollection and session of OVITO
options      the options of evaluate and predict
"""
