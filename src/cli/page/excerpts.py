"""How much of each log a page holds: all of it where that is not too much for a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from src.cli.page.model import OrderRecord
from src.common.status import OrderStatus

BUDGET: Final = 12_000_000  # characters of all logs together; a browser opens that in a second
WENT_WRONG: Final = frozenset({OrderStatus.FAILED, OrderStatus.TIMED_OUT})


def excerpts(orders: Sequence[OrderRecord], budget: int = BUDGET) -> list[str]:
    """Return the part of each order's log that the page shows.

    What went wrong is served first. Among equals the longest logs give way: each gets the same
    bound, and logs within it stay whole.
    """
    wrong = [len(order.log) for order in orders if order.status in WENT_WRONG]
    fine = [len(order.log) for order in orders if order.status not in WENT_WRONG]
    bound_wrong = bound(wrong, budget)
    bound_fine = bound(fine, budget - sum(min(size, bound_wrong) for size in wrong))
    return [
        _cut(order.log, bound_wrong if order.status in WENT_WRONG else bound_fine)
        for order in orders
    ]


def bound(sizes: Sequence[int], budget: int) -> int:
    """Return the greatest bound under which all sizes, cut to it, fit the budget together."""
    left, waiting = budget, len(sizes)
    for size in sorted(sizes):
        if size * waiting > left:
            return left // waiting
        left -= size
        waiting -= 1
    return max(sizes, default=0)


def _cut(log: str, most: int) -> str:
    """Keep the beginning and, of more use, the end."""
    if len(log) <= most:
        return log
    head = log[: most // 4]
    tail = log[len(log) - (most - len(head)) :] if most else ""
    left_out = len(log) - len(head) - len(tail)
    # Colours that were on before the cut would bleed into what follows it: the reset ends them.
    return f"{head}\x1b[0m\n[... {left_out:,} characters are not on this page ...]\n{tail}"
