"""The comment in a real browser, as HTML: what is in a log stays text, and loads nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from src.common.comments import render
from src.common.comments.render import Line
from src.common.status import JobStatus, OrderStatus
from tests.support.browser import quiet_page
from tests.support.build import NOW, a_run
from tests.support.comment_picture import example, page

pytestmark = pytest.mark.integration

HOSTILE = "\n".join(
    [
        *("```", "</details></code></pre>", "<script>document.title = 'x'</script>", "~~~~"),
        *("<img src=https://evil.test/a.png>", "![a](https://evil.test/b.png)", "`" * 60),
        *("\x1b[31mred\x1b[0m", "@octocat #1", "💥" * 50),
    ]
)


def test_the_last_comment_is_readable(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "comment.html"
    file.write_text(page(example()), encoding="utf-8")

    with quiet_page(chromium) as shown:
        shown.goto(file.as_uri())

        expect(shown.locator("h3")).to_have_text("❌ failed after 3 min 05 s")
        expect(shown.locator("tbody tr")).to_have_count(5)
        expect(shown.get_by_text("VpcLimitExceeded")).to_be_visible()  # who failed is open
        expect(shown.get_by_text("Plan: 3 to add")).not_to_be_visible()
        shown.locator("summary").nth(2).click()
        expect(shown.get_by_text("Plan: 3 to add")).to_be_visible()


def test_forty_hostile_logs_stay_text(chromium: Browser, tmp_path: Path) -> None:
    lines = [
        Line(
            num=f"{at:04d}",
            name=f"order-{at}",
            status=OrderStatus.FAILED,
            started_at=NOW,
            finished_at=NOW + 1,
            reason=HOSTILE,
            log=HOSTILE,
        )
        for at in range(1, 41)
    ]
    run = a_run(total=40, status=JobStatus.FAILED, finished_at=NOW + 1, reason=HOSTILE)
    file = tmp_path / "comment.html"
    file.write_text(page(render.summary(run, lines)), encoding="utf-8")

    with quiet_page(chromium) as shown:
        shown.goto(file.as_uri())

        expect(shown).to_have_title("comment")
        expect(shown.locator("details")).to_have_count(40)
        expect(shown.locator("details details, img, script, a")).to_have_count(0)
        first = shown.locator("pre").first
        expect(first).to_contain_text("<script>document.title")
        expect(first).to_contain_text("red\n@octocat #1")
