"""
Actual against predicted values
===============================

The density of points, the identity, and the line of regression. A slope of 1 is that of a calibrated model, whatever it
does not know.
"""

from botan_fast import figures
from results import held_out

found = held_out(16.5)
figure = figures.actual_against_predicted(
    found.actual, found.predicted, temperature=0.64, time=16.5, number=1000
).figure
