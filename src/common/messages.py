"""What the handlers tell each other through S3, invocations and executions.

Claims and results come from workers, beside which strangers' commands run: `read_claim` and
`read_result` take nothing in them for granted. Times are epoch milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from src.common.codec import decode
from src.common.keys import is_order_num
from src.common.plain import VERSION, Record
from src.common.status import ENDING_EVENT, OrderStatus

MAX_REASON: Final = 500  # characters; a row holds it
MAX_HINTS: Final = 40  # dependents that a result names: as many as one step can tell, about
_LARGEST: Final = 2**53  # of a number: beyond it neither JSON nor DynamoDB need agree with us


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Record):
    """`claim.json`: who may start, or has ended, an order. Created once, never changed.

    `by` is `worker`, `watchdog` or `orchestrator`; `end_by` is when a worker's commands must have
    ended. One that ends the order from outside says how (`status`, `reason`), so that anybody can
    finish what it began if it dies before it wrote the result.
    """

    by: str
    nonce: str
    claimed_at: int
    end_by: int
    request_id: str | None = None
    status: OrderStatus | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.status is not None:
            object.__setattr__(self, "status", OrderStatus(self.status))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Record):
    """`result.json` of an order, or of packaging. Created once: the first writer wins."""

    status: OrderStatus
    exit_code: int | None = None
    log: str = ""
    log_truncated: bool = False
    started_at: int | None = None
    finished_at: int | None = None
    reason: str | None = None  # why it ended without its commands saying so
    problems: tuple[Mapping[str, str], ...] = ()  # of packaging: {"path", "message"} each
    dependents: tuple[str, ...] = ()  # as the dispatch named them: a hint what to read with its row

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", OrderStatus(self.status))
        object.__setattr__(self, "problems", tuple(self.problems))
        hints = self.dependents if isinstance(self.dependents, list | tuple) else ()
        object.__setattr__(self, "dependents", tuple(hints))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch(Record):
    """What a worker is handed: the Lambda's event, or the build's `IAC_CI_PAYLOAD`.

    Holds the identity of this one order's bundle and no other secret. `start_by` and `end_by` are
    absolute; the commands' own deadline is the claim's time plus `timeout`, at most `end_by`.
    """

    run_id: str
    trace_id: str
    num: str
    name: str
    token: str
    identity: str
    bundle_key: str
    stop_key: str
    claim_url: str
    claim_read_url: str  # who won the claim: the answer to a 412
    result_url: str
    start_by: int
    end_by: int
    timeout: int
    dependents: tuple[str, ...] = ()  # order numbers, the first MAX_HINTS: the result says them on
    version: int = VERSION

    def __post_init__(self) -> None:
        object.__setattr__(self, "dependents", tuple(self.dependents))


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogInput(Record):
    """Input of a watchdog execution, made from rows alone so that repeating it changes nothing.

    For an order, `start_by` and `end_by` are the row's and `due_at` is the earliest time at which
    its commands can be overdue. For the run itself (`num` `0000`), `start_by` and `end_by` are the
    deadlines of packaging and of the job.
    """

    run_id: str
    num: str
    start_by: int
    end_by: int
    due_at: int
    trace_id: str = ""  # for the log alone
    done: bool = False
    poked_at: int | None = None
    version: int = VERSION


def read_claim(body: bytes, end_by: int) -> Claim:
    """Return the claim in `body`; an unreadable one is a worker's that must end by `end_by`."""
    unreadable = Claim(by="worker", nonce="", claimed_at=end_by, end_by=end_by)
    try:
        claim = Claim.from_item(decode(body))
    except (ValueError, TypeError):
        return unreadable
    if _number(claim.end_by) is None or _number(claim.claimed_at) is None:
        return unreadable
    return replace(claim, reason=_text(claim.reason))


def read_result(body: bytes, what: str) -> Result:
    """Return how an order ended, by its result: status, exit code, times, reason, hints; no log.

    What is not of its type or too large is left out; a result that says no end of an order is a
    failure of the order. `what` names it in that case.
    """
    try:
        result = Result.from_item(decode(body))
    except (ValueError, TypeError) as error:
        reason = _text(f"{what} is unreadable: {error}")
        return Result(status=OrderStatus.FAILED, reason=reason)
    if result.status not in ENDING_EVENT:
        reason = f"{what} says {result.status}, which ends nothing"
        return Result(status=OrderStatus.FAILED, reason=reason)
    return Result(
        status=result.status,
        exit_code=_number(result.exit_code),
        started_at=_number(result.started_at),
        finished_at=_number(result.finished_at),
        reason=_text(result.reason),
        dependents=tuple(filter(_is_hint, result.dependents))[:MAX_HINTS],
    )


def _is_hint(value: Any) -> bool:
    return isinstance(value, str) and is_order_num(value)


def _number(value: Any) -> int | None:
    return value if type(value) is int and abs(value) < _LARGEST else None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value)[: 2 * MAX_REASON].encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"
