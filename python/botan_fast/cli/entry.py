"""The botan-fast command. Imports that take time are inside the functions that need them: --help answers at once."""

import argparse
import difflib
import json
import math
import re
import shlex
import sys
from pathlib import Path

from .. import __version__
from ..errors import BotanFastError, InputError

__all__ = ["main"]

DATA_HELP = "data sets, other files, or quoted glob patterns such as 'data/*.npz'"


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        0: done. 2: wrong arguments or bad input, after one line on standard error. 130: interrupted by Ctrl-C.

    Examples
    --------
    >>> from botan_fast.cli import main
    >>> main(["evaluate", "--model", "missing.safetensors", "--data", "missing.npz"])
    2
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        arguments = _parse(argv)
    except SystemExit as stop:  # --help and --version
        return int(stop.code or 0)
    except _UsageError as error:
        return _fail(error)
    try:
        return arguments.run(arguments)
    except BotanFastError as error:
        if arguments.debug:
            raise
        return _fail(error)
    except OSError as error:
        if arguments.debug:
            raise
        return _fail(f"{error.filename or 'system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("botan-fast: interrupted", file=sys.stderr)
        if arguments.command == "train":
            again = argv if arguments.resume else [*argv, "--resume"]
            print(f"continue with: botan-fast {shlex.join(again)}", file=sys.stderr)
        return 130


def _fail(message) -> int:
    # One line, whatever a message quotes from elsewhere.
    print(f"botan-fast: error: {' '.join(str(message).split())}", file=sys.stderr)
    return 2


# ---- the commands -----------------------------------------------------------------------------------------------


def _train(arguments) -> int:
    from ..training.loop import train

    _set_threads(arguments)
    # Every argument of the command is one of train(), apart from these.
    own = {"command", "run", "debug", "train", "test", "box", "threads", "quiet"}
    options = {name: value for name, value in vars(arguments).items() if name not in own}
    result = train(
        _in_order(arguments.train),
        arguments.test and _in_order(arguments.test),
        box=_box(arguments),
        progress=not arguments.quiet,
        **options,
    )
    last = result.history[-1]
    scores = ", ".join(
        f"{label} {last[name]:.4f}"
        for label, name in (("node Pearson", "node_pearson"), ("edge Pearson", "edge_pearson"))
        if last[name] is not None
    )
    print(f"{len(result.history)} epochs, train loss {last['train_loss']:.5f}{', ' if scores else ''}{scores}")
    best = ", best.safetensors" if (result.output / "best.safetensors").exists() else ""
    print(f"model and history: {result.output} (last.safetensors{best}, history.csv)")
    data = shlex.join(arguments.test or arguments.train)
    print(f"next: botan-fast predict --model {shlex.quote(str(result.output))} --data {data} -o predictions")
    return 0


def _evaluate(arguments) -> int:
    from ..evaluation.scores import evaluate
    from ..model.checkpoint import load_model

    _set_threads(arguments)
    model = load_model(arguments.model)
    scores = evaluate(
        model,
        _in_order(arguments.data),
        box=_box(arguments),
        density=arguments.density,
        temperature=arguments.temperature,
        time=arguments.time,
        device=_device(arguments),
        precision=arguments.precision,
        progress=not (arguments.quiet or arguments.json),
    )
    if arguments.json:
        print(json.dumps({name: _json_number(value) for name, value in scores.items()}))
        return 0
    print(f"{'':42}{'mean over':>16}{'pooled':>10}")
    print(f"{'':42}{'configurations':>16}")
    for label, name, pooled in (
        ("node Pearson (type A)", "node_pearson", "node_pearson_pooled"),
        ("edge Pearson (A-A pairs, r_ij(0) < 1.35)", "edge_pearson", "edge_pearson_pooled"),
        ("node loss (mean squared error)", "node_loss", None),
        ("edge loss (mean squared error)", "edge_loss", None),
    ):
        second = "" if pooled is None else _table_number(scores[pooled])
        print(f"{label:42}{_table_number(scores[name]):>16}{second:>10}".rstrip())
    print(f"{scores['num_configurations']} configurations")
    return 0


def _predict(arguments) -> int:
    from ..data.loading import load_samples
    from ..evaluation.scores import predict
    from ..evaluation.writing import write_npz, write_xyz
    from ..model.checkpoint import load_model

    _set_threads(arguments)
    output = Path(arguments.output)
    writers = {".npz": write_npz, ".xyz": write_xyz, ".extxyz": write_xyz}
    single = writers.get(output.suffix) if not output.is_dir() else None
    if single is None and output.exists() and not output.is_dir():
        raise InputError(f"OUT = '{output}' is a file; name a folder, or a file that ends in .npz, .xyz or .extxyz")
    model = load_model(arguments.model)
    samples = load_samples(
        _in_order(arguments.data),
        cutoff=model.config["cutoff"],
        self_edges=model.config["self_edges"],
        box=_box(arguments),
        density=arguments.density,
        temperature=arguments.temperature,
        time=arguments.time,
        require_targets=False,
        progress=not arguments.quiet,
    )
    predictions = predict(
        model, samples, device=_device(arguments), precision=arguments.precision, progress=not arguments.quiet
    )
    # Everything that can be wrong is found before the first file is written.
    if single is not None:
        if len(samples) > 1:
            raise InputError(f"OUT = '{output}' is one file, for {len(samples)} configurations; name a folder")
        targets = [[(output, single)]]
    else:
        endings = (".npz", ".xyz")
        targets = [[(output / f"{sample.name}{end}", writers[end]) for end in endings] for sample in samples]
    paths = [path for group in targets for path, _ in group]
    if len(set(paths)) < len(paths):
        twice = next(sample.name for sample in samples if sum(s.name == sample.name for s in samples) > 1)
        raise InputError(f"two configurations are named {twice}; predict them into separate folders")
    if not arguments.force and any(path.exists() for path in paths):
        first = next(path for path in paths if path.exists())
        raise InputError(f"'{first}' exists; choose another OUT, or overwrite with --force")
    if single is None:
        output.mkdir(parents=True, exist_ok=True)
    for prediction, group in zip(predictions, targets, strict=True):
        for path, write in group:
            write(prediction, path)
    more = f" and {len(paths) - 1} more file{'s' if len(paths) > 2 else ''}" if len(paths) > 1 else ""
    print(f"wrote {paths[0]}{more}")
    return 0


def _info(arguments) -> int:
    from ..info import build_info

    info = build_info()
    if arguments.json:
        print(json.dumps(info))
    else:
        for name, value in info.items():
            print(f"{name:20}{value}")
    return 0


# ---- arguments --------------------------------------------------------------------------------------------------


class _UsageError(Exception):
    """A mistake in the arguments."""


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Names a default where there is one: not for switches, nor where the text itself says what is used."""

    def _get_help_string(self, action):
        return action.help if action.default in (None, False) else super()._get_help_string(action)


class _Parser(argparse.ArgumentParser):
    """argparse with one-line errors and suggestions."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, formatter_class=_HelpFormatter, **options)

    def error(self, message):
        chosen = re.search(r"invalid choice: '(.+?)' \(choose from (.+)\)", message)
        if chosen:
            message += _did_you_mean(chosen[1], re.findall(r"[\w-]+", chosen[2]))
        raise _UsageError(f"{message} (see {self.prog} --help)")

    def check_options(self, argv: list[str]) -> None:
        """Name an unknown option before argparse reports what is missing because of it."""
        known = [option for action in self._actions for option in action.option_strings]
        for argument in argv:
            option = argument.split("=")[0]
            if option.startswith("--") and option != "--" and option not in known:
                self.error(f"unknown option {option}{_did_you_mean(option, known)}")


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="botan-fast", description="Train and use BOTAN, the graph neural network for glassy dynamics."
    )
    parser.add_argument("--version", action="version", version=f"botan-fast {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    known = {
        "train": _add_train(commands),
        "evaluate": _add_evaluate(commands),
        "predict": _add_predict(commands),
        "convert": _add_convert(commands),
        "simulate": _add_simulate(commands),
        "demo": _add_demo(commands),
        "bench": _add_bench(commands),
        "info": _add_info(commands),
    }
    if argv and argv[0] in known:
        known[argv[0]].check_options(argv[1:])
    return parser.parse_args(argv)


def _add_command(commands, name: str, run, description: str) -> _Parser:
    parser = commands.add_parser(name, help=description, description=description)
    parser.set_defaults(run=run)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _add_train(commands) -> _Parser:
    parser = _add_command(commands, "train", _train, "Train a model on configurations with trajectories.")
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
    add("--precision", default="fp32", help="matrix products: fp32; bf16 or tf32 for speed")
    add(
        "--save-memory",
        action="store_true",
        help="less memory for more time, the same results",
    )
    add("--hidden-size", type=int, help="feature width (default: 64, or that of --init)")
    add("--num-steps", type=int, help="message passing steps (default: 7, or that of --init)")
    add("--node-target", help="node target: S propensity, R, D, G or L (default: S, or that of --init)")
    add("--decoders", help="separate, shared or node (default: separate, node for p = 1, or that of --init)")
    add("--edge-node-skip", action="store_true", default=None, help="feed the encoded nodes to the edges in every step")
    add("--self-edges", action="store_true", default=None, help="give every particle an edge to itself")
    add("--cutoff", type=float, help="largest pair distance of an edge (default: 2, or that of --init)")
    _add_common(parser)
    return parser


def _add_evaluate(commands) -> _Parser:
    parser = _add_command(
        commands, "evaluate", _evaluate, "Print the scores of a model on configurations with trajectories."
    )
    parser.add_argument(
        "--model", required=True, help="model file, run folder, the authors' .pth, or TensorFlow checkpoint"
    )
    parser.add_argument("--data", nargs="+", required=True, metavar="DATA", help=DATA_HELP)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--precision", default="fp32", help="matrix products: fp32, bf16 or tf32")
    _add_common(parser)
    return parser


def _add_predict(commands) -> _Parser:
    parser = _add_command(commands, "predict", _predict, "Predict propensities and pair-distance changes.")
    add = parser.add_argument
    add("--model", required=True, help="model file, run folder, the authors' .pth, or TensorFlow checkpoint")
    add("--data", nargs="+", required=True, metavar="DATA", help=DATA_HELP)
    add(
        "--output",
        "-o",
        required=True,
        metavar="OUT",
        help="folder, which gets an npz and an extended XYZ file for each configuration; "
        "or, for one configuration, a file that ends in .npz, .xyz or .extxyz",
    )
    add("--force", action="store_true", help="overwrite files")
    add("--precision", default="fp32", help="matrix products: fp32, bf16 or tf32")
    _add_common(parser)
    return parser


def _add_simulate(commands) -> _Parser:
    from . import simulate

    parser = _add_command(commands, "simulate", simulate.run, simulate.DESCRIPTION)
    simulate.add_arguments(parser)
    return parser


def _add_convert(commands) -> _Parser:
    from . import convert

    parser = _add_command(commands, "convert", convert.run, convert.DESCRIPTION)
    convert.add_arguments(parser)
    return parser


def _add_demo(commands) -> _Parser:
    from . import demo_command

    parser = _add_command(commands, "demo", demo_command.run, demo_command.DESCRIPTION)
    demo_command.add_arguments(parser)
    return parser


def _add_bench(commands) -> _Parser:
    from . import bench

    def run(arguments) -> int:
        _set_threads(arguments)
        return bench.run(arguments)

    parser = _add_command(commands, "bench", run, bench.DESCRIPTION)
    bench.add_arguments(parser)
    return parser


def _add_info(commands) -> _Parser:
    parser = _add_command(commands, "info", _info, "Print versions, instruction set, threads and devices.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_common(parser: _Parser) -> None:
    add = parser.add_argument
    add("--box", type=float, nargs="+", metavar="L", help="edge of the periodic box, or one number for each axis")
    add("--density", type=float, help="number density of a cubic box (default: the file's box; authors' npz: 1.2)")
    add("--temperature", type=float, nargs="+", metavar="T", help="which of the data's temperatures to take")
    add("--time", type=float, nargs="+", metavar="T", help="which of the data's times to take")
    add("--device", help="cpu, cuda, ... (default: cuda where torch finds it)")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)")
    add("--quiet", action="store_true", help="no progress on standard error")


def _in_order(data: list[str]) -> list[str]:
    """Files in natural order, whether the shell expanded a pattern (1, 10, 2) or botan_fast does."""
    from ..data.loading import natural_key

    return sorted(data, key=natural_key)


def _box(arguments):
    if arguments.box is None:
        return None
    return arguments.box[0] if len(arguments.box) == 1 else arguments.box


def _device(arguments):
    from ..evaluation.scores import choose_device

    return choose_device(arguments.device)


def _set_threads(arguments) -> None:
    if arguments.threads is None:
        return
    if arguments.threads < 1:
        raise InputError(f"--threads = {arguments.threads}; give a whole number of at least 1")
    import torch

    torch.set_num_threads(arguments.threads)


def _json_number(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table_number(value) -> str:
    return "-" if value is None else f"{value:.5f}"
