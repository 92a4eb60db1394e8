"""How statuses look: one colour and one sign each, and a plain sign for plain terminals."""

from __future__ import annotations

from typing import Final

from src.common.status import JobStatus, OrderStatus
from src.common.text import word

__all__ = ["COLOUR", "sign", "word"]

COLOUR: Final[dict[str, str]] = {
    OrderStatus.QUEUED: "dim",
    OrderStatus.DISPATCHING: "cyan",
    OrderStatus.RUNNING: "cyan",
    OrderStatus.SUCCEEDED: "green",
    OrderStatus.FAILED: "red",
    OrderStatus.TIMED_OUT: "magenta",
    OrderStatus.CANCELLED: "yellow",
    OrderStatus.SKIPPED: "yellow",
}
_SIGN: Final[dict[str, tuple[str, str]]] = {
    OrderStatus.QUEUED: ("·", "."),
    OrderStatus.DISPATCHING: ("▹", ">"),
    OrderStatus.RUNNING: ("▸", ">"),
    OrderStatus.SUCCEEDED: ("✓", "+"),
    OrderStatus.FAILED: ("✗", "x"),
    OrderStatus.TIMED_OUT: ("◷", "t"),
    OrderStatus.CANCELLED: ("■", "c"),
    OrderStatus.SKIPPED: ("○", "-"),
}


def sign(status: OrderStatus | JobStatus, *, ascii_only: bool) -> str:
    """Return the one-cell sign of a status."""
    return _SIGN[status][ascii_only]
