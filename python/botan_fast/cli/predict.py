"""botan-fast predict"""

from pathlib import Path

from ..errors import InputError
from .options import DATA_HELP, _add_common, _box, _device, _in_order, _set_threads
from .parser import _add_command, _Parser


def _predict(arguments) -> int:
    from ..data.loading import load_samples
    from ..evaluation.prediction import predict
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
