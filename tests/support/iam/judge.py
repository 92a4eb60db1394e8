"""Compares what roles need with what they are granted, both ways. Values in, findings out.

- denied: needed, not granted.
- unused: granted, never needed.
- too broad: a grant's pattern is wider than what everything needed of it has in common, read from
  its beginning up to the id of a run or the name of a log stream, which no policy can know.

Grants that the specification or AWS demands although they are unused or too broad are listed, with
the reason; an entry that is not so (any more) is a finding too: stale.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from src.common import keys
from tests.support.iam.actions import expand, has_resources
from tests.support.iam.grants import Role, Statement
from tests.support.iam.needs import Need
from tests.support.iam.patterns import covers_action, covers_arn, fixed_part

CONTEXT: Final = {"aws:SecureTransport": "true"}  # boto3 and presigned URLs speak HTTPS

_REQUESTS: Final = keys.request_key("").removesuffix(".json")
_RUNS_PART: Final = re.compile(
    rf"(:::[^/]+/(?:{keys.EXEC}|{keys.CALLBACKS}|{_REQUESTS}|(?={keys.RUN_ID.pattern}/done$))).*"
)
_STREAM: Final = re.compile(r"(:log-group:[^:]+:)log-stream:.*")


class Verdict(StrEnum):
    """What is to be said of a grant, a need or an entry of the list."""

    USED = "used"
    DENIED = "denied"
    UNUSED = "unused"
    BROAD = "too broad"
    STALE = "stale"


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """A verdict over an action on a resource pattern of a role; `why` is what it rests on."""

    role: str
    action: str
    resource: str
    verdict: Verdict
    why: str
    listed: str = ""  # the reason why it may be so

    @property
    def is_finding(self) -> bool:
        """Whether something has to be done about it."""
        return self.verdict is not Verdict.USED and not self.listed


class Listed(Protocol):
    """The list of what may be unused or too broad."""

    def reason(self, row: Row) -> str:
        """Return why a row may be so; empty: nobody says."""

    def stale(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield a finding for each entry that none of the rows needs."""


def judge(
    roles: Mapping[str, Role],
    needs: Iterable[Need],
    buckets: Sequence[Statement],
    listed: Listed,
    elsewhere: Iterable[Need] = (),
) -> list[Row]:
    """Return a row for each grant, and for each need that none covers.

    Args:
        roles: by key; every need's role is among them.
        needs: of calls and of the platform.
        buckets: statements of bucket policies; they are for everybody.
        listed: what may be so.
        elsewhere: what a stack of other variables was seen to need, and granted: shows use alone.
    """
    needs, used = list(needs), defaultdict[str, list[Need]](list)
    for need in (*needs, *elsewhere):
        used[need.role].append(need)
    if unknown := used.keys() - roles.keys():
        raise KeyError(f"calls of {sorted(unknown)}, for which the plan has no role")
    found = denials(roles, needs, buckets)
    found += [row for key, role in roles.items() for row in _grants(role, used[key])]
    found = [_with_reason(row, listed) for row in found]
    return sorted([*found, *listed.stale(found)])


def denials(
    roles: Mapping[str, Role], needs: Iterable[Need], buckets: Sequence[Statement]
) -> list[Row]:
    """Return a row for each need that no grant covers."""
    return sorted(
        Row(need.role, need.action, need.resource, Verdict.DENIED, need.by)
        for need in set(needs)
        if not _granted(roles[need.role], need, buckets)
    )


def _with_reason(row: Row, listed: Listed) -> Row:
    if row.verdict is Verdict.USED:
        return row
    reason = listed.reason(row)
    return Row(row.role, row.action, row.resource, row.verdict, row.why, reason)


def _granted(role: Role, need: Need, buckets: Sequence[Statement]) -> bool:
    refused = any(
        not one.allows and one.covers(need.action, need.resource, CONTEXT) for one in buckets
    )
    return role.may(need.action, need.resource, CONTEXT) and not refused


def _grants(role: Role, needs: Sequence[Need]) -> Iterator[Row]:
    for statement in role.statements:
        if not statement.allows:
            continue
        for action in statement.actions:
            for pattern in statement.resources:
                yield _grant(role.key, action, pattern, needs)


def _grant(role: str, action: str, pattern: str, needs: Sequence[Need]) -> Row:
    used = [
        need
        for need in needs
        if covers_action(action, need.action) and covers_arn(pattern, need.resource)
    ]
    by = ", ".join(sorted({need.by for need in used}))
    if not used:
        return Row(role, action, pattern, Verdict.UNUSED, "")
    if beyond := _beyond(action, used):
        return Row(role, action, pattern, Verdict.BROAD, beyond)
    if pattern != fixed_part(pattern):
        common = common_part(need.resource for need in used)
        single = has_resources(used[0].action)
        if single and len(common) > len(fixed_part(pattern)):
            return Row(role, action, pattern, Verdict.BROAD, f"all begin with {common}")
    return Row(role, action, pattern, Verdict.USED, by)


def _beyond(action: str, used: Sequence[Need]) -> str:
    """Say which of an action pattern's actions are needed, if not all are."""
    needed = sorted({need.action for need in used})
    return f"only {', '.join(needed)}" if {*expand(action)} - {*needed} else ""


def common_part(arns: Iterable[str]) -> str:
    """Return what ARNs have in common from their beginning, up to the run's or order's part."""
    return os.path.commonprefix([without_ids(arn) for arn in arns])  # noqa: RUF071 - of text


def without_ids(arn: str) -> str:
    """Return an ARN up to the part that is a run's, an order's or a log stream's own."""
    return _STREAM.sub(r"\1", _RUNS_PART.sub(r"\1", arn))


def granted_nothing(statements: Iterable[Statement], action: str) -> bool:
    """Return whether no statement allows an action on anything."""
    return not any(
        one.allows and any(covers_action(pattern, action) for pattern in one.actions)
        for one in statements
    )
