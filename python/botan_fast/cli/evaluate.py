"""botan-fast evaluate"""

import json
import math

from .options import DATA_HELP, _add_common, _box, _device, _in_order, _set_threads
from .parser import _add_command, _Parser


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


def _json_number(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table_number(value) -> str:
    return "-" if value is None else f"{value:.5f}"
