"""A model and samples become predictions and scores.

forward     forward passes over samples
prediction  predict, ConfigurationPrediction
scores      evaluate: Pearson and losses, in both conventions
writing     predictions as npz and extended XYZ
"""
