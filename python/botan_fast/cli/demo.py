"""botan-fast demo: from a fresh installation to a trained model, its scores and a figure, in less than a minute."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.options import QUIET
from ..errors import InputError
from ..files import FilePath
from .arguments import add_options

if TYPE_CHECKING:
    from ..model.botan import BOTAN

__all__ = ["DESCRIPTION", "EPOCHS", "NAME", "TIME", "DemoResult", "add_arguments", "demo", "demo_data", "run"]

NAME = "demo"
DESCRIPTION = "Train on the data that come with the package, within a minute, and draw what the model has learned."

TIME = 0.13
EPOCHS = 80
# The demo has a minute and 8 configurations, not hours and 400: a small network that reads structure. At this short
# time the inherent structure says little, and the force on a particle where it is much: without it the node score is
# 0.43 to 0.46, with it 0.71 to 0.72 (benchmarks/results/accuracy/demo.json). Beyond the cutoff little matters.
NODE_INPUTS = ("force", "thermal_energy")
OPTIONS: dict[str, Any] = {
    "recipe": "structure",
    "node_inputs": ("species", *NODE_INPUTS),
    "edge_inputs": ("vector", "radial"),
    "num_steps": 2,
    "p": 0.8,
    "cutoff": 1.5,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add = parser.add_argument
    add("--output", "-o", default="botan-fast-demo", metavar="DIR", help="folder for the run and the figure")
    add("--time", type=float, default=TIME, metavar="T", help="which of the data's times to learn")
    add("--epochs", type=int, default=EPOCHS, metavar="N", help="passes over the training configurations")
    add_options(parser, (QUIET,))


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    if not arguments.quiet:
        print(
            f"botan-fast demo: Kob-Andersen mixture at T = 0.64, learning S_i and E_ij at t = {arguments.time:g}",
            file=sys.stderr,
        )
    result = demo(arguments.output, time=arguments.time, epochs=arguments.epochs, progress=not arguments.quiet)
    print(f"{'held-out configurations':44}{'linear':>10}{'network':>10}")
    for label, name in (
        ("node Pearson (type A)", "node_pearson"),
        ("edge Pearson (A-A pairs, r_ij(0) < 1.35)", "edge_pearson"),
    ):
        print(f"{label:44}{result.baseline[name]:10.3f}{result.scores[name]:10.3f}")
    folder = shlex.quote(str(result.output))
    print(f"model: {folder}/run   predictions: {folder}/predictions   figure: {folder}/propensity.png")
    print("next, with your own data: botan-fast train --train 'train/*.npz' --test 'test/*.npz' --output run")
    print("      or make data:       botan-fast simulate --help")
    return 0


@dataclass
class DemoResult:
    """What `demo` made: scores of a linear baseline and of a network on held-out configurations, and the files.

    baseline, scores    dict as `evaluate` gives it: of the baseline on the same inputs, and of the network
    model               BOTAN after training
    output              folder with run/, predictions/ and propensity.png
    """

    baseline: dict
    scores: dict
    model: BOTAN
    output: Path


def demo_data() -> Path:
    """Path of the data set that comes with the package: a small Kob-Andersen ensemble made by `simulate`.

    >>> import botan_fast as bf
    >>> from botan_fast.cli.demo import demo_data
    >>> len(bf.Dataset(demo_data()).temperatures)
    1
    """
    return Path(str(resources.files("botan_fast") / "data" / "demo.h5"))


def demo(
    output: FilePath = "botan-fast-demo", *, time: float = TIME, epochs: int = EPOCHS, progress: bool = True
) -> DemoResult:
    """Train on the shipped data, score on held-out configurations, save predictions and a figure.

    Parameters
    ----------
    output : path
        Folder for run/, predictions/ and propensity.png. A demo that was interrupted there continues.
    time : float
        Which of the data set's times to learn, in Lennard-Jones units.
    epochs : int
        Passes over the training configurations.
    progress : bool
        Show progress on standard error.

    Returns
    -------
    DemoResult

    Raises
    ------
    InputError
        for a time that the data set does not hold, or an output folder with a run of other settings.

    Examples
    --------
    >>> from botan_fast.cli.demo import demo
    >>> result = demo("demo-output", epochs=1, progress=False)
    >>> (result.output / "propensity.png").exists(), "node_pearson" in result.scores
    (True, True)
    """
    from ..data.dataset import Dataset
    from ..data.loading import load_samples
    from ..evaluation.prediction import predict
    from ..evaluation.scores import evaluate
    from ..evaluation.writing import write_npz, write_xyz
    from ..figures import propensity_compared, save_figure
    from ..model.checkpoint import load_model
    from ..training.baseline import train_baseline
    from ..training.loop import train

    output = Path(output)
    if output.exists() and not output.is_dir():
        raise InputError(f"output = '{output}' is a file; name a folder")
    data = Dataset(demo_data()).select(time=time)
    train_data, test_data = data.train_test_split(test=0.2, seed=0)
    cutoff = OPTIONS["cutoff"]
    train_samples, test_samples = (load_samples(part, cutoff=cutoff) for part in (train_data, test_data))
    output.mkdir(parents=True, exist_ok=True)
    baseline = train_baseline(
        train_samples,
        test_samples,
        node_inputs=NODE_INPUTS,
        edge_inputs=("radial",),
        cutoff=cutoff,
        progress=False,
    )
    result = train(
        train_samples,
        test_samples,
        epochs=epochs,
        output=output / "run",
        resume=True,
        evaluate_every=20,
        progress=progress,
        **OPTIONS,
    )
    model = load_model(output / "run")
    scores = evaluate(model, test_samples)
    folder = output / "predictions"
    folder.mkdir(exist_ok=True)
    predictions = list(predict(model, test_samples))
    for prediction in predictions:
        write_npz(prediction, folder / f"{prediction.name}.npz")
        write_xyz(prediction, folder / f"{prediction.name}.xyz")
    sample, prediction = test_samples[0], predictions[0]
    graph = sample.graph
    assert sample.targets is not None  # the shipped data have them
    figure = propensity_compared(
        sample.positions,
        graph.types,
        graph.box,
        sample.targets.propensity,
        prediction.propensity,
        temperature=sample.temperature,
        time=time,
    )
    save_figure(figure, output / "propensity.png")
    return DemoResult(baseline.scores, scores, result.model, output)
