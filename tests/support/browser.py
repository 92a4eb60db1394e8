"""A real Chromium for tests of pages: headless, offline, and with no error overlooked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:  # a tenth of a second, for each worker of each run of any test
    from playwright.sync_api import Browser, Page, Request

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
MISSING: Final = "no chromium; make browser installs it or says how"
PATIENCE_MS: Final = 60_000  # a bound on waiting on a busy machine, no measure


def executable() -> str | None:
    """Return the Chromium to use: `CHROMIUM`, else the first on PATH."""
    return next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *NAMES))), None)


@pytest.fixture(scope="module")  # no longer: its event loop holds the thread while it is open
def chromium() -> Iterator[Browser]:
    """Start Chromium; skip where there is none."""
    path = executable()
    if path is None:
        pytest.skip(MISSING)
    with launched(path) as browser:
        yield browser


@contextmanager
def launched(path: str) -> Iterator[Browser]:
    """Run the Chromium at `path`, which as root (in containers) cannot have its sandbox."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@contextmanager
def quiet_page(browser: Browser, **options: object) -> Iterator[Page]:
    """Open a page of a browser that is offline.

    At the end the test fails if the page asked for anything but files, inline data and itself, or
    if its console or scripts complained.

    Args:
        browser: the browser to open it in.
        options: of `Browser.new_context`: `color_scheme="dark"`, `viewport={...}`.
    """
    complaints: list[str] = []

    def requested(request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:", "about:")):
            complaints.append(f"asked for {request.url}")

    context = browser.new_context(offline=True, **options)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        page.on("request", requested)
        page.on("pageerror", lambda error: complaints.append(f"script error: {error}"))
        page.on(
            "console",
            lambda message: (
                complaints.append(f"console: {message.text}")
                if message.type in ("error", "warning")
                else None
            ),
        )
        yield page
    finally:
        context.close()
    assert complaints == []
