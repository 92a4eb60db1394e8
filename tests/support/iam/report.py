"""The comparison of needs and grants as a table for people and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.iam import access_log, judge, listed, needs
from tests.support.iam.grants import bucket_statements, roles
from tests.support.iam.judge import Row, Verdict
from tests.support.iam.recorder import Call
from tests.support.iam.short import Short
from tests.support.terraform.names import Names
from tests.support.terraform.plan import Plan


@dataclass(frozen=True)
class Report:
    """The rows of every role of a plan."""

    rows: Sequence[Row]
    short: Short

    @classmethod
    def of(cls, plan: Plan, calls: Iterable[Call], logged: Iterable[str] = ()) -> Report:
        """Judge recorded calls, and what AWS does itself, against a plan, both ways.

        `logged` are the lines of an applied stack's access log.
        """
        names = Names(plan.case)
        short = Short(names)
        allowed, refused = access_log.read(logged, names)
        needed = needs.of_calls(calls) | needs.of_platform(plan)
        kept = listed.Entries(listed.read(listed.FILE.read_text()), short)
        rows = judge.judge(roles(plan), needed, bucket_statements(plan), kept, allowed)
        return cls(sorted([*rows, *refused]), short)

    @classmethod
    def of_denials(cls, plan: Plan, calls: Iterable[Call], logged: Iterable[str] = ()) -> Report:
        """Judge recorded calls against a plan: is each granted, and was each there?"""
        names = Names(plan.case)
        rows = judge.denials(roles(plan), needs.of_calls(calls), bucket_statements(plan))
        _, refused = access_log.read(logged, names)
        return cls(sorted([*rows, *refused]), Short(names))

    @property
    def findings(self) -> list[Row]:
        """What has to be done something about."""
        return [row for row in self.rows if row.is_finding]

    def line(self, row: Row) -> str:
        """Return a row as a line of text."""
        what = f"{row.role}: {row.action} on {self.short(row.resource)}"
        because = f" [{row.listed}]" if row.listed else ""
        return f"{row.verdict:9} {what}{f' ({self.short(row.why)})' if row.why else ''}{because}"

    @property
    def table(self) -> str:
        """Grants and findings by role, in Markdown; a grant is an action on a resource pattern."""
        verdicts = (Verdict.USED, Verdict.DENIED, Verdict.UNUSED, Verdict.BROAD)
        head = ["role", "granted", "used", "denied", "unused", "too broad", "listed"]
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        for role in sorted({row.role for row in self.rows}):
            of_role = [row for row in self.rows if row.role == role]
            granted = [r for r in of_role if r.verdict not in {Verdict.DENIED, Verdict.STALE}]
            counts = Counter(row.verdict for row in of_role if not row.listed)
            cells = [len(granted), *(counts[each] for each in verdicts)]
            cells.append(sum(bool(row.listed) for row in of_role))
            lines.append(f"| {' | '.join([role, *map(str, cells)])} |")
        return "\n".join(lines)

    def to_item(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "findings": len(self.findings),
            "rows": [
                {
                    "role": row.role,
                    "action": row.action,
                    "resource": row.resource,
                    "verdict": row.verdict.value,
                    "why": row.why,
                    "listed": row.listed,
                }
                for row in self.rows
            ],
        }
