"""botan-fast train: a model from configurations with trajectories."""

import argparse
import shlex
from typing import Any

from ..errors import InputError
from ..processes import rank_here
from .options import (
    DATA_HELP,
    DATA_OPTIONS,
    RUN_OPTIONS,
    STRUCTURE_OPTIONS,
    add_options,
    data_options,
    data_options_text,
    in_order,
    set_threads,
    structure_options,
)

__all__ = ["DESCRIPTION", "NAME", "add_arguments", "interrupted", "run"]

NAME = "train"
DESCRIPTION = "Train a model on configurations with trajectories."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command: every one is an argument of `train`, with its default, apart from threads."""
    add = parser.add_argument
    add("--train", nargs="+", required=True, metavar="DATA", help=f"training configurations: {DATA_HELP}")
    add("--test", nargs="+", metavar="DATA", help="test configurations, for the scores")
    add("--output", "-o", required=True, metavar="DIR", help="folder for the model, the history and the state")
    add("--resume", action="store_true", help="continue the run in DIR; start one where there is none")
    add("--init", metavar="MODEL", help="weights to start from: a model file, a run folder, or the authors' .pth")
    add("--recipe", default="paper", help="defaults of the other options: paper, or structure (few configurations)")
    add("--p", type=float, help="weight of the node loss (paper: 0.4); 0 trains edges only, 1 nodes only")
    add("--epochs", type=int, help="total number of epochs (paper: 1000)")
    add("--seed", type=int, default=0, help="decides initial weights, order and rotations")
    add("--augmentation", help="random rotations: octahedral (paper), o3 or none")
    add("--learning-rate", type=float, help="step size of Adam (paper: 1e-4)")
    add("--schedule", help="of the step size: constant (paper), or cosine (a rise, then a fall to zero)")
    add("--clip-norm", type=float, help="largest norm of the gradient (paper: 1)")
    add("--batch-size", type=int, help="graphs in a batch (paper: 1; 5 for p = 1)")
    add("--ema", type=float, metavar="DECAY", help="moving average of the weights, such as 0.99 (paper: 0, none)")
    add("--weight-decay", type=float, metavar="W", help="decoupled weight decay (paper: 0)")
    add("--input-noise", type=float, metavar="STD", help="noise on scaled node inputs, in their widths (paper: 0)")
    add("--validation", type=_number, metavar="N", help="training configurations, or a fraction, held back (paper: 0)")
    add("--patience", type=int, metavar="K", help="stop after K epochs without a lower loss, keep the best (paper: 0)")
    add("--species-weights", nargs="+", metavar="W", help="node loss: particles (paper), equal, or one weight for each")
    add("--target-scaling", action=argparse.BooleanOptionalAction, help="scale targets by species (paper: no)")
    add("--evaluate-every", type=int, metavar="K", help="compute the scores every K epochs (paper: 5)")
    add("--checkpoint-every", type=int, default=1, metavar="K", help="save the run every K epochs")
    add_options(parser, "--precision")
    add("--save-memory", action="store_true", help="less memory for more time, the same results")
    add("--hidden-size", type=int, help="feature width (default: 64, or that of --init)")
    add("--num-steps", type=int, help="message passing steps (default: 7, or that of --init)")
    add("--node-target", help="node target: S propensity, R, C, D, G or L (default: S, or that of --init)")
    add("--decoders", help="separate, shared or node (default: separate, node for p = 1, or that of --init)")
    add("--edge-node-skip", action="store_true", default=None, help="feed the encoded nodes to the edges in every step")
    add("--self-edges", action="store_true", default=None, help="give every particle an edge to itself")
    add("--cutoff", type=float, help="largest pair distance of an edge (default: 2, or that of --init)")
    add_options(parser, "--node-inputs", help="type (paper), species, descriptors, energy, displacement, force, ...")
    add_options(parser, "--edge-inputs", help="vector (paper), radial, inherent")
    add("--radial", nargs=4, type=_number, metavar=("FIRST", "LAST", "NUMBER", "WIDTH"), help="Gaussians of distances")
    add("--num-species", type=int, metavar="S", help="number of species (default: that of the data)")
    add_options(parser, *STRUCTURE_OPTIONS, *DATA_OPTIONS, *RUN_OPTIONS)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..training.loop import train

    options = vars(arguments) | data_options(arguments) | structure_options(arguments)
    set_threads(options.pop("threads"))
    train_files, test_files = options.pop("train"), options.pop("test")
    quiet = options.pop("quiet")
    options["species_weights"] = _weights(options["species_weights"])
    result = train(in_order(train_files), test_files and in_order(test_files), progress=not quiet, **options)
    if rank_here():
        return 0  # process 0 says it
    last = result.history[result.epoch]
    labels = {"node_pearson": "node Pearson", "edge_pearson": "edge Pearson", "validation_loss": "validation loss"}
    scores = "".join(f", {label} {last[name]:.4f}" for name, label in labels.items() if last.get(name) is not None)
    print(f"{len(result.history)} epochs, train loss {last['train_loss']:.5f}{scores}")
    assert result.output is not None  # --output is required
    best = ", best.safetensors" if (result.output / "best.safetensors").exists() else ""
    print(f"model and history: {result.output} (last.safetensors{best}, history.csv)")
    data = shlex.join(test_files or train_files) + data_options_text(arguments)
    print(f"next: botan-fast predict --model {shlex.quote(str(result.output))} --data {data} -o predictions")
    return 0


def _number(text: str) -> int | float:
    """2 is a number of something, 0.2 a fraction."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _weights(words: list[str] | None) -> Any:
    if words is None or (len(words) == 1 and words[0].isalpha()):
        return words and words[0]
    try:
        return [float(word) for word in words]
    except ValueError:
        raise InputError(f"--species-weights {' '.join(words)}: give particles, equal, or numbers") from None


def interrupted(arguments: argparse.Namespace, argv: list[str]) -> str:
    """The command that continues the run."""
    again = argv if arguments.resume else [*argv, "--resume"]
    return f"; continue with: botan-fast {shlex.join(again)}"
