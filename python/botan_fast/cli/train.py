"""botan-fast train: a model from configurations with trajectories."""

import argparse
import shlex

from .options import (
    DATA_HELP,
    DATA_OPTIONS,
    RUN_OPTIONS,
    add_options,
    data_options,
    data_options_text,
    in_order,
    set_threads,
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
    add("--p", type=float, default=0.4, help="weight of the node loss; 0 trains edges only, 1 nodes only")
    add("--epochs", type=int, default=1000, help="total number of epochs")
    add("--seed", type=int, default=0, help="decides initial weights, order and rotations")
    add("--augmentation", default="octahedral", help="random rotations: octahedral, o3 or none")
    add("--learning-rate", type=float, default=1e-4, help="step size of Adam")
    add("--schedule", default="constant", help="of the step size: constant, or cosine (a rise, then a fall to zero)")
    add("--clip-norm", type=float, default=1.0, help="largest norm of the gradient")
    add("--batch-size", type=int, help="graphs in a batch (default: 1; 5 for p = 1)")
    add("--evaluate-every", type=int, default=5, metavar="K", help="compute the scores every K epochs")
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
    add_options(parser, *DATA_OPTIONS, *RUN_OPTIONS)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..training.loop import train

    options = vars(arguments) | data_options(arguments)
    set_threads(options.pop("threads"))
    train_files, test_files = options.pop("train"), options.pop("test")
    quiet = options.pop("quiet")
    result = train(in_order(train_files), test_files and in_order(test_files), progress=not quiet, **options)
    last = result.history[-1]
    scores = "".join(
        f", {label} {last[name]:.4f}"
        for label, name in (("node Pearson", "node_pearson"), ("edge Pearson", "edge_pearson"))
        if last[name] is not None
    )
    print(f"{len(result.history)} epochs, train loss {last['train_loss']:.5f}{scores}")
    assert result.output is not None  # --output is required
    best = ", best.safetensors" if (result.output / "best.safetensors").exists() else ""
    print(f"model and history: {result.output} (last.safetensors{best}, history.csv)")
    data = shlex.join(test_files or train_files) + data_options_text(arguments)
    print(f"next: botan-fast predict --model {shlex.quote(str(result.output))} --data {data} -o predictions")
    return 0


def interrupted(arguments: argparse.Namespace, argv: list[str]) -> str:
    """The command that continues the run."""
    again = argv if arguments.resume else [*argv, "--resume"]
    return f"; continue with: botan-fast {shlex.join(again)}"
