"""The list of grants that are unused or too broad and kept all the same: `listed.toml`.

An entry names role, verdict, action and resources (in the short form of the report), and why: the
line of docs/SPECIFICATION.md, or AWS's rule with its page. One that nothing needs is stale.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.iam.judge import Row, Verdict
from tests.support.iam.short import Short

FILE: Final = Path(__file__).with_name("listed.toml")


@dataclass(frozen=True)
class Entry:
    """Grants of one role that may be as `verdict` says."""

    role: str
    verdict: Verdict
    action: str
    resources: tuple[str, ...]
    line: str = ""  # of the specification
    rule: str = ""  # of AWS, with `page`
    page: str = ""
    only: tuple[str, ...] = ()  # of an action pattern that is too broad: no others are in use

    @property
    def reason(self) -> str:
        """Why it may be so."""
        return f'specification: "{self.line}"' if self.line else f"AWS: {self.rule} ({self.page})"


class Entries:
    """The entries, for a plan whose names `short` knows."""

    def __init__(self, entries: Iterable[Entry], short: Short) -> None:
        self._entries, self._short = tuple(entries), short

    def reason(self, row: Row) -> str:
        """Return why a row may be so; empty: no entry says."""
        return next((one.reason for one in self._entries if self._fits(one, row) is not None), "")

    def stale(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield a finding for each resource of an entry that none of the rows needs."""
        rows = list(rows)
        for one in self._entries:
            found = {self._fits(one, row) for row in rows}
            for resource in one.resources:
                if resource not in found:
                    why = f"listed as {one.verdict}, and is not"
                    yield Row(one.role, one.action, resource, Verdict.STALE, why)

    def _fits(self, entry: Entry, row: Row) -> str | None:
        """Return which of the entry's resources the row is about."""
        resource = self._short(row.resource)
        same = (entry.role, entry.verdict, entry.action) == (row.role, row.verdict, row.action)
        only = not entry.only or {*row.why.removeprefix("only ").split(", ")} <= {*entry.only}
        return resource if same and only and resource in entry.resources else None


def read(text: str) -> list[Entry]:
    """Return the entries of a list.

    Raises:
        ValueError: an entry has not exactly one reason; the message names it.
    """
    found = [_entry(each) for each in tomllib.loads(text)["listed"]]
    for one in found:
        if bool(one.line) == bool(one.rule) or bool(one.rule) != bool(one.page):
            name = f"{one.role} {one.action} {one.verdict}"
            raise ValueError(f"{name}: give a line of the specification, or a rule and its page")
    return found


def _entry(given: Mapping[str, Any]) -> Entry:
    return Entry(
        **{
            **given,
            "verdict": Verdict(given["verdict"]),
            "resources": tuple(given["resources"]),
            "only": tuple(given.get("only", ())),
        }
    )
