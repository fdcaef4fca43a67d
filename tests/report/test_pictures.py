"""Figures on light and dark pages: what is black becomes light, and colours that mean something stay."""

import io
import re
from base64 import b64decode

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image

from botan_fast.figures import propensity_compared, training_curves
from botan_fast.report.page import _file
from botan_fast.report.pictures import INK, NIGHT, PAPER, picture

HISTORY = [{"epoch": k, "train_loss": 1 / (k + 1), "node_pearson": 0.1 * k} for k in range(5)]


def content(uri, kind):
    head, _, text = uri.partition(",")
    assert head == f"data:image/{kind};base64"
    return b64decode(text)


def pixels(uri):
    """(height, width, 3) uint8 of a WebP."""
    png = io.BytesIO()
    Image.open(io.BytesIO(content(uri, "webp"))).convert("RGB").save(png, format="png")
    return np.round(imread(io.BytesIO(png.getvalue())) * 255).astype(int)[..., :3]


@pytest.fixture(scope="module")
def slices():
    rng = np.random.default_rng(0)
    box, values = 12.0, rng.random((2, 2000))
    grid = np.stack(np.meshgrid(np.arange(0.5, box), np.arange(0.5, box)), axis=-1).reshape(-1, 2)
    axes = propensity_compared(
        *(rng.random((2000, 3)) * box, np.zeros(2000, int), box, *values), field=(grid, 0.1 * np.ones_like(grid))
    )
    return picture(axes, "S", "Three panels.")


def test_the_colours_of_the_page_are_those_of_its_style():
    light, dark = re.findall(r"--page: (#\w+);", _file("style.css"))
    assert (light, dark) == (PAPER, NIGHT)
    assert re.findall(r"--ink: (#\w+);", _file("style.css"))[1] == INK


def test_lines_keep_the_colours_of_the_style_and_texts_become_light():
    made = picture(training_curves(HISTORY), "Training", "Curves.")
    light, dark = (content(uri, "svg+xml").decode() for uri in (made.light, made.dark))
    for text in (light, dark):
        assert "#0072b2" in text  # C0 of the style, not matplotlib's
        assert "#1f77b4" not in text
    assert INK in dark
    assert INK not in light
    assert "#000000" not in dark
    assert made.wide


def test_many_discs_are_a_webp_on_the_colour_of_the_page(slices):
    for uri, ground in ((slices.light, PAPER), (slices.dark, NIGHT)):
        corner = pixels(uri)[3, 3]
        wanted = [int(ground[k : k + 2], 16) for k in (1, 3, 5)]
        assert np.abs(corner - wanted).max() <= 3
    assert len(slices.light) + len(slices.dark) < 700_000


def test_discs_look_alike_on_both_pages(slices):
    """The ground between them is paper on either: on a dark one white, no error, would be what is seen first."""
    light, dark = pixels(slices.light), pixels(slices.dark)
    height, width = light.shape[:2]
    middle = np.s_[height // 4 : height // 2, width // 10 : width // 4]
    assert np.abs(light[middle] - dark[middle]).mean() < 3
    below = np.s_[-height // 8 :, width // 5 : width // 2]  # the label of the colours
    assert dark[below].max() > 180
    assert light[below].min() < 75
