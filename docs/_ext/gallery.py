"""Settings of sphinx-gallery, and what it finds of the figures: they are made without pyplot, which it would ask."""

from __future__ import annotations

from typing import Any

from sphinx_gallery.scrapers import figure_rst

__all__ = ["SETTINGS", "scraper"]


def scraper(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """The `figure` of a script as PNG, and the reStructuredText that shows it."""
    figure = block_vars["example_globals"].pop("figure", None)
    if figure is None:
        return ""
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path, dpi=200, facecolor="white")
    return figure_rst([path], gallery_conf["src_dir"])


SETTINGS = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"/plot_",
    "image_scrapers": ("gallery.scraper",),
    "reset_modules": (),
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1,
    "download_all_examples": False,
}
