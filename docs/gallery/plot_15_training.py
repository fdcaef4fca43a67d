"""
A training
==========

Losses and scores against the epoch, side by side: what `result.plot()` and the report of a run show.
"""

import botan_fast as bf
from botan_fast import figures
from results import split

train, test = split(4.0)
result = bf.train(
    train,
    test,
    epochs=15,
    evaluate_every=3,
    hidden_size=16,
    num_steps=2,
    cutoff=1.5,
    learning_rate=3e-3,
    progress=False,
)
axes = figures.training_curves(result.history, title="8 configurations")
figure = axes[0].figure

# %%
# The scores alone:

figure = figures.score_curves(result.history).figure
