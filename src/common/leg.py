"""Which leg of a trace this process is on: what one invocation does for one run.

A run goes through many invocations of four functions. Every line that is logged on a leg says whose
it is (`log.py`), so that a hop is found in the log groups: all hops by `trace_id`, one of them by
`trace_leg`. Knows neither how lines look nor where they go.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from src.common import keys

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Leg:
    """One leg; which trace it belongs to may come out only after the run was read."""

    run_id: str
    began_ms: int
    num: str = ""
    trace_id: str = ""

    def fields(self) -> dict[str, str]:
        """Return what a line says of its leg: `run_id`, `order_num`, `trace_id`, `trace_leg`."""
        found = {"run_id": self.run_id}
        if self.num:
            found["order_num"] = self.num
        if self.trace_id:
            found["trace_id"] = self.trace_id
            found["trace_leg"] = keys.trace_leg(self.trace_id, self.began_ms // 1000)
        return found


_CURRENT: Final[ContextVar[Leg | None]] = ContextVar("leg", default=None)


@contextmanager
def of(run_id: str, began_ms: int, *, num: str = "", trace_id: str = "") -> Iterator[None]:
    """Be on a leg for as long as the block runs; who is on one of this run already stays on it.

    `began_ms` (epoch) is when the invocation took it up, `num` the order if it is about one.
    """
    current = _CURRENT.get()
    if current is not None and current.run_id == run_id:
        yield
        return
    token = _CURRENT.set(Leg(run_id, began_ms, num))
    try:
        if trace_id:
            traced(trace_id)
        yield
    finally:
        _CURRENT.reset(token)


def traced(trace_id: str) -> None:
    """Say which trace the leg belongs to; the first time, a line is logged, whatever else is."""
    current = _CURRENT.get()
    if current is not None and not current.trace_id:
        current.trace_id = trace_id
        log.info("at work on %s", current.run_id + (f":{current.num}" if current.num else ""))


def fields() -> dict[str, str]:
    """Return what a line that is logged now says of its leg; nothing where there is none."""
    current = _CURRENT.get()
    return {} if current is None else current.fields()
