"""The report in headless Chromium: nothing is said on the console, it fits a telephone, and the particles turn."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from tests.helpers.browser import PLAIN, WEBGL, browsers, opened

SCREENS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True},
}
CONTRAST = """
() => {
  const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(x => x / 255)
    .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = one => { for (; one; one = one.parentElement) { const c = getComputedStyle(one).backgroundColor;
    if (!/, 0\\)$/.test(c) && c !== 'transparent') return c; } return 'rgb(255, 255, 255)'; };
  let worst = [99, ''];
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !one.checkVisibility() || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(one.tagName)) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst[0]) worst = [ratio, one.outerHTML.slice(0, 80)];
  }
  return worst;
}
"""


@pytest.fixture(scope="module")
def start():
    with browsers() as function:
        yield function


@pytest.fixture(scope="module")
def with_webgl(start):
    return start(*WEBGL)


@pytest.fixture(scope="module")
def without_webgl(start):
    return start(*PLAIN)


@pytest.fixture(params=["with_webgl", "without_webgl"])
def browser(request):
    """Both ways to draw: they must show the same."""
    return request.getfixturevalue(request.param)


def pixels(page):
    """The canvas as (height, width, 3) numbers."""
    shot = page.locator("canvas").screenshot()
    return np.round(imread(io.BytesIO(shot))[..., :3] * 255).astype(int)


def turn_of(page):
    return np.array(page.locator("canvas").get_attribute("data-turn").split(), dtype=float).reshape(3, 3)


def settled(page):
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_page(with_webgl, report_file, screen, scheme):
    """No word on the console, no request, no sideways scrolling, and texts that can be read."""
    with opened(with_webgl, report_file, color_scheme=scheme, **SCREENS[screen]) as (page, said):
        width = page.viewport_size["width"]
        assert page.evaluate("document.documentElement.scrollWidth") == width
        ratio, where = page.evaluate(CONTRAST)
        assert ratio >= 4.5, where  # WCAG 2.1, level AA
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        broken = "[...document.images].filter(one => !one.complete || !one.naturalWidth).length"
        assert page.evaluate(broken) == 0
        used = page.evaluate("[...document.images].map(one => one.currentSrc === one.getAttribute('src'))")
        assert set(used) == {scheme == "light"}
        assert said == []


def test_particles_have_the_colours_of_their_values(browser, report_file):
    with opened(browser, report_file) as (page, said):
        predicted = pixels(page)
        for choice in ("actual", "error"):
            page.get_by_label(choice, exact=True).check()
            settled(page)
            assert (pixels(page) != predicted).any(axis=2).mean() > 0.02, choice
        page.get_by_label("predicted", exact=True).check()
        settled(page)
        assert np.abs(pixels(page) - predicted).max() <= 2
        assert said == []


def test_both_ways_are_there(with_webgl, without_webgl, report_file):
    shots = {}
    for browser in (with_webgl, without_webgl):
        with opened(browser, report_file) as (page, _):
            shots[page.locator("canvas").get_attribute("data-way")] = pixels(page)
    assert shots.keys() == {"webgl", "canvas"}
    ground = shots["webgl"][20, 20]  # a corner beside the box
    covered = [(np.abs(shot - ground).max(axis=2) > 12) for shot in shots.values()]
    assert covered[0].mean() > 0.1
    assert (covered[0] != covered[1]).mean() < 0.02  # the same discs at the same places


def test_it_turns_with_the_mouse(browser, report_file):
    with opened(browser, report_file) as (page, _):
        before, shot = turn_of(page), pixels(page)
        box = page.locator("canvas").bounding_box()
        page.mouse.move(box["x"] + 200, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 350, box["y"] + 200, steps=5)
        page.mouse.up()
        settled(page)
        after = turn_of(page)
        assert after @ after.T == pytest.approx(np.eye(3), abs=1e-3)  # a rotation
        # 150 pixels are 1 radian about the screen's vertical
        assert after @ before.T == pytest.approx(
            np.array([[np.cos(1), 0, np.sin(1)], [0, 1, 0], [-np.sin(1), 0, np.cos(1)]]), abs=2e-3
        )
        assert (pixels(page) != shot).any()
        page.mouse.move(box["x"] + 100, box["y"] + 100)  # the button is up
        settled(page)
        assert np.array_equal(turn_of(page), after)
        page.get_by_role("button", name="Reset the view").click()
        settled(page)
        assert np.array_equal(turn_of(page), before)


def test_it_turns_with_the_keyboard(with_webgl, report_file):
    with opened(with_webgl, report_file) as (page, _):
        before, shot = turn_of(page), pixels(page)
        page.locator("canvas").focus()
        for _ in range(4):
            page.keyboard.press("ArrowLeft")
        settled(page)
        assert np.trace(turn_of(page) @ before.T) == pytest.approx(1 + 2 * np.cos(0.6), abs=2e-3)
        page.keyboard.press("0")
        page.keyboard.press("+")
        settled(page)
        assert np.array_equal(turn_of(page), before)
        assert (np.abs(pixels(page) - shot).max(axis=2) > 12).mean() > 0.02  # nearer


def test_it_turns_with_a_finger(with_webgl, report_file):
    with opened(with_webgl, report_file, **SCREENS["phone"]) as (page, _):
        before = turn_of(page)
        page.locator("canvas").scroll_into_view_if_needed()
        box = page.locator("canvas").bounding_box()
        touch = page.context.new_cdp_session(page)
        points = [{"x": box["x"] + 100 + 10 * k, "y": box["y"] + 100} for k in range(11)]
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
        for point in points[1:]:
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        settled(page)
        assert np.trace(turn_of(page) @ before.T) == pytest.approx(1 + 2 * np.cos(100 / 150), abs=0.02)


def test_species_and_the_largest_values(with_webgl, report_file):
    with opened(with_webgl, report_file) as (page, _):
        canvas = page.locator("canvas")
        assert canvas.get_attribute("data-visible") == "80"
        page.get_by_label("B", exact=True).uncheck()
        assert canvas.get_attribute("data-visible") == "64"
        slider = page.get_by_label("Share of the particles")
        slider.fill("25")
        assert canvas.get_attribute("data-visible") == "16"
        assert "25 %" in page.locator("output").inner_text()


def test_hostile_names_run_nothing(with_webgl, report_file):
    with opened(with_webgl, report_file) as (page, said):
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.reload()
        assert page.evaluate("document.scripts.length") == 3  # two of data, and the view's
        assert said == []


def test_without_javascript_the_rest_is_there(with_webgl, report_file):
    context = with_webgl.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report_file.as_uri())
    assert page.locator("noscript").is_visible()
    assert not page.locator("canvas").is_visible()
    assert page.locator("table").first.is_visible()
    context.close()


def test_it_can_be_printed(with_webgl, report_file):
    with opened(with_webgl, report_file, color_scheme="dark") as (page, _):
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator(".controls").is_visible()
        assert page.pdf().startswith(b"%PDF")
