"""The page as text: whatever a record says, it stays text; what the page may do is fixed."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.cli.page import render
from src.cli.page.gather import from_object
from src.cli.text import MARK
from tests.support.run_records import START, a_run, an_event, an_order, never_started, of_size

pytestmark = pytest.mark.unit

EVIL = "</script></style></pre><img src=x onerror=alert(1)>\"'&<!--"


class Elements(HTMLParser):
    """Every start tag with its attributes, and all text outside of style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {"style": "", "script": ""}
        self.text = ""
        self._in = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in in self.inside:
            self.inside[self._in] += data
        else:
            self.text += data

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.found]


def page(run: dict[str, object], events: list[object] | None = None) -> Elements:
    return Elements(render.page(from_object(run, events)))


def hostile(text: str) -> tuple[dict[str, object], list[object]]:
    """Return a run and its events that say `text` wherever a record can say anything."""
    order = an_order(1, log=f"{text}\n\x1b[31m{text}", cmds=[text], reason=text, num=text)
    order |= {"status": "failed"}
    run = a_run({text: order, "next": an_order(2, dependencies=[text])}, reason=text)
    run |= {"run_id": text, "trace_id": text, "flow_id": text}
    run |= {"details": [{"path": text, "message": text}]}
    events = [an_event(name, 1, text, status=text, message=text) for name in (text, "other")]
    return run, events


def test_no_value_of_a_record_becomes_markup() -> None:
    plain = "harmless".ljust(len(EVIL), "-")
    harmless = page(*hostile(plain))

    found = page(*hostile(EVIL))

    assert found.tags() == harmless.tags()
    assert [sorted(given) for _, given in found.found] == [
        sorted(given) for _, given in harmless.found
    ]
    assert found.text.count(EVIL) == harmless.text.count(plain) > 20


@cache
def harmless_tags() -> list[str]:
    return page(*hostile("x")).tags()


@given(st.text(st.characters(codec=None, exclude_characters="\r\n"), min_size=1, max_size=30))
def test_nor_does_any_other_text(text: str) -> None:
    assert page(*hostile(f"x{text}")).tags() == harmless_tags()


def test_text_that_hides_or_reorders_is_marked_everywhere() -> None:
    html = render.page(from_object(*hostile("a\u202eb\u200bc\x00\x1b")))

    assert not set(html) & set("\u202e\u200b\x00\x1b")
    assert f"a{MARK}b{MARK}c{MARK}{MARK}" in html


def test_policy_admits_the_pages_own_style_and_script_and_nothing_else() -> None:
    found = page(of_size(3))

    (policy,) = (
        given["content"] or ""
        for tag, given in found.found
        if given.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules == {
        "default-src": "'none'",
        "style-src": digest(found.inside["style"]),
        "script-src": digest(found.inside["script"]),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_page_names_nothing_outside_itself() -> None:
    found = page(of_size(30), [an_event("order-1", 1, "claimed")])

    named = [
        value
        for _, given in found.found
        for name, value in given.items()
        if name in ("href", "src", "srcset", "action", "data", "poster", "formaction")
    ]
    assert named
    ids = {given["id"] for _, given in found.found if "id" in given}
    assert {value for value in named if value} - {f"#{each}" for each in ids} == {"data:,"}
    assert not re.search(r"@import|url\(", found.inside["style"])
    assert not any(name.startswith("on") for _, given in found.found for name in given)


def test_ids_are_unique() -> None:
    ids = [given["id"] for _, given in page(of_size(30)).found if "id" in given]

    assert len(ids) == len(set(ids)) > 30


def test_one_failed_order_of_hundreds_is_seen_in_the_shares() -> None:
    orders = {f"order-{n}": an_order(n) for n in range(299)}
    orders["bad"] = an_order(299, status="failed")

    found = page(a_run(orders, status="failed")).found
    (at,) = [n for n, (_, given) in enumerate(found) if given.get("class") == "shares"]
    widths = [float((given["width"] or "").rstrip("%")) for _, given in found[at + 1 : at + 3]]
    assert min(widths) > 0.5
    assert sum(widths) == pytest.approx(100, abs=0.1)


def test_orders_show_commands_exit_code_times_and_log() -> None:
    order = an_order(1, exit_code=3, status="failed", cmds=["make <all>", "make test"])
    text = page(a_run({"plan": order})).text

    for shown in ("make <all>", "make test", "exit 3", "made part-1", "failed", "1.5 s"):
        assert shown in text


def test_page_says_why_a_job_was_refused() -> None:
    details = [{"path": "orders.plan.git_ref", "message": "unknown ref"}]
    run = a_run({"plan": never_started(1)}, status="failed", details=details)

    assert "orders.plan.git_ref: unknown ref" in page(run).text


def test_run_that_goes_on_says_for_how_long() -> None:
    going = an_order(1, status="running", exit_code=None, finished_at=None)
    run = a_run({"plan": going}, status="running", finished_at=None, as_of=START + 9_000)

    text = page(run).text

    assert "Running for 9.0 s" in text
    assert "7.5 s" in text  # the order, until now


@pytest.mark.parametrize("events", [None, []])
def test_record_without_times_events_or_orders_gives_a_page(events: list[object] | None) -> None:
    bare = {"run_id": "r", "status": "cancelled"}

    assert "Cancelled" in page({**bare, "orders": {}}, events).text
    assert "Cancelled" in page({**bare, "orders": {"a": {"status": "skipped"}}}, events).text


def test_long_lists_of_dependencies_are_cut() -> None:
    width = 40
    first = {f"a{n}": an_order(n + 1) for n in range(width)}
    second = {f"b{n}": an_order(n + 1, dependencies=list(first)) for n in range(width)}

    found = page(a_run(first | second))

    assert "and 20 more" in found.text
    assert found.tags().count("a") < 30 * 2 * width


def test_page_of_huge_logs_stays_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "excerpts", lambda orders: excerpts(orders, 100_000))
    from src.cli.page.excerpts import excerpts

    orders = {f"o{n}": an_order(n, log="x" * 50_000) for n in range(1, 51)}

    assert len(render.page(from_object(a_run(orders), []))) < 500_000
