"""Forked worker processes, like warm Lambda sandboxes, driven by one single-threaded parent.

The parent makes every call to storage in the children's name, so the local world stays in one
place. It knows deliveries, not orders: what a payload means is the worker's business.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from src.common.errors import Permanent, Transient
from src.local import worker_child
from src.local.calls import as_handler
from src.local.stack import WORKER
from src.local.strays import end_strays
from src.local.wire import Wire
from src.worker import kin
from src.worker.execution import Pace
from src.worker.remove import remove

PACE: Final = Pace(poll_s=0.3)
_TURN_S: Final = 0.002
_LINES_UNDER_WAY: Final = 16 * 1024  # bytes to a viewer who wants the latest lines alone


@dataclass(frozen=True, slots=True)
class Delivery:
    """A payload for a worker; a repetition of the delivery has the same request id."""

    payload: Mapping[str, Any]
    request_id: str
    handler: str = WORKER  # whose AWS calls its own are


@dataclass(frozen=True, slots=True)
class Finished:
    """A delivery that is over; `error` if the invocation failed or its process died."""

    payload: Mapping[str, Any]
    request_id: str
    error: str | None = None


@dataclass(slots=True)
class _Child:
    pid: int
    wire: Wire
    folder: Path
    delivery: Delivery | None = None


class WorkerPool:
    """`size` worker processes and a queue before them; `Permanent` where they cannot be had.

    `get` reads the internal bucket, `put_new` and `get_url` act on presigned URLs, `on_line` gets
    each log line with its run id and order number, or where that cannot keep up, the latest ones
    unless it is to have `every_line`. They are called from `poll`; what they raise as
    `Transient` or `Permanent` goes to the worker, anything else leaves `poll`.
    """

    def __init__(
        self,
        size: int,
        *,
        get: Callable[[str], bytes | None],
        put_new: Callable[[str, bytes], int],
        get_url: Callable[[str], bytes | None],
        on_line: Callable[[str, str, str], None],
        every_line: bool = True,
        pace: Pace = PACE,
    ) -> None:
        self._get, self._put_new, self._get_url, self._on_line = get, put_new, get_url, on_line
        self._pace, self._every_line = pace, every_line
        self._queue: deque[Delivery] = deque()
        self._selector = selectors.PollSelector()  # epoll would be shared with the children
        self._folder = Path(tempfile.mkdtemp(prefix="iac-ci-workers-"))
        kin.adopt_orphans()  # commands of a child that died come to us
        self._spared = frozenset(one.pid for one in kin.children())
        self._children: list[_Child] = []
        try:
            for _ in range(size):
                self._fork()
        except Permanent:
            self.close(grace=pace.poll_s)
            raise

    @property
    def busy(self) -> int:
        """How many deliveries are being handled."""
        return sum(child.delivery is not None for child in self._children)

    @property
    def queued(self) -> int:
        """How many deliveries wait for a process."""
        return len(self._queue)

    def submit(self, payload: Mapping[str, Any], request_id: str, handler: str = WORKER) -> None:
        """Hand a payload over, now or as soon as a process is idle."""
        self._queue.append(Delivery(payload, request_id, handler))
        self._assign()

    def poll(self, timeout: float) -> list[Finished]:
        """Wait up to `timeout` seconds for activity, serve it, return what finished."""
        finished: list[Finished] = []
        for key, _ in self._selector.select(timeout):
            child: _Child = key.data
            try:
                for head, body in child.wire.arrived():
                    if head["op"] == "done":
                        finished += self._take(child, head["error"])
                    else:
                        self._serve(child, head, body)
            except EOFError:
                finished += self._take(child, self._bury(child))
                self._fork()
        self._assign()
        return finished

    def close(self, grace: float) -> None:
        """End commands and processes; what lives after `grace` seconds is killed."""
        self._queue.clear()
        for child in self._children:
            child.wire.close()  # seen at once when idle, else at the next look for a cancel
        left = {child.pid for child in self._children}
        until = time.monotonic() + grace
        while left and time.monotonic() < until:
            left = {pid for pid in left if os.waitpid(pid, os.WNOHANG)[0] == 0}
            time.sleep(_TURN_S if left else 0)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._children.clear()
        self._selector.close()
        self._end_strays()
        kin.adopt_orphans(enabled=False)
        remove(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(grace=self._pace.poll_s + self._pace.grace_s)

    def _assign(self) -> None:
        for child in self._children:
            if not self._queue:
                return
            if child.delivery is None:
                delivery = self._queue.popleft()
                with contextlib.suppress(EOFError):  # `poll` finds it dead
                    child.delivery = delivery
                    child.wire.send(asdict(delivery))

    def _serve(self, child: _Child, head: Mapping[str, Any], body: bytes) -> None:
        answer: tuple[Mapping[str, Any], bytes]
        try:
            match head["op"]:
                case "out":
                    assert child.delivery is not None
                    payload = child.delivery.payload
                    for line in body.decode().split("\n"):
                        self._on_line(payload["run_id"], payload["num"], line)
                    return
                case "get":
                    assert child.delivery is not None
                    with as_handler(child.delivery.handler):
                        found = self._get(head["target"])
                    answer = {"found": found is not None}, found or b""
                case "get_url":
                    found = self._get_url(head["target"])
                    answer = {"found": found is not None}, found or b""
                case "put_new":
                    answer = {"status": self._put_new(head["target"], body)}, b""
                case op:
                    raise AssertionError(op)
        except (Transient, Permanent) as error:
            kind = "transient" if isinstance(error, Transient) else "permanent"
            answer = {"error": kind, "message": str(error)}, b""
        child.wire.send(*answer)

    @staticmethod
    def _take(child: _Child, error: str | None) -> list[Finished]:
        delivery, child.delivery = child.delivery, None
        return [Finished(delivery.payload, delivery.request_id, error)] if delivery else []

    def _fork(self) -> None:
        """Start one more process.

        Raises:
            Permanent: the system admits no more of them.
        """
        try:
            self._start()
        except OSError as error:
            what = f"starting worker process {len(self._children) + 1}: {error.strerror}"
            raise Permanent(f"{what}; run fewer orders at once") from None

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as undo:
            undo.enter_context(ours)
            if not self._every_line:  # requests queue behind lines, so few may be under way
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LINES_UNDER_WAY)
            folder = Path(tempfile.mkdtemp(dir=self._folder))
            # A child that held another's line open would keep it from seeing the parent's end.
            inherited = [Wire(ours), *(child.wire for child in self._children)]
            pid = worker_child.fork(
                Wire(theirs), folder, self._pace, inherited, every_line=self._every_line
            )
            undo.pop_all()
        child = _Child(pid, Wire(ours), folder)
        self._children.append(child)
        self._selector.register(child.wire, selectors.EVENT_READ, child)

    def _bury(self, child: _Child) -> str:
        """Remove a dead child and all it left; return what it died of."""
        self._selector.unregister(child.wire)
        self._children.remove(child)
        child.wire.close()
        code = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        self._end_strays()
        remove(child.folder)
        return f"worker process died ({f'signal {-code}' if code < 0 else f'exit code {code}'})"

    def _end_strays(self) -> None:
        end_strays(self._spared.union(child.pid for child in self._children))
