"""The life of an order and of a job, as one literal table.

Everything that changes an order's status looks it up here; the diagram in docs/ARCHITECTURE.md is
drawn from this table. It knows nothing of storage, clocks or AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from src.common.errors import IllegalTransition


class OrderStatus(StrEnum):
    """Where an order stands."""

    QUEUED = "queued"
    DISPATCHING = "dispatching"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class OrderEvent(StrEnum):
    """What happens to an order."""

    CLAIM = "claim"
    HAND_OVER = "hand_over"
    SUCCEED = "succeed"
    FAIL = "fail"
    TIME_OUT = "time_out"
    CANCEL = "cancel"
    SKIP = "skip"


class JobStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


_ENDINGS: Final = {
    OrderEvent.SUCCEED: OrderStatus.SUCCEEDED,
    OrderEvent.FAIL: OrderStatus.FAILED,
    OrderEvent.TIME_OUT: OrderStatus.TIMED_OUT,
    OrderEvent.CANCEL: OrderStatus.CANCELLED,
}

TRANSITIONS: Final[Mapping[OrderStatus, Mapping[OrderEvent, OrderStatus]]] = {
    OrderStatus.QUEUED: {
        OrderEvent.CLAIM: OrderStatus.DISPATCHING,
        OrderEvent.SKIP: OrderStatus.SKIPPED,
        OrderEvent.CANCEL: OrderStatus.CANCELLED,
    },
    # A result may overtake the confirmation of the hand-over, so both active statuses end alike.
    OrderStatus.DISPATCHING: {OrderEvent.HAND_OVER: OrderStatus.RUNNING, **_ENDINGS},
    OrderStatus.RUNNING: {**_ENDINGS},
    OrderStatus.SUCCEEDED: {},
    OrderStatus.FAILED: {},
    OrderStatus.TIMED_OUT: {},
    OrderStatus.CANCELLED: {},
    OrderStatus.SKIPPED: {},
}

TERMINAL: Final = frozenset(status for status, moves in TRANSITIONS.items() if not moves)
ACTIVE: Final = frozenset({OrderStatus.DISPATCHING, OrderStatus.RUNNING})
ENDING_EVENT: Final[Mapping[OrderStatus, OrderEvent]] = {
    status: event for event, status in _ENDINGS.items()
}


def advance(status: OrderStatus, event: OrderEvent) -> OrderStatus:
    """Return the status that `event` leads to from `status`.

    Raises:
        IllegalTransition: the table has no such move.
    """
    try:
        return TRANSITIONS[status][event]
    except KeyError:
        raise IllegalTransition(f"an order that is {status} cannot {event}") from None
