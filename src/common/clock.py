"""The system's clock, the one that production uses."""

from __future__ import annotations

import time


class SystemClock:
    """Wall clock in milliseconds."""

    def now_ms(self) -> int:
        """Return the epoch time in milliseconds."""
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
