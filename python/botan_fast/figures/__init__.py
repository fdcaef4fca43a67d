"""Results become figures, drawn from arrays and predictions.

propensity  a slice of the system, coloured by propensity
"""
