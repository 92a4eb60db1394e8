"""A worker process of a local run, from inside: the real worker, its ports on a wire to the parent.

Stands for a warm Lambda sandbox: one order at a time, many after another. It ends its commands and
itself when the parent hangs up or dies.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import time
import traceback
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from src.common.clock import SystemClock
from src.common.errors import Permanent, Transient
from src.local.backlog import Backlog
from src.local.wire import Wire
from src.worker import kin
from src.worker.app import Invocation, Worker
from src.worker.execution import Pace

# Handled here, not as in the parent.
SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_FLUSH_S: Final = 0.05  # lines wait so long for more, at most until the next request
_FLUSH_SIZE: Final = 32 * 1024
_OUT: Final = {"op": "out"}


class Hangup(BaseException):
    """The parent is gone or wants us to end: no port works, and no error handler may go on."""


class Parent:
    """The worker's ports, served by the parent at the other end of the wire."""

    def __init__(self, wire: Wire, *, every_line: bool) -> None:
        self._wire, self._every_line = wire, every_line
        self._backlog = Backlog(
            self._keeps_up, self._send_lines_soon, self._send_lines, every_line=every_line
        )
        self._passed_on = 0  # characters waited when lines were last passed on
        self._flushed_at = 0.0
        self.busy = False
        self.ending = False

    def next(self) -> tuple[dict[str, Any], str]:
        """Wait for the next delivery; return payload and request id."""
        try:
            head, _ = self._wire.receive()
        except EOFError:
            raise self.hung_up() from None
        self.busy = True
        self._flushed_at = time.monotonic()
        return head["payload"], head["request_id"]

    def done(self, error: str | None) -> None:
        """Tell the end of a delivery."""
        self._backlog.finish()
        self._send({"op": "done", "error": error})
        self.busy = False

    def print(self, text: str) -> None:
        """Pass lines on, soon, as far as the parent keeps up."""
        self._backlog.add(text)
        grown = self._backlog.size - self._passed_on > _FLUSH_SIZE
        if grown or time.monotonic() - self._flushed_at >= _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Pass on what was printed, as far as the parent keeps up."""
        self._backlog.pass_on()
        self._passed_on = self._backlog.size
        self._flushed_at = time.monotonic()

    def _keeps_up(self) -> bool:
        if self.ending:
            raise Hangup
        try:
            return self._wire.keeps_up()
        except EOFError:
            raise self.hung_up() from None

    def _send_lines_soon(self, lines: str) -> None:
        try:
            self._wire.send_soon(_OUT, lines.encode(errors="replace"))
        except EOFError:
            raise self.hung_up() from None

    def _send_lines(self, lines: str) -> None:
        self._send(_OUT, lines.encode(errors="replace"))

    def ask(self, op: str, target: str, body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Have the parent make one call; raises what it raised there."""
        if op == "put_new" and self._every_line:
            self._backlog.finish()  # what an order printed comes before its end
        self.flush()
        self._send({"op": op, "target": target}, body)
        try:
            head, answer = self._wire.receive()
        except EOFError:
            raise self.hung_up() from None
        if error := head.get("error"):
            raise (Transient if error == "transient" else Permanent)(head["message"])
        return head, answer

    def _send(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        if self.ending:
            raise Hangup
        try:
            self._wire.send(head, body)
        except EOFError:
            raise self.hung_up() from None

    def hung_up(self) -> Hangup:
        """Return what ends this process; from now on a signal adds nothing to it."""
        self.ending = True
        return Hangup()


class _Bundles:
    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    def get(self, key: str) -> bytes | None:
        head, body = self._parent.ask("get", key)
        return body if head["found"] else None


class _Uploads:
    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    def put_new(self, url: str, body: bytes) -> int:
        return int(self._parent.ask("put_new", url, body)[0]["status"])

    def get(self, url: str) -> bytes | None:
        head, body = self._parent.ask("get_url", url)
        return body if head["found"] else None


def fork(
    wire: Wire, folder: Path, pace: Pace, inherited: Iterable[Wire], *, every_line: bool
) -> int:
    """Start a process that serves; return its pid.

    Raises:
        OSError: the system admits no more of them.
    """
    parent_pid = os.getpid()
    # A signal between fork and the child's own handlers would run the parent's in the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns of threads; the child runs our code alone, with none of their locks.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            serve(wire, folder, pace, parent_pid, inherited, every_line=every_line)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def serve(
    wire: Wire,
    folder: Path,
    pace: Pace,
    parent_pid: int,
    inherited: Iterable[Wire],
    *,
    every_line: bool,
) -> NoReturn:
    """Handle deliveries until the parent hangs up; ends the process.

    Called right after the fork, with `SIGNALS` blocked; closes the `inherited` wires.
    """
    try:
        for other in inherited:
            other.close()
        gc.freeze()  # what was inherited stays shared with the parent
        logging.disable(logging.CRITICAL)  # the terminal is the parent's; errors travel in `done`
        _serve(Parent(wire, every_line=every_line), folder, pace, parent_pid)
    except Hangup:
        with contextlib.suppress(OSError):
            folder.rmdir()
        with contextlib.suppress(OSError):
            folder.parent.rmdir()  # the last one turns out the light if the parent cannot
        os._exit(0)
    except Exception:  # noqa: BLE001 - a bug, shown before the process ends
        traceback.print_exc()
    finally:
        os._exit(1)


def _serve(parent: Parent, folder: Path, pace: Pace, parent_pid: int) -> None:
    def end(*_: object) -> None:
        if os.getppid() == parent_pid:
            return
        # Once: a signal that comes while the end is under way must not break off the cleaning up.
        if not parent.ending and not parent.busy:  # waiting for a delivery, with nothing to undo
            raise parent.hung_up()
        parent.ending = True

    # A terminal signals all that runs in it, `timeout` and service managers the whole group, but
    # what comes of it is the parent's to say. A handler, since commands would inherit an ignored
    # signal. SIGTERM is also what tells that the parent died.
    for number in SIGNALS:
        signal.signal(number, end if number is signal.SIGTERM else lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    kin.end_with_parent()
    if os.getppid() != parent_pid:
        raise parent.hung_up()
    worker = Worker(
        _Bundles(parent),
        _Uploads(parent),
        SystemClock(),
        lambda _dispatch, text: parent.print(text),
        environ=dict(os.environ),
        pace=pace,
        folder=folder,
    )
    while True:
        payload, request_id = parent.next()
        error = None
        try:
            worker(payload, Invocation(aws_request_id=request_id))
        except Exception as raised:  # noqa: BLE001 - a failed invocation, as on the platform
            error = f"{type(raised).__name__}: {raised}"
        parent.done(error)
