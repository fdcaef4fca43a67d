"""The options of `train` and `train_baseline`, for the command line, configuration files, `run.toml` and the docs."""

from dataclasses import replace

from ..data.options import DATA, FORCE, QUIET, READING, STRUCTURE, THREADS
from ..evaluation.options import DEVICE, PRECISION, is_shipped
from ..option import Option

__all__ = ["BASELINE", "TRAIN"]

_TRAIN = replace(DATA, name="train", help=f"training configurations: {DATA.help}")
_TEST = replace(DATA, name="test", help="test configurations, for the scores", required=False)
_NODE_INPUTS = Option(
    "node_inputs",
    "text",
    "type (paper), species, descriptors, energy, displacement, force, ...",
    several=True,
    metavar="NAME",
)
_EDGE_INPUTS = Option("edge_inputs", "text", "vector (paper), radial, inherent", several=True, metavar="NAME")


def _output(text: str) -> Option:
    return Option("output", "path", text, metavar="DIR", required=True, short="-o")


TRAIN = (
    _TRAIN,
    _TEST,
    _output("folder for the model, the history and the state"),
    Option("resume", "switch", "continue the run in DIR; start one where there is none", default=False),
    Option(
        "init",
        "path",
        "weights to start from: a model file, a run folder, or the authors' .pth",
        metavar="MODEL",
        named=is_shipped,
    ),
    Option(
        "recipe",
        "text",
        "defaults of the other options: paper, or structure (few configurations)",
        default="paper",
    ),
    Option("p", "number", "weight of the node loss (paper: 0.4); 0 trains edges only, 1 nodes only"),
    Option("epochs", "integer", "total number of epochs (paper: 1000)"),
    Option("seed", "integer", "decides initial weights, order and rotations", default=0),
    Option("augmentation", "text", "random rotations: octahedral (paper), o3 or none"),
    Option("learning_rate", "number", "step size of Adam (paper: 1e-4)"),
    Option("schedule", "text", "of the step size: constant (paper), or cosine (a rise, then a fall to zero)"),
    Option("clip_norm", "number", "largest norm of the gradient (paper: 1)"),
    Option("batch_size", "integer", "graphs in a batch (paper: 1; 5 for p = 1)"),
    Option("ema", "number", "moving average of the weights, such as 0.99 (paper: 0, none)", metavar="DECAY"),
    Option("weight_decay", "number", "decoupled weight decay (paper: 0)", metavar="W"),
    Option("input_noise", "number", "noise on scaled node inputs, in their widths (paper: 0)", metavar="STD"),
    Option("validation", "count", "training configurations, or a fraction, held back (paper: 0)", metavar="N"),
    Option(
        "patience",
        "integer",
        "stop after K epochs without a lower loss, keep the best (paper: 0)",
        metavar="K",
    ),
    Option(
        "species_weights",
        "weight",
        "node loss: particles (paper), equal, or one weight for each",
        several=True,
        alone=str,
        metavar="W",
    ),
    Option("target_scaling", "switch", "scale targets by species (paper: no)"),
    Option("evaluate_every", "integer", "compute the scores every K epochs (paper: 5)", metavar="K"),
    Option("checkpoint_every", "integer", "save the run every K epochs", default=1, metavar="K"),
    Option(
        "logger",
        "text",
        "where the numbers of each epoch go besides history.csv: tensorboard, wandb",
        several=True,
        metavar="NAME",
    ),
    PRECISION,
    Option("save_memory", "switch", "less memory for more time, the same results", default=False),
    Option("hidden_size", "integer", "feature width (default: 64, or that of --init)"),
    Option("num_steps", "integer", "message passing steps (default: 7, or that of --init)"),
    Option("node_target", "text", "node target: S propensity, R, C, D, G or L (default: S, or that of --init)"),
    Option("decoders", "text", "separate, shared or node (default: separate, node for p = 1, or that of --init)"),
    Option("edge_node_skip", "switch", "feed the encoded nodes to the edges in every step"),
    Option("self_edges", "switch", "give every particle an edge to itself"),
    Option("cutoff", "number", "largest pair distance of an edge (default: 2, or that of --init)"),
    _NODE_INPUTS,
    _EDGE_INPUTS,
    Option(
        "radial",
        "count",
        "Gaussians of distances",
        several=4,
        metavar=("FIRST", "LAST", "NUMBER", "WIDTH"),
    ),
    Option("num_species", "integer", "number of species (default: that of the data)", metavar="S"),
    *STRUCTURE,
    *READING,
    DEVICE,
    THREADS,
    QUIET,
)
"""`botan-fast train`: the arguments of `train`, and threads; quiet is progress=False."""

BASELINE = (
    _TRAIN,
    _TEST,
    _output("folder for the model and its scores"),
    replace(FORCE, help="fit again where DIR holds a baseline"),
    Option("penalty", "number", "of the ridge (default: by leaving configurations out)", metavar="L"),
    Option("edges", "switch", "the propensity alone, no pair changes", default=True),
    replace(_NODE_INPUTS, help="descriptors (default), energy, displacement, ...", default=("descriptors",)),
    replace(_EDGE_INPUTS, help="radial, inherent (default: both)", default=("radial", "inherent")),
    Option("node_target", "text", "node target: S propensity (default), R, C, D, G or L", default="S"),
    Option("cutoff", "number", "largest pair distance of an edge (default: 2)", default=2.0),
    *STRUCTURE,
    *READING,
    THREADS,
    QUIET,
)
"""`botan-fast baseline`: the arguments of `train_baseline`, and threads; quiet is progress=False."""
