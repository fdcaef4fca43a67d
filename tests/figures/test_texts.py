"""No text of a figure runs into another, or off the paper: with the longest that they say."""

import numpy as np
import pytest

import botan_fast as bf
from botan_fast import figures
from tests.helpers.pictures import misplaced, texts

TOLD = {"temperature": 0.435, "time": 41200.5}
MANY = 1_048_576
LONG = "type A, 100 configurations"


def particles():
    rng = np.random.default_rng(0)
    number, box = 600, np.full(3, 15.0)
    pairs = rng.integers(0, number, (2, 400))
    return rng.random((number, 3)) * box, np.arange(number) % 5 // 4, box, rng.random((2, number)), pairs


def rows():
    common = {"temperature": 0.44, "time": 4120, "command": "train", "num_train": 400}
    return [
        {**common, "seed": seed, "p": p, "num_steps": 7, "node_target": letter, "time": t, "node_pearson": seed / 9}
        for seed in range(3) for p in (0.4, 1) for letter in "SRD" for t in (0.13, 13.0, 4120.0)
    ]  # fmt: skip


def compared():
    positions, types, box, (actual, predicted), _ = particles()
    arrows = (positions[:50, :2], np.ones((50, 2)))
    return figures.propensity_compared(
        positions, types, box, actual, predicted, slab=(11.1, 11.9), field=arrows, model="linear baseline", **TOLD
    )


def one_map():
    positions, types, box, (actual, _), _ = particles()
    arrows = (positions[:50, :2], np.ones((50, 2)))
    return figures.propensity_map(positions, types, box, actual, slab=(11.1, 11.9), field=arrows, title=LONG, **TOLD)


def bonds(draw, *values):
    positions, types, box, _, pairs = particles()
    return draw(positions, types, box, pairs, *values, slab=(5.5, 8.5), **TOLD)


def relaxation():
    fit = bf.TwoStepFit(16.5, 0.4, plateau=0.75, tau_s=0.2, short_exponent=2.0, exponent=0.7, residual=0.002)
    t, ax = np.logspace(-1.5, 2.5, 30), None
    for temperature in (0.44, 0.5, 0.64):
        ax = figures.scattering(t, fit.at(t), fit=fit, temperature=temperature, number=MANY, ax=ax)
    return ax


def history():
    return [{"epoch": k, "train_loss": 1 / (k + 1), "test_loss": 2 / (k + 1), "node_pearson": k / 9} for k in range(9)]


VALUES = np.random.default_rng(1).normal(size=(2, 400))
DRAWN = {
    "propensity_compared": compared,
    "propensity_map": one_map,
    "bonds": lambda: bonds(figures.bonds, VALUES[0]),
    "bonds_compared": lambda: bonds(figures.bonds_compared, *VALUES),
    "pair_change_map": lambda: figures.pair_change_map(1 + np.abs(VALUES[0]), VALUES[1], number=MANY, **TOLD),
    "pair_change_compared": lambda: figures.pair_change_compared(
        1 + np.abs(VALUES[0]), *VALUES, number=MANY, title="A-A, 100 configurations", **TOLD
    ),
    "actual_against_predicted": lambda: figures.actual_against_predicted(*VALUES, title=LONG, number=MANY, **TOLD),
    "scattering": relaxation,
    "losses": lambda: figures.losses(history(), title="$T = 0.44$, $t = 4120$, 400 training configurations"),
    "training_curves": lambda: figures.training_curves(history(), title="$T = 0.44$, $t = 4120$, 400 configurations"),
    "pearson_against_time": lambda: figures.pearson_against_time(rows(), series="model"),
    "pearson_against_p": lambda: figures.pearson_against_p(rows(), score="node_pearson"),
    "pearson_of_targets": lambda: figures.pearson_of_targets(rows()),
    "learning_curve": lambda: figures.learning_curve([{**row, "num_train": row["time"]} for row in rows()]),
    "transfer_matrix": lambda: figures.transfer_matrix(
        np.eye(10), range(10), [f"0.44, {t}" for t in range(10)], number=MANY, title="a model of ten times", **TOLD
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_texts_keep_clear_of_each_other(name):
    drawn = DRAWN[name]()
    out, over = misplaced((drawn[0] if isinstance(drawn, tuple) else drawn).figure)
    assert not out
    assert not over


def test_it_would_be_seen():
    ax = figures.losses(history(), title="far too long " * 9)
    ax.text(0.5, 0.5, "one", transform=ax.transAxes)
    ax.text(0.5, 0.5, "other", transform=ax.transAxes)
    assert ("one", "other") in misplaced(ax.figure)[1]
    assert any(text.startswith("far") for text in misplaced(ax.figure)[0])
    assert len(texts(ax.figure)) >= 5
