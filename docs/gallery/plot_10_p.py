"""
Fig. 10: weight of the node loss
================================

Scores of networks that differ in p, the weight of particles in the loss, and in their seeds. The networks are of a few
seconds: what they say of p means nothing.
"""

import botan_fast as bf
from botan_fast import figures
from results import split

train, test = split(4.0)
rows = []
for p in (0.2, 0.4, 0.8):
    for seed in (0, 1):
        result = bf.train(
            train,
            test,
            p=p,
            epochs=6,
            hidden_size=16,
            num_steps=2,
            cutoff=1.5,
            learning_rate=3e-3,
            seed=seed,
            evaluate_every=6,
            progress=False,
        )
        rows.append({"p": p, "seed": seed, **result.history[-1]})
figure = figures.pearson_against_p(rows, score="edge_pearson").figure
