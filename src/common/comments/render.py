"""The comment's text: what of a run fits into it, and how it looks. Pure.

Whatever a run holds, a comment is at most `LIMIT` long: the table names as many orders as fit,
those that did not succeed before the others, and the logs share what room is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from src.common.comments.markdown import LONGEST_TICKS, code, fenced, log_text, size, tail
from src.common.records import Order, Run
from src.common.status import TERMINAL, OrderStatus
from src.common.text import duration

LIMIT: Final = 65_000  # of GitHub's 65,536
_TABLE: Final = 24_000  # at most so much of it for the table, so that logs find room
_LOG: Final = 8_000  # at most so much of one log
_TOO_SMALL: Final = 200  # a shorter piece of a log tells nothing
_REASON: Final = 240  # characters of one reason
_FENCES: Final = 2 * (LONGEST_TICKS + 1) + 8  # what the frame of a log may grow by

_LOOKS: Final[Mapping[str, tuple[str, str]]] = {
    "queued": ("⏳", "queued"),
    "dispatching": ("🟡", "starting"),
    "running": ("🟡", "running"),
    "succeeded": ("✅", "succeeded"),
    "failed": ("❌", "failed"),
    "timed_out": ("⏰", "timed out"),
    "cancelled": ("🚫", "cancelled"),
    "skipped": ("⏭️", "skipped"),
}
# Who comes first where not all fit.
_RANK: Final = ("failed", "timed_out", "cancelled", "running", "dispatching", "skipped", "queued")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One order as the comment shows it; times are epoch milliseconds."""

    num: str
    name: str
    status: OrderStatus = OrderStatus.QUEUED
    exit_code: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    reason: str | None = None
    log: str = ""

    @classmethod
    def of(cls, order: Order) -> Self:
        """Return an order's row."""
        return cls(
            num=order.num,
            name=order.name,
            status=order.status,
            exit_code=order.exit_code,
            started_at=order.started_at,
            finished_at=order.finished_at,
            reason=order.reason,
        )


def marker(tag: str) -> str:
    """Return the hidden first line by which a run's comment is found again."""
    return f"<!-- iac-ci: {tag} -->"


def progress(run: Run, lines: Sequence[Line]) -> str:
    """Return the comment on a run that goes on."""
    ended = sum(line.status in TERMINAL for line in lines)
    head = f"### {_look('running')}: {ended} of {run.total} orders ended"
    return _fit([marker(run.pr_search_tag), head, _about(run)], lines, [_foot(run)])


def summary(run: Run, lines: Sequence[Line]) -> str:
    """Return the last comment: how the run and each order ended, and the end of each log."""
    took = duration((run.finished_at or run.created_at) - run.created_at)
    head = [marker(run.pr_search_tag), f"### {_look(run.status)} after {took}", _about(run)]
    if run.reason:
        head.append(code(run.reason[:_REASON]))
    return _fit(head, lines, [_foot(run)])


def refused(run: Run, problems: Iterable[tuple[str, str]]) -> str:
    """Return the comment on a run of which nothing starts: each problem's path and message."""
    head = [marker(run.pr_search_tag), "### ❌ nothing was started", _about(run)]
    foot = _foot(run)
    room = LIMIT - size("\n\n".join([*head, foot])) - _TOO_SMALL
    rows: list[str] = []
    given = list(problems)
    for path, message in given:
        row = (
            f"- {code(path)}: {code(message[: 2 * _REASON])}"
            if path
            else f"- {code(message[: 2 * _REASON])}"
        )
        if size(row) + 1 > room:
            rows.append(f"- and {len(given) - len(rows):,} more")
            break
        room -= size(row) + 1
        rows.append(row)
    return "\n\n".join([*head, "\n".join(rows), foot])


def log_order(lines: Iterable[Line]) -> list[Line]:
    """Return orders that ran, those whose logs are wanted most first."""
    ran = (line for line in lines if line.started_at is not None)
    return sorted(ran, key=lambda line: (_rank(line), line.num))


def _fit(head: list[str], lines: Sequence[Line], foot: list[str]) -> str:
    """Return the parts with the table and the logs between them, within the limit."""
    fixed = size("\n\n".join(head + foot)) + 8
    table = _table(lines, min(_TABLE, LIMIT - fixed))
    logs = _logs(log_order(line for line in lines if line.log), LIMIT - fixed - size(table))
    return "\n\n".join([*head, table, *logs, *foot])


def _table(lines: Sequence[Line], room: int) -> str:
    """Return as many orders as fit, in their own order, and how many others there are."""
    noted = any(map(_notes, lines))
    top = ["| order | status | time |", "|:--|:--|--:|"]
    if noted:
        top = ["| order | status | time | note |", "|:--|:--|--:|:--|"]
    room -= sum(size(row) + 1 for row in top) + _TOO_SMALL
    chosen: dict[str, str] = {}
    for line in sorted(lines, key=lambda line: (_rank(line), line.num)):
        row = _row(line) + (f" {_notes(line)} |" if noted else "")
        if size(row) + 1 > room:
            break
        room -= size(row) + 1
        chosen[line.num] = row
    rows = [chosen[line.num] for line in lines if line.num in chosen]
    left = Counter(str(line.status) for line in lines if line.num not in chosen)
    if left:
        told = ", ".join(
            f"{number:,} {_LOOKS[status][1]}" for status, number in sorted(left.items())
        )
        rows.append(f"| and {left.total():,} more | {told} | |" + " |" * noted)
    return "\n".join(top + rows)


def _row(line: Line) -> str:
    took = ""
    if line.started_at is not None and line.finished_at is not None:
        took = duration(line.finished_at - line.started_at)
    cells = [_look(line.status), took]
    return f"| {code(line.name)} | {' | '.join(cell.replace(' ', '&nbsp;') for cell in cells)} |"


def _notes(line: Line) -> str:
    told = [f"exit code {line.exit_code}"] if line.exit_code else []
    told += [code(line.reason[:_REASON])] if line.reason else []
    return ", ".join(told)


def _logs(lines: Sequence[Line], room: int) -> list[str]:
    """Return a section per log: who failed gets what it needs before the others share the rest."""
    bad = [line for line in lines if line.status is not OrderStatus.SUCCEEDED]
    good = [line for line in lines if line.status is OrderStatus.SUCCEEDED]
    sections = _sections(bad, room, first_open=True)
    left = room - sum(size(section) + 2 for section in sections)
    return sections + _sections(good, left, first_open=False)


def _sections(lines: Sequence[Line], room: int, *, first_open: bool) -> list[str]:
    """Return the sections of logs that take no more than `room` together, in equal shares."""
    texts = [log_text(line.log) for line in lines]
    frames = [size(_section(line, "", cut=True)) + _FENCES for line in lines]
    pairs = list(zip(texts, frames, strict=True))
    share = _share([min(size(text), _LOG) + frame for text, frame in pairs], room)
    sections: list[str] = []
    for line, (text, frame) in zip(lines, pairs, strict=True):
        fits = min(size(text), _LOG, share - frame)
        if not text or (fits < size(text) and fits < _TOO_SMALL):
            continue
        shown = tail(text, fits)
        cut = len(shown) < len(text)
        sections.append(_section(line, shown, cut=cut, is_open=first_open and not sections))
    return sections


def _share(wanted: Sequence[int], room: int) -> int:
    """Return the most that each may have so that all together take no more than `room`."""
    left = room
    for at, want in enumerate(sorted(wanted)):
        equal = left // (len(wanted) - at)
        if want > equal:
            return equal
        left -= want
    return room


def _section(line: Line, text: str, *, cut: bool, is_open: bool = False) -> str:
    icon, _ = _LOOKS[line.status]
    what = "end of the log" if cut else "log"
    title = f"<details{' open' * is_open}><summary>{icon} {code(line.name)}: {what}</summary>"
    return f"{title}\n\n{fenced(text)}\n\n</details>"


def _rank(line: Line) -> int:
    status = str(line.status)
    return _RANK.index(status) if status in _RANK else len(_RANK)


def _look(status: str) -> str:
    return " ".join(_LOOKS[status])


def _about(run: Run) -> str:
    return f"{code(run.flow_id)}, asked for by {code(run.username)}"


def _foot(run: Run) -> str:
    return f"<sub>run {code(run.run_id)}, outcome in {code(run.done_endpt)}</sub>"


def of_outcome(outcome: Mapping[str, Any]) -> list[Line]:
    """Return the orders of a done object."""
    return [
        Line(
            num=order["num"],
            name=name,
            status=OrderStatus(order["status"]),
            exit_code=order.get("exit_code"),
            started_at=order.get("started_at"),
            finished_at=order.get("finished_at"),
            reason=order.get("reason"),
        )
        for name, order in outcome["orders"].items()
    ]
