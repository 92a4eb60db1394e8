"""The time that one call may take with all its attempts, by hooks on a session's events.

The SDK bounds attempts in number alone: five of them with their pauses may outlast a lease, and the
invocation. Here no attempt starts after `CALL_S`, or once the invocation's own time is up.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from src.common import budget

if TYPE_CHECKING:
    from boto3.session import Session

CALL_S: Final = 8.0  # no attempt starts later; with its timeouts a call ends within 19 s


class OutOfTime(Exception):
    """No attempt was made any more; says what became of the one before."""


class Bounds(threading.local):
    """Bounds the calls of the sessions that it is attached to; a thread makes one at a time."""

    began = 0.0
    tried = 0
    trouble = ""

    def attach(self, session: Session) -> None:
        """Watch every client that the session makes from now on."""
        session.events.register("before-call", self._begin)
        session.events.register_first("before-send", self._send)
        session.events.register("needs-retry", self._note)

    def _begin(self, **_: Any) -> None:
        self.began, self.tried, self.trouble = time.monotonic(), 0, ""

    def _send(self, **_: Any) -> None:
        spent_s = time.monotonic() - self.began
        if budget.left_s() <= 0:
            raise OutOfTime(f"the invocation's time is up{self.trouble}")
        if self.tried and spent_s > CALL_S:
            raise OutOfTime(
                f"given up after {self.tried} attempts in {spent_s:.0f} s{self.trouble}"
            )
        self.tried += 1

    def _note(self, response: Any, caught_exception: Exception | None, **_: Any) -> None:
        if caught_exception is not None:
            self.trouble = f": {type(caught_exception).__name__}"
        elif response is not None and (code := response[1].get("Error", {}).get("Code")):
            self.trouble = f": {code}"
