"""The page of a run in a real browser: from a file, offline, under its own strict policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from src.cli.page import render
from src.cli.page.gather import from_object
from src.common.status import OrderStatus
from tests.support.browser import quiet_page
from tests.support.run_records import a_run, an_event, an_order, never_started, of_size

pytestmark = pytest.mark.integration

Opened = Callable[..., Any]


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path) -> Opened:
    """Open the page of a run; at the end the test fails on any request, error or warning."""

    @contextmanager
    def opened(
        run: dict[str, Any], events: list[object] | None = None, *, at: str = "", **options: object
    ) -> Iterator[Page]:
        file = tmp_path / "page.html"
        file.write_text(render.page(from_object(run, events)), encoding="utf-8")
        with quiet_page(chromium, **options) as page:
            page.goto(file.as_uri() + at)
            yield page

    return opened


def order(page: Page, number: int) -> Any:
    return page.locator(f"#order-{number}")


def summary(page: Page, number: int) -> Any:
    return order(page, number).locator("summary")


def shown(page: Page) -> Any:
    return page.locator("details.order:visible")


@pytest.mark.parametrize("number", [3, 100, 1000])
def test_page_shows_every_order_in_graph_timeline_and_list(opened: Opened, number: int) -> None:
    events = [an_event(f"order-{n}", n, "claimed") for n in range(1, number + 1)]

    with opened(of_size(number), events) as page:
        expect(page.locator("h1")).to_contain_text("Failed in")
        expect(page.locator("#graph .node")).to_have_count(number)
        expect(page.locator("#timeline ol li a")).to_have_count(number)
        expect(shown(page)).to_have_count(number)
        expect(page.locator("#events tbody tr")).to_have_count(number)
        assert page.locator("#graph .edges path").count() == max(number - 7, 0)
        # Logs of closed orders cost no layout; those that went wrong are open, but not all of them.
        visible = page.locator("pre.log:visible").count()
        assert visible == min(-(-(number - 1) // 20), 3)
        width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "the page itself never scrolls sideways"


def test_graph_and_timeline_are_coloured_by_status(opened: Opened) -> None:
    orders = {
        "good": an_order(1),
        "bad": an_order(2, status="failed", exit_code=1),
        "late": an_order(3, status="timed_out", exit_code=None),
        "off": an_order(4, status="cancelled", exit_code=None),
        "never": never_started(5),
    }
    with opened(a_run(orders)) as page:
        strokes = page.eval_on_selector_all(
            "#graph .node rect", "all => all.map(rect => getComputedStyle(rect).stroke)"
        )
        fills = page.eval_on_selector_all(
            "#timeline ol li rect.run", "all => all.map(rect => getComputedStyle(rect).fill)"
        )

    assert len(set(strokes)) == len(orders)
    assert fills == strokes[:4]


def test_log_keeps_its_colours_and_stays_text(opened: Opened) -> None:
    evil = "</pre></script><script>document.title = 'hacked'</script><img src=x onerror=alert(1)>"
    log = f"\x1b[1;31mError:\x1b[0m {evil} größer 漢字 \U0001f680\n\x1b[42mok\x1b[0m\n"
    run = a_run({"plan": an_order(1, status="failed", exit_code=1, log=log, cmds=[evil])})

    with opened(run) as page:
        text = page.locator("pre.log").text_content()
        error = page.locator("pre.log .f1")
        red, plain = (
            page.evaluate("e => getComputedStyle(e).color", found.element_handle())
            for found in (error, page.locator("pre.log"))
        )
        expect(error).to_have_text("Error:")
        expect(error).to_have_css("font-weight", "700")
        expect(page.locator(".cmds code")).to_have_text(evil)
        assert text is not None
        assert text.strip() == f"Error: {evil} größer 漢字 \U0001f680\nok"
        assert red != plain
        assert "hacked" not in page.title()


def test_policy_stops_script_and_style_that_slipped_in(chromium: Browser, tmp_path: Path) -> None:
    html = render.page(from_object(of_size(3), []))
    slipped = "<script>document.title = 'hacked'</script><p id=p style='color: #010203'>in"
    slipped += "<img src=x onerror=\"document.title = 'hacked'\">"
    (tmp_path / "page.html").write_text(html.replace("</main>", f"{slipped}</main>"))
    blocked: list[str] = []
    page = chromium.new_page()
    page.on("console", lambda message: blocked.append(message.text))

    page.goto((tmp_path / "page.html").as_uri())

    assert "hacked" not in page.title()
    assert page.evaluate("getComputedStyle(p).color") != "rgb(1, 2, 3)"
    assert sum("Content Security Policy" in text for text in blocked) == 4
    page.close()


def test_orders_open_and_close(opened: Opened) -> None:
    with opened(of_size(3)) as page:
        log = order(page, 1).locator(".log")
        expect(log).to_be_hidden()

        summary(page, 1).click()
        expect(log).to_contain_text("made part-1")
        summary(page, 1).click()
        expect(log).to_be_hidden()

        page.get_by_role("button", name="Expand all").click()
        expect(page.locator("pre.log:visible")).to_have_count(3)
        page.get_by_role("button", name="Collapse all").click()
        expect(page.locator("pre.log:visible")).to_have_count(0)


def test_search_finds_names_commands_and_logs_and_steps_through_matches(opened: Opened) -> None:
    run = of_size(100)
    run["orders"]["order-50"]["log"] += "\x1b[1mNeed\x1b[0mle here\nand a (needle) there\n"
    run["orders"]["order-70"]["cmds"] = ["find needle"]

    with opened(run) as page:
        page.get_by_role("searchbox").fill("needle")

        expect(shown(page)).to_have_count(2)
        expect(page.locator("#found")).to_have_text("3 matches in 2 orders")
        expect(page.locator("#timeline ol li:visible")).to_have_count(2)
        page.keyboard.press("Enter")
        expect(page.locator("#found")).to_have_text("1 of 3 matches in 2 orders")
        expect(order(page, 50).locator(".log")).to_be_in_viewport()
        assert marked(page, "here") == ["Needle"]
        assert marked(page, "found") == ["Needle", "needle"]
        page.keyboard.press("Shift+Enter")
        expect(page.locator("#found")).to_have_text("3 of 3 matches in 2 orders")
        expect(order(page, 70).locator(".cmds")).to_be_in_viewport()

        page.keyboard.press("Escape")
        expect(shown(page)).to_have_count(100)
        assert marked(page, "found") == []


def marked(page: Page, name: str) -> list[str]:
    """Return the texts that are marked on the page."""
    found: list[str] = page.evaluate("name => [...CSS.highlights.get(name)].map(String)", name)
    return found


@pytest.mark.parametrize("wanted", ["a.b*c", "(", "[x", "\\", "$^", "/"])
def test_search_takes_signs_as_they_are(opened: Opened, wanted: str) -> None:
    run = of_size(3)
    run["orders"]["order-3"]["log"] = f"before {wanted} after\n"
    run["orders"]["order-3"]["cmds"] = ["true"]

    with opened(run) as page:
        page.get_by_role("searchbox").fill(wanted)

        expect(page.locator("#found")).to_have_text("1 match in 1 order")
        expect(order(page, 3)).to_be_visible()


def test_search_without_a_match_says_so(opened: Opened) -> None:
    with opened(of_size(3)) as page:
        page.get_by_role("searchbox").fill("nowhere to be found")

        expect(page.locator("#nothing")).to_be_visible()
        expect(page.locator("#found")).to_have_text("0 matches in 0 orders")
        page.keyboard.press("Enter")  # and steps nowhere


def test_search_of_a_thousand_orders(opened: Opened) -> None:
    run = of_size(1000)
    for each in run["orders"].values():
        each["log"] = "the same line\n" * 200

    with opened(run) as page:
        page.get_by_role("searchbox").fill("SAME")

        expect(page.locator("#found")).to_have_text("200,000 matches in 1,000 orders")


def test_filter_shows_the_orders_of_a_status(opened: Opened) -> None:
    with opened(of_size(100)) as page:
        failed = page.get_by_role("button", name="5 failed")
        failed.click()

        expect(failed).to_have_attribute("aria-pressed", "true")
        expect(shown(page)).to_have_count(5)
        failed.click()
        expect(shown(page)).to_have_count(100)


def test_timeline_shows_start_windows_and_deadlines_at_two_scales(opened: Opened) -> None:
    with opened(of_size(3)) as page:
        row = page.locator("#timeline ol li").first
        chart = row.locator("svg").bounding_box()
        assert chart is not None
        right = chart["x"] + chart["width"]
        run_before = row.locator("rect.run").bounding_box()
        assert row.locator("line.deadline").bounding_box()["x"] > right  # far beyond the run

        page.get_by_role("button", name="With deadlines").click()

        deadline = row.locator("line.deadline").bounding_box()
        window = row.locator("rect.window").bounding_box()
        run_after = row.locator("rect.run").bounding_box()
        assert window["x"] + window["width"] <= right
        assert run_after["x"] + run_after["width"] < deadline["x"] < window["x"] + window["width"]
        assert run_after["width"] < run_before["width"]
        expect(page.locator(".ticks:visible text").last).to_have_text("10 min")

        page.get_by_role("button", name="The run").click()
        assert row.locator("rect.run").bounding_box() == run_before


def focused(page: Page) -> str:
    """Return what has the focus: id of its order, its own id, or its text."""
    found: str = page.evaluate("""() => {
      const at = document.activeElement;
      return (at.matches('summary') && at.parentElement.id) || at.id || at.textContent.trim();
    }""")
    return found


def test_keyboard_reaches_everything_in_few_steps(opened: Opened) -> None:
    with opened(of_size(1000), [an_event("order-1", 1, "claimed")]) as page:
        page.keyboard.press("Tab")
        assert focused(page) == "Skip to the orders"
        expect(page.locator(".skip")).to_be_in_viewport()
        page.keyboard.press("Enter")
        assert focused(page) == "orders"

        seen = []
        for _ in range(40):
            page.keyboard.press("Tab")
            seen.append(focused(page))
            if seen[-1] == "1 event":
                break
        assert "order-1" in seen, "the list is one stop, not a thousand"
        assert seen[-1] == "1 event"


def test_arrows_move_through_the_list_and_open_orders(opened: Opened) -> None:
    with opened(of_size(30)) as page:
        summary(page, 1).focus()
        for key, at in [
            ("ArrowDown", "order-2"),
            ("ArrowDown", "order-3"),
            ("ArrowUp", "order-2"),
            ("End", "order-30"),
            ("ArrowDown", "order-30"),
            ("Home", "order-1"),
            ("ArrowUp", "order-1"),
        ]:
            page.keyboard.press(key)
            assert focused(page) == at, key

        for key, is_open in [
            ("Enter", True),
            ("Space", False),
            ("ArrowRight", True),
            ("ArrowLeft", False),
        ]:
            page.keyboard.press(key)
            assert order(page, 1).evaluate("order => order.open") is is_open, key


def test_arrows_pass_over_what_a_search_hides(opened: Opened) -> None:
    with opened(of_size(30)) as page:
        page.keyboard.press("/")
        assert focused(page) == "search"
        page.keyboard.type("failed nowhere")
        page.keyboard.press("Escape")
        page.keyboard.type("part-2")  # 2 and 20 to 29
        expect(shown(page)).to_have_count(11)

        summary(page, 2).focus()
        page.keyboard.press("ArrowDown")
        assert focused(page) == "order-20"
        page.keyboard.press("End")
        assert focused(page) == "order-29"


def test_tab_still_reaches_the_list_when_a_search_hides_its_one_stop(opened: Opened) -> None:
    with opened(of_size(30)) as page:
        page.get_by_role("searchbox").fill("part-30")
        expect(shown(page)).to_have_count(1)

        seen = []
        for _ in range(20):
            page.keyboard.press("Tab")
            seen.append(focused(page))

        assert "order-30" in seen


def test_slash_is_a_letter_where_one_types(opened: Opened) -> None:
    with opened(of_size(3)) as page:
        page.keyboard.press("/")
        page.keyboard.type("a/b")

        expect(page.get_by_role("searchbox")).to_have_value("a/b")


def test_links_lead_to_the_order_and_open_it(opened: Opened) -> None:
    with opened(of_size(100)) as page:
        page.locator("#graph .node").nth(89).press("Enter")

        assert focused(page) == "order-90"
        expect(order(page, 90).locator(".log")).to_be_in_viewport()

        summary(page, 90).press("Enter")  # closes it
        page.get_by_role("searchbox").fill("part-1")
        expect(order(page, 90)).to_be_hidden()
        page.locator("#graph .node").nth(89).press("Enter")
        expect(order(page, 90).locator(".log")).to_be_in_viewport()
        expect(shown(page)).to_have_count(100)


def test_address_of_an_order_opens_it(opened: Opened) -> None:
    with opened(of_size(100), at="#order-60") as page:
        expect(order(page, 60).locator(".log")).to_be_in_viewport()


def test_edges_of_the_order_at_hand_stand_out(opened: Opened) -> None:
    needs = {
        "one": [],
        "two": [],
        "three": ["one", "two"],
        "four": ["one", "two"],
        "five": ["four"],
    }
    orders = {
        name: an_order(n, dependencies=given) for n, (name, given) in enumerate(needs.items(), 1)
    }
    lit = """all => all.map(path => path.dataset.end ?? path.parentElement.dataset.to)"""

    with opened(a_run(orders)) as page:
        for name, number in (("one", 1), ("four", 4)):
            page.locator(f"#graph .node[data-order='order-{number}']").focus()
            ends = sorted(page.eval_on_selector_all(".edges .lit", lit))
            expected = {
                "one": ["order-1", "order-3", "order-4"],
                "four": ["order-1", "order-2", "order-4", "order-5"],
            }
            assert ends == expected[name]
        page.get_by_role("searchbox").focus()
        expect(page.locator(".edges .lit")).to_have_count(0)


def test_dot_that_is_pointed_at_is_named(opened: Opened) -> None:
    with opened(of_size(200)) as page:
        named = page.locator("#graph .pointed")
        page.locator("#graph .node[data-order='order-22']").focus()
        expect(named).to_have_text("order-22: failed")
        page.locator("#graph .node[data-order='order-1']").hover()
        expect(named).to_have_text("order-1: succeeded")
        page.locator("h1").hover()
        expect(named).to_be_empty()


def every_status(log: str) -> dict[str, Any]:
    """Return an order of each status, with its reason."""
    return {
        status: an_order(n, status=str(status), exit_code=n, log=log, reason="why")
        for n, status in enumerate(OrderStatus, 1)
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(opened: Opened, scheme: str) -> None:
    """Axe (Deque's rules for WCAG) must get past the policy to run."""
    orders = every_status("\x1b[31mred\x1b[0m\n")
    orders["after"] = an_order(9, dependencies=list(orders))
    details = [{"path": "orders.after", "message": "wrong"}]
    run = a_run(orders, status="failed", reason="why", details=details)
    events = [an_event("_job", 1, "accepted", message="hello"), an_event("after", 2, "claimed")]

    with opened(run, events, color_scheme=scheme, bypass_csp=True) as page:
        page.get_by_role("button", name="Expand all").click()
        found = Axe().run(page)

    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 20


CONTRASTS = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      if (at.matches('a.node')) return rgb(getComputedStyle(at.querySelector('rect')).fill);
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const text = node.data.trim();
    if (!text || !element.checkVisibility() || element.matches('script, title')) continue;
    const style = getComputedStyle(element);
    const front = rgb(element.closest('svg') ? style.fill : style.color);
    const [a, b] = [light(front), light(ground(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), `${element.outerHTML.slice(0, 60)}: ${text}`]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_dark(opened: Opened, scheme: str) -> None:
    fronts = "".join(f"\x1b[{n}mfront {n}\x1b[0m " for n in (*range(30, 38), *range(90, 98), 2))
    backs = "".join(f"\x1b[{n}mback {n}\x1b[0m " for n in (*range(40, 48), *range(100, 108), 7))
    orders = every_status(fronts + backs)
    events = [an_event("_job", 1, "accepted", message="hello")]

    with opened(a_run(orders, reason="why"), events, color_scheme=scheme) as page:
        page.get_by_role("button", name="Expand all").click()
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        contrasts = page.evaluate(CONTRASTS)

    assert (sum(map(int, ground[4:-1].split(","))) > 384) is (scheme == "light")
    assert len(contrasts) > 300
    assert [each for each in contrasts if each[0] < 4.5] == []


def test_page_can_be_read_without_its_script(opened: Opened) -> None:
    with opened(of_size(30), java_script_enabled=False) as page:
        summary(page, 1).click()

        expect(order(page, 1).locator(".log")).to_contain_text("made part-1")
        expect(page.get_by_role("searchbox")).to_have_count(0)
        expect(page.locator("#timeline ol li")).to_have_count(30)


@pytest.mark.parametrize("width", [320, 360, 800, 1600])
def test_page_fits_narrow_and_wide_windows(opened: Opened, width: int) -> None:
    run = of_size(30)
    run["orders"]["x" * 80] = an_order(31, cmds=["y" * 500], log="z" * 5000, status="failed")

    with opened(run, viewport={"width": width, "height": 800}) as page:
        page.get_by_role("button", name="Expand all").click()

        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # A name that fits into a line takes one.
        heights = page.locator(".name").evaluate_all("all => all.map((it) => it.clientHeight)")
        assert max(heights[:-1]) < 30


def test_what_is_scrolled_to_lies_below_the_bar_in_a_narrow_window(opened: Opened) -> None:
    tops = """() => ['#order-40 summary', '.top']
      .map((it) => document.querySelector(it).getBoundingClientRect())
      .map((it, at) => at ? it.bottom : it.top)"""
    with opened(of_size(60), viewport={"width": 320, "height": 800}, at="#order-40") as page:
        top, bar = page.evaluate(tops)
        assert bar <= top < bar + 30

        page.get_by_role("searchbox").fill("part")  # what it found is one line more
        expect(page.locator("#found")).to_contain_text("matches")
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        summary(page, 40).focus()
        top, bar = page.evaluate(tops)
        assert bar <= top < 800


def test_page_prints_open_logs_whole_and_no_controls(opened: Opened) -> None:
    run = a_run({"plan": an_order(1, status="failed", log="line\n" * 500)})

    with opened(run) as page:
        page.emulate_media(media="print")

        expect(page.get_by_role("searchbox")).to_have_count(0)
        expect(page.get_by_role("button")).to_have_count(0)
        log = page.locator("pre.log")
        assert log.evaluate("log => log.scrollHeight <= log.clientHeight + 1")
        assert page.pdf().count(b"/Type /Page\n") > 5
