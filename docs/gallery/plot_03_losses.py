"""
Fig. 3: losses
==============

Training and test loss against the epoch, from the history of a run. `history.csv` of a run folder has the same columns.
"""

import botan_fast as bf
from botan_fast import figures
from results import split

train, test = split(4.0)
result = bf.train(train, test, epochs=15, hidden_size=16, num_steps=2, cutoff=1.5, learning_rate=3e-3, progress=False)
figure = figures.losses(result.history).figure
