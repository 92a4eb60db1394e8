"""The browser that tests of pages look through overlooks nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import quiet_page

pytestmark = pytest.mark.integration

HARMLESS = "<!doctype html><title>fine</title><p id=p>shown"


def seen(browser: Browser, folder: Path, html: str) -> str:
    """Open a page from a file; return its text."""
    file = folder / "page.html"
    file.write_text(html, encoding="utf-8")
    with quiet_page(browser) as page:
        page.goto(file.as_uri())
        return page.inner_text("body")


def test_a_harmless_page_is_shown(chromium: Browser, tmp_path: Path) -> None:
    assert seen(chromium, tmp_path, HARMLESS) == "shown"


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<script>throw new Error('broken')</script>", "broken"),
        ("<script>console.error('wrong')</script>", "wrong"),
        ("<img src='https://example.invalid/x.png'>", "example.invalid"),
        ("<link rel=stylesheet href='http://127.0.0.1:9/x.css'>", "127.0.0.1:9"),
    ],
    ids=["script error", "console", "image from elsewhere", "style from elsewhere"],
)
def test_a_page_that_fails_or_asks_for_more_fails_its_test(
    chromium: Browser, tmp_path: Path, html: str, complaint: str
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        seen(chromium, tmp_path, HARMLESS + html)
