"""
Fig. 9: number of message-passing steps
=======================================

Scores of networks that differ in their number of steps and in their seeds. The networks are of a few seconds: what they
say of steps means nothing.
"""

import botan_fast as bf
from botan_fast import figures
from results import split

train, test = split(4.0)
rows = []
for num_steps in (1, 2, 4):
    for seed in (0, 1):
        result = bf.train(
            train,
            test,
            epochs=6,
            hidden_size=16,
            num_steps=num_steps,
            cutoff=1.5,
            learning_rate=3e-3,
            seed=seed,
            evaluate_every=6,
            progress=False,
        )
        rows.append({"num_steps": num_steps, "seed": seed, **result.history[-1]})
figure = figures.pearson_against_steps(rows, score="edge_pearson").figure
