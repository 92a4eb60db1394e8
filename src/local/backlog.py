"""Lines on their way to whoever shows them, who may be slower than who prints them.

An order must not meet its timeout because of its viewer. So lines wait here, up to a bound; beyond
it the oldest give way to a word about them, or, where every line counts, the printing waits.
The log of the order is kept elsewhere and loses nothing by it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

LATEST: Final = 256 * 1024  # characters that wait for a viewer who wants the latest lines
EVERY: Final = 8 * 2**20  # for one who wants every line: what a burst may run ahead
_MESSAGE: Final = 16 * 1024


class Backlog:
    """Takes lines and gives them on in messages, to a viewer who says if it `keeps_up`.

    `send_soon` must not wait; `send` may, and is used where lines may not be lost.
    """

    def __init__(
        self,
        keeps_up: Callable[[], bool],
        send_soon: Callable[[str], None],
        send: Callable[[str], None],
        *,
        every_line: bool,
    ) -> None:
        self._keeps_up, self._send_soon, self._send = keeps_up, send_soon, send
        self._every_line = every_line
        self._waiting: deque[str] = deque()  # one or more lines each
        self._dropped = 0  # lines, before those that wait
        self.size = 0  # characters that wait

    def add(self, lines: str) -> None:
        """Take one or more lines; waits only for a viewer who wants every line."""
        self._waiting.append(lines)
        self.size += len(lines)
        if self._every_line:
            while self.size > EVERY:
                self._send(self._next())
        else:
            while self.size > LATEST and len(self._waiting) > 1:
                oldest = self._waiting.popleft()
                self.size -= len(oldest)
                self._dropped += oldest.count("\n") + 1

    def pass_on(self) -> None:
        """Pass on what the viewer keeps up with."""
        while self._waiting and self._keeps_up():
            self._send_soon(self._next())

    def finish(self) -> None:
        """Pass on all that waits, whatever it costs."""
        while self._waiting:
            self._send(self._next())

    def _next(self) -> str:
        """Take the next message out."""
        lines = []
        if self._dropped:
            lines.append(f"[iac-ci] {self._dropped} lines are not shown; the log has them")
            self._dropped = 0
        size = 0
        while self._waiting and (not size or size + len(self._waiting[0]) <= _MESSAGE):
            lines.append(self._waiting.popleft())
            size += len(lines[-1])
        self.size -= size
        return "\n".join(lines)
