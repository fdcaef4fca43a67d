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
writing      predictions as npz and extended XYZ, trajectories of them
options      the options of evaluate and predict
"""
