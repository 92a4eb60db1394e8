"""What a watchdog does in one turn, as pure functions of what lies in S3 and of the time.

A watchdog ends on an acknowledgement and on nothing else (rule 7): until then it pokes the
orchestrator, and at a deadline it ends the order from outside (rule 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from src.common.messages import Claim, WatchdogInput
from src.common.status import OrderStatus

GRACE_MS: Final = 30_000  # past a deadline: what a worker reports at its deadline still arrives
POKE_EVERY_MS: Final = 5 * 60_000


class Turn(Enum):
    """The simple outcomes of a turn."""

    FINISHED = "finished"
    WAIT = "wait"
    POKE = "poke"


@dataclass(frozen=True, slots=True)
class EndOrder:
    """Write this result, after taking the claim if `claim_first`."""

    status: OrderStatus
    reason: str
    claim_first: bool


def may_be_overdue(task: WatchdogInput, now: int) -> bool:
    """Return whether an order without a result can be past a deadline at all at `now`."""
    return now >= min(task.due_at, task.start_by) + GRACE_MS


def overdue(task: WatchdogInput, claim: Claim | None, now: int) -> EndOrder | Turn:
    """Decide about an order that has no result.

    Nobody claimed it within its start window: it failed as never started. A worker claimed it and
    its time is over: it timed out, and the worker is dead or cut off. Somebody who was ending it
    from outside claimed it and wrote no result within the grace: finish what was begun.
    """
    if claim is None:
        if now < task.start_by + GRACE_MS:
            return Turn.WAIT
        return EndOrder(
            OrderStatus.FAILED, "never started: no worker claimed it in time", claim_first=True
        )
    if now < min(claim.end_by, task.end_by) + GRACE_MS:
        return Turn.WAIT
    if claim.status is not None:
        return EndOrder(claim.status, claim.reason or "", claim_first=False)
    reason = "timed out: its worker reported nothing by its deadline"
    return EndOrder(OrderStatus.TIMED_OUT, reason, claim_first=False)


def run_turn(task: WatchdogInput, now: int) -> Turn:
    """Decide about an unfinished run: poke every five minutes, and each turn past its deadline."""
    if now >= task.end_by:
        return Turn.POKE
    if task.poked_at is not None and now - task.poked_at >= POKE_EVERY_MS:
        return Turn.POKE
    return Turn.WAIT
