"""Turns the record of a run into one HTML text that loads nothing and runs one known script.

Every value goes through the template's autoescape; the content security policy names style and
script by their hashes, so that nothing which slipped in could run, be fetched or be sent.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from src.cli import style
from src.cli.page.ansi import pieces
from src.cli.page.diagram import diagram
from src.cli.page.excerpts import WENT_WRONG, excerpts
from src.cli.page.model import RunRecord
from src.cli.page.timeline import timeline
from src.cli.text import CONTROLS, MARK, count, duration
from src.common import keys
from src.common.status import OrderStatus

TEMPLATE: Final = Path(__file__).parent / "template"
SCRIPTS: Final = ("keys.js", "views.js", "search.js")  # one after the other, in one scope
MAX_OPEN: Final = 3  # orders that went wrong whose logs are open at first
MAX_WRONG: Final = 10  # orders that the header names
MAX_LINKS: Final = 20  # dependencies, or dependents, that an order lists
MAX_EVENTS_OPEN: Final = 30


def page(run: RunRecord) -> str:
    """Return the page of a run: a whole HTML document."""
    css, script = _css(), _script()
    span = run.span
    needs = {order.name: order.dependencies for order in run.orders}
    wrong = [order for order in run.orders if order.status in WENT_WRONG]
    return (
        _environment()
        .get_template("page.html")
        .render(
            run=run,
            css=Markup(css),  # noqa: S704 - a file of this package
            script=Markup(script),  # noqa: S704 - as above
            policy=_policy(css, script),
            began=None if span is None else span[0],
            until=None if span is None else span[1],
            total=None if span is None else span[1] - span[0],
            anchors={order.name: f"order-{n}" for n, order in enumerate(run.orders, 1)},
            dependents=_dependents(run),
            counts=_counts(run),
            slowest=_slowest(run),
            worked=sum(order.elapsed(span[1]) or 0 for order in run.orders) if span else 0,
            logs=excerpts(run.orders),
            wrong=wrong,
            most_wrong=MAX_WRONG,
            most_links=MAX_LINKS,
            opened={order.name for order in wrong[:MAX_OPEN]},
            diagram=diagram(needs) if needs else None,
            timeline=timeline(run) if needs else None,
            by_name={order.name: order for order in run.orders},
            job_name=keys.JOB,
            events_open=run.events is not None and len(run.events) <= MAX_EVENTS_OPEN,
        )
    )


def _css() -> str:
    return (TEMPLATE / "page.css").read_text(encoding="utf-8")


def _script() -> str:
    parts = "\n".join((TEMPLATE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f'"use strict";\n{{\n{parts}}}\n'


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters |= {
        "briefly": _briefly,
        "clock": _clock,
        "clock_ms": _clock_ms,
        "date": _date,
        "iso": _iso,
        "count": count,
        "duration": duration,
        "percent": _percent,
        "pieces": pieces,
        "sign": lambda status: style.sign(status, ascii_only=False),
        "word": style.word,
    }
    return environment


def _harmless(value: Any) -> Any:
    """Mark what hides or reorders text; what is markup already came through here before."""
    if type(value) is str and not (value.isascii() and value.isprintable()):
        return "\n".join(CONTROLS.sub(MARK, line) for line in value.split("\n"))
    return value


def _policy(css: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(css)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _dependents(run: RunRecord) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {order.name: [] for order in run.orders}
    for order in run.orders:
        for need in dict.fromkeys(order.dependencies):
            found[need].append(order.name)
    return found


def _counts(run: RunRecord) -> list[tuple[OrderStatus, int]]:
    counted = Counter(order.status for order in run.orders)
    return [(status, counted[status]) for status in OrderStatus if counted[status]]


def _slowest(run: RunRecord) -> tuple[str, int] | None:
    if run.span is None:
        return None
    times = ((order.name, order.elapsed(run.span[1])) for order in run.orders)
    known: Iterator[tuple[str, int]] = ((name, ms) for name, ms in times if ms is not None)
    return max(known, key=lambda entry: entry[1], default=None)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _iso(ms: int) -> str:
    return _moment(ms).isoformat(timespec="milliseconds")


def _date(ms: int) -> str:
    return _moment(ms).strftime("%Y-%m-%d %H:%M:%S UTC")


def _clock(ms: int) -> str:
    return _moment(ms).strftime("%H:%M:%S")


def _clock_ms(ms: int) -> str:
    return f"{_clock(ms)}.{ms % 1000:03d}"


def _briefly(ms: int) -> str:
    return duration(ms).removesuffix(" 00 s").removesuffix(" 00 min")


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.3f}%"
