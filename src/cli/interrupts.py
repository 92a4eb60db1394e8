"""What Ctrl-C and its kin mean: first cancel the run in good order, then stop at once."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any, Final, Self

AT_ONCE_S: Final = 0.05  # nobody presses Ctrl-C twice as fast
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While entered, the first signal sets `requested` and the second raises KeyboardInterrupt.

    `timeout` sends its signal twice at once, to the process and to its group: that is one.
    """

    def __init__(self) -> None:
        self.requested = False
        self._last: tuple[int, float] = 0, 0.0  # which signal came when
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            previous = signal.getsignal(number)
            if number is signal.SIGHUP and previous is signal.SIG_IGN:
                continue  # nohup: the run shall outlive its terminal
            self._previous[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def __call__(self) -> bool:
        """Return whether the run shall be cancelled."""
        return self.requested

    def _take(self, number: int, _frame: FrameType | None) -> None:
        (last, at), now = self._last, time.monotonic()
        self._last = number, now
        if number == last and now - at < AT_ONCE_S:
            return
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
