"""How long the invocation that this process handles may still take.

A sandbox handles one event at a time, so the invocation is the process's. Whoever waits or tries
again asks here first: an attempt that the platform cuts off tells nobody what went wrong. Outside
an invocation (local runs, the command line) there is no end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

RESERVE_S: Final = 2.0  # kept back, to answer or to say what went wrong

_invocations: Final[list[Callable[[], int]]] = []  # the one that runs is the last


@contextmanager
def of(context: Any) -> Iterator[None]:
    """Make an invocation's remaining time the process's for as long as the block runs.

    `context` is Lambda's; one that does not tell its time has no end.
    """
    remaining_ms = getattr(context, "get_remaining_time_in_millis", None)
    if remaining_ms is None:
        yield
        return
    _invocations.append(remaining_ms)
    try:
        yield
    finally:
        _invocations.pop()


def left_s() -> float:
    """Return the seconds that may still be spent on calls; infinity where nothing ends us."""
    return _invocations[-1]() / 1000 - RESERVE_S if _invocations else math.inf
