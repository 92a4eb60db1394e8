"""The events of a run as a story: in the order in which one followed from the other."""

from __future__ import annotations

from src.common import keys
from src.common.records import Event
from src.common.status import TERMINAL, OrderStatus


def in_story(event: Event) -> tuple[int, int, str]:
    """Return where an event stands: by time, and within an atomic step, which has but one time.

    There an order ends before others are skipped or claimed for it, and the run ends last.
    """
    if event.order_name == keys.JOB:
        rank = 9 if event.event == "finished" else 0
    elif event.event == OrderStatus.SKIPPED.value:
        rank = 2
    else:
        rank = 1 if event.event in {status.value for status in TERMINAL} else 3
    return event.epoch, rank, event.sk
