"""What a comment shows: nothing of a stranger's text does anything, and all of it fits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.comments import markdown, render
from src.common.comments.markdown import size
from src.common.comments.render import Line
from src.common.status import JobStatus, OrderStatus
from tests.support.build import NOW, a_run
from tests.support.markdown import rendered

pytestmark = pytest.mark.unit

GITHUB_LIMIT = 65_536
HOSTILE = "@octocat #1 ![x](https://evil.test/x.png) <img src=x onerror=a> | `a` www.evil.test"
OURS = {
    *("h3", "p", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"),
    *("details", "summary", "sub", "ul", "li"),
}

# Texts that Markdown, HTML and terminals take for more than text.
PIECES = st.sampled_from(
    [
        *("`", "```\n", "\n~~~\n", "````````", "</details>", "<!--", "-->", "@octocat", "#12"),
        *(
            "\x1b[31m",
            "\x1b]8;;https://evil.test\x07",
            "\r",
            "\t",
            "|",
            "\\",
            "&lt;",
            "💥",
            "\u202e",
        ),
        *("[a](b)", "![a](b)", "https://evil.test", "www.evil.test", "\n\n", "# x", "    x", "é"),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=30).map("".join)
ENDED = st.sampled_from([status for status in OrderStatus if status is not OrderStatus.QUEUED])


def a_line(at: int = 1, **fields: Any) -> Line:
    values: dict[str, Any] = {"num": f"{at:04d}", "name": f"order-{at}"}
    if fields.get("status") in {"succeeded", "failed"}:
        values |= {"started_at": NOW, "finished_at": NOW + 12_000}
    return Line(**{**values, **fields, "status": OrderStatus(fields.get("status", "queued"))})


def an_end(**fields: Any) -> Any:
    return a_run(**{"status": JobStatus.FAILED, "finished_at": NOW + 185_000, **fields})


def test_the_last_comment_tells_how_run_and_orders_ended() -> None:
    lines = [
        a_line(1, status=OrderStatus.SUCCEEDED, exit_code=0, log="planned\n"),
        a_line(2, status=OrderStatus.FAILED, exit_code=3, log="broke\n"),
        a_line(3, status=OrderStatus.SKIPPED, reason="dependency order-2 failed"),
    ]

    page = rendered(render.summary(an_end(total=3), lines))

    text = " ".join(page.words)
    assert "❌ failed after 3 min 05 s" in text
    assert "✅ succeeded" in text
    assert "12 s" in text
    assert "exit code 3" in text
    assert "dependency order-2 failed" in page.codes
    assert {"planned\n", "broke\n"} <= set(page.codes)
    assert page.html.index("broke") < page.html.index("planned")  # who failed comes first
    assert page.elements.count("details") == 2


def test_a_run_that_goes_on_shows_how_far_it_is() -> None:
    lines = [
        a_line(1, status=OrderStatus.SUCCEEDED),
        a_line(2, status=OrderStatus.RUNNING),
        a_line(3),
    ]

    text = " ".join(rendered(render.progress(a_run(), lines)).words)

    assert "🟡 running: 1 of 3 orders ended" in text
    assert "⏳ queued" in text


def test_a_refused_run_tells_every_problem() -> None:
    page = rendered(render.refused(a_run(), [("orders[0].git_ref", "no such ref @all")]))

    assert "orders[0].git_ref" in page.codes
    assert "no such ref @all" in page.codes
    assert "@" not in "".join(page.words)


def test_thousands_of_problems_fit() -> None:
    body = render.refused(a_run(), [(f"orders[{at}]", "x" * 400) for at in range(5000)])

    assert size(body) <= GITHUB_LIMIT
    assert "more" in body


@pytest.mark.parametrize("field", ["flow_id", "username", "reason", "done_endpt", "run_id"])
def test_nothing_that_a_caller_names_does_anything(field: str) -> None:
    run = an_end(**{field: HOSTILE})

    page = rendered(render.summary(run, [a_line(reason=HOSTILE), a_line(2, name=HOSTILE)]))

    assert HOSTILE in page.codes
    assert set(page.elements) <= OURS
    assert not {"@", "#", "evil"} & set("".join(page.words))
    assert "evil" not in "".join(page.words)


def test_the_hidden_line_comes_first_and_is_not_seen() -> None:
    body = render.progress(a_run(pr_search_tag="iac-ci-run-1"), [a_line()])

    assert body.splitlines()[0] == "<!-- iac-ci: iac-ci-run-1 -->" == render.marker("iac-ci-run-1")
    assert "iac-ci-run-1" not in "".join(rendered(body).words)


def test_terminal_escapes_and_controls_are_gone() -> None:
    log = "\x1b[31mred\x1b[0m\n10%\r100%\n\x1b]8;;https://evil.test\x07link\x1b]8;;\x07\nbell\x07"

    assert markdown.log_text(log) == "red\n100%\nlink\nbell\N{REPLACEMENT CHARACTER}"


def test_a_log_cannot_leave_its_fence() -> None:
    log = "```\n</details>\n@octocat\n" + "`" * 500 + "\n~~~~\n"

    page = rendered(render.summary(an_end(), [a_line(status=OrderStatus.FAILED, log=log)]))

    assert "@" not in "".join(page.words)
    assert page.unclosed == []
    assert "```\n</details>\n@octocat\n" + "`" * markdown.LONGEST_TICKS in page.codes[-3]


def test_the_end_of_a_long_log_is_shown_from_the_start_of_a_line() -> None:
    log = "".join(f"line {at}\n" for at in range(5000))

    page = rendered(render.summary(an_end(), [a_line(status=OrderStatus.FAILED, log=log)]))

    shown = next(text for text in page.codes if "line 4999" in text)
    assert shown.startswith("line ")
    assert len(shown) > 7_000
    assert "end of the log" in "".join(page.words)


def test_forty_logs_share_the_room_and_failed_ones_come_first() -> None:
    lines = [
        a_line(
            at, status=OrderStatus.FAILED if at == 40 else OrderStatus.SUCCEEDED, log="x\n" * 9999
        )
        for at in range(1, 41)
    ]

    body = render.summary(an_end(total=40), lines)

    assert 50_000 < size(body) <= GITHUB_LIMIT
    page = rendered(body)
    assert page.elements.count("details") == 40
    blocks = [text for text in page.codes if text.startswith("x\n")]
    assert len(blocks[0]) > 7_000  # the failed one's
    assert max(map(len, blocks[1:])) < 2_000


def test_a_thousand_orders_are_counted_where_they_cannot_be_named() -> None:
    status = dict.fromkeys(range(1, 1001), OrderStatus.SUCCEEDED) | {999: OrderStatus.FAILED}
    lines = [a_line(at, status=status[at], log="done\n" * 20) for at in status]

    body = render.summary(an_end(total=1000), lines)

    page = rendered(body)
    assert size(body) <= GITHUB_LIMIT
    assert "order-999" in page.codes
    named = page.elements.count("tr") - 2
    assert f"and {1000 - named:,} more" in "".join(page.words)
    assert f"{1000 - named:,} succeeded" in "".join(page.words)


@given(st.lists(st.tuples(ENDED, TEXTS, TEXTS, st.integers(1, 1000)), max_size=25), TEXTS)
def test_any_run_fits_and_does_nothing(
    orders: list[tuple[OrderStatus, str, str, int]], reason: str
) -> None:
    lines = [
        a_line(at, status=status, reason=why, log=log * times, started_at=NOW, finished_at=NOW)
        for at, (status, why, log, times) in enumerate(orders, 1)
    ]

    for body in (
        render.summary(an_end(total=len(lines), reason=reason), lines),
        render.progress(a_run(total=len(lines)), lines),
        render.refused(a_run(), [(why, log) for _, why, log, _ in orders]),
    ):
        assert size(body) <= GITHUB_LIMIT
        page = rendered(body)
        assert set(page.elements) <= OURS
        assert page.unclosed == []
        assert not {"@", "<", "`"} & set("".join(page.words))
        assert "evil" not in "".join(page.words)


@given(st.text(), st.integers(0, 50))
def test_a_tail_is_an_end_that_fits(text: str, room: int) -> None:
    end = markdown.tail(text, room)

    assert text.endswith(end)
    assert size(end) <= room
