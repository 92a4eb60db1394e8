"""Limits of the platform that callers must respect, the same for every adapter."""

from __future__ import annotations

from typing import Final

from src.common.errors import Permanent
from src.common.records import Change

TRANSACTION_ITEMS: Final = 100  # TransactWriteItems
PACKED_CODE: Final = 96 * 2**20  # bytes, of all code of a job: packaging has 512 MB of memory


def check_change(change: Change) -> None:
    """Refuse a change that does not fit one transaction.

    Raises:
        ValueError: it holds more than 100 items, or a row twice (a programming error).
    """
    items = 1 + len(change.orders) + len(change.events) + (change.lock is not None)
    if items > TRANSACTION_ITEMS:
        raise ValueError(f"change of {change.run.run_id} holds {items} items, over the limit")
    if len({order.num for order in change.orders}) != len(change.orders):
        raise ValueError(f"change of {change.run.run_id} holds a row twice")


def check_packed(size: int, what: str) -> None:
    """Refuse an object that is no code of a job: it would not even fit into memory.

    Raises:
        Permanent: it is too large.
    """
    if size > PACKED_CODE:
        raise Permanent(f"{what}: {size} bytes, over {PACKED_CODE}")
