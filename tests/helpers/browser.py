"""Pages in headless Chromium, without a network."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # on the CPU: there need not be a GPU
PLAIN = ("--disable-gpu", "--disable-3d-apis")


@contextlib.contextmanager
def browsers() -> Iterator[Callable[..., Any]]:
    """A function of options that starts a browser; the test is skipped where none is installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(PROGRAMS)} is on the PATH")
    with playwright.sync_playwright() as driver:  # one for all: a second would wait for the first
        started = []

        def start(*options: str) -> Any:
            started.append(driver.chromium.launch(executable_path=program, args=["--no-sandbox", *options]))
            return started[-1]

        try:
            yield start
        finally:
            for browser in started:
                browser.close()


@contextlib.contextmanager
def opened(browser: Any, path: Path, **context: Any) -> Iterator[tuple[Any, list[str]]]:
    """A page that is drawn, and what it has said: messages of the console, errors, and what it wanted to load."""
    context = browser.new_context(offline=True, **{"viewport": {"width": 1280, "height": 900}, **context})
    try:
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("request", lambda request: _note(said, request.url))
        page.goto(path.as_uri())
        page.wait_for_function("[...document.querySelectorAll('canvas')].every(one => one.dataset.turn)")
        yield page, said
    finally:
        context.close()


def _note(said: list[str], url: str) -> None:
    if not url.startswith(("file:", "data:")):
        said.append(f"request: {url}")
