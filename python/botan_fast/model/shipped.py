"""Weights that come with the package: files NAME.safetensors in the folder `weights`, made by benchmarks.structure."""

from importlib import resources
from pathlib import Path

from ..files import FilePath

__all__ = ["FOLDER", "hint", "shipped_file", "shipped_models"]

FOLDER = Path(str(resources.files("botan_fast") / "model" / "weights"))
ENDING = ".safetensors"


def shipped_models() -> list[str]:
    """Names of the weights that come with the package, for `load_model(name)`; `model.card` says what each is good for.

    ka-t0.44-tau           network (recipe "structure") for S and E of the Kob-Andersen mixture at T = 0.44 and
                           tau_alpha = 4120, trained on ten configurations of Shiba et al. (Apache-2.0)
    ka-t0.44-tau-baseline  the linear baseline for the same, from the same

    >>> import botan_fast as bf
    >>> bf.shipped_models()
    ['ka-t0.44-tau', 'ka-t0.44-tau-baseline']
    """
    return sorted(path.name.removesuffix(ENDING) for path in FOLDER.glob(f"*{ENDING}"))


def shipped_file(name: FilePath) -> Path | None:
    """The file of shipped weights of that name, or None."""
    return FOLDER / f"{name}{ENDING}" if str(name) in shipped_models() else None


def hint(path: Path) -> str:
    """The names, for the message about a path that may have been meant as one of them; else nothing."""
    names = shipped_models()
    if path.parent != Path() or path.suffix in (".safetensors", ".pth", ".index") or not names:
        return ""
    return f" (models that come with botan_fast: {', '.join(names)})"
