"""The processes of one order: commands one after the other, and whatever they leave behind.

All commands write to one pipe that stays open to the end, so the end of a command is its exit and
never the end of its output: a background process that keeps the pipe cannot hold the order up, one
that closes it is not taken for gone. Knows nothing of orders, claims or what the bytes mean.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from src.worker import kin
from src.worker.decide import Stop
from src.worker.user import User

_CHUNK: Final = 64 * 1024
_DRAIN: Final = 1024 * 1024  # the largest pipe an unprivileged process can ask for
_TURN_S: Final = 0.02  # between two looks at processes that cannot be waited for
_KILL_S: Final = 5.0  # a process that survives SIGKILL this long hangs in the kernel: leave it


class Watch(Protocol):
    """Why commands may have to stop before they end."""

    def check(self) -> Stop | None:
        """Return why they must stop now."""

    def pause_s(self) -> float:
        """Return how long to wait at most before the next check."""


class Commands:
    """Runs shell commands in one folder; leaving the context ends all their descendants.

    `sink` gets stdout and stderr, merged, as chunks of bytes. `grace_s` lies between SIGTERM and
    SIGKILL, `settle_s` is what background processes get to end by themselves. `user` runs them: our
    own if None; it takes root to name another.
    """

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        sink: Callable[[bytes], object],
        *,
        grace_s: float,
        settle_s: float,
        user: User | None = None,
    ) -> None:
        self._folder, self._env, self._sink, self._user = folder, env, sink, user
        self._grace_s, self._settle_s = grace_s, settle_s
        self._shell = shutil.which("bash") or "/bin/bash"  # ours: the order may set another PATH
        _heed_interrupts()
        self._adopts = kin.adopt_orphans()
        self._spared = frozenset(child.pid for child in kin.children())
        self._running: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()
        self._immortal = False  # something survived SIGKILL, so trying again only costs time

    def __enter__(self) -> Self:
        self._output, self._input = os.pipe()
        os.set_blocking(self._output, False)
        self._poller = select.poll()
        self._poller.register(self._output, select.POLLIN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.end(at_once=False)
        finally:
            # Again, as the sink may have failed in the meantime: nothing may stay behind.
            self._sink = len
            self.end()
            os.close(self._input)
            os.close(self._output)

    def run(self, cmd: str, watch: Watch) -> int | Stop:
        """Run one command to its end; return its return code (-n: signal n), or why it must stop.

        One that must stop goes on until `end` is called.

        Raises:
            OSError, ValueError: it cannot be started (no shell, a NUL byte, too much environment).
        """
        other = self._user
        process = self._running = subprocess.Popen(
            [self._shell, "-euo", "pipefail", "-c", cmd],
            cwd=str(self._folder),  # as text, since the error of a missing one shows it
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=self._input,
            stderr=self._input,
            start_new_session=True,
            user=other.uid if other else None,
            group=other.gid if other else None,
            extra_groups=() if other else None,
        )
        self._groups.add(process.pid)
        with self._exit_of(process.pid) as waitable:
            while process.poll() is None:
                if stop := watch.check():
                    return stop
                self._reap_orphan()
                self._pump(watch.pause_s() if waitable else min(watch.pause_s(), _TURN_S))
        self._gone(self._settle_s)  # for the last words of `>(tee log)`; a server goes on
        self._drain()  # after it: who ends may have said something since the last time we read
        return process.returncode

    def end(self, *, at_once: bool = True) -> bool:
        """End every descendant: SIGTERM, then SIGKILL; False if one could not be ended."""
        if self._immortal:
            return False
        self._immortal = not (
            (not at_once and self._gone(self._settle_s))
            or self._gone(self._grace_s, signal.SIGTERM)
            or self._gone(_KILL_S, signal.SIGKILL)
        )
        self._drain()
        return not self._immortal

    def _gone(self, patience_s: float, number: signal.Signals | None = None) -> bool:
        """Signal all descendants and wait until none is left; False when patience ran out first."""
        until = time.monotonic() + patience_s
        while left := self._left():
            for target in left if number else ():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(target, number or 0)
            if number is not signal.SIGKILL:  # only that goes on: what SIGTERM starts may tidy up
                number = None
            if time.monotonic() >= until:
                return False
            self._pump(_TURN_S)
        return True

    def _left(self) -> list[int]:
        """Return what runs: process ids, or process groups (negative) where orphans get lost.

        Parents come before their children: a shell that sees its child end before it was signalled
        itself goes on with its next command, or ends without running its trap.
        """
        if self._running is not None and self._running.poll() is not None:
            self._running = None
        if not self._adopts:
            return [-group for group in self._groups if _exists(-group)]
        return [one.pid for one in kin.descendants(self._spared) if not self._reaped(one)]

    def _reaped(self, one: kin.Kin) -> bool:
        if not one.zombie:
            return False
        if one.parent != os.getpid():  # its parent's to reap, and ours once that has ended
            return True
        if self._running is not None and one.pid == self._running.pid:
            return self._running.poll() is not None
        with contextlib.suppress(ChildProcessError):
            return os.waitpid(one.pid, os.WNOHANG)[0] != 0
        return True

    def _reap_orphan(self) -> None:
        """Reap one that ended meanwhile: a long order must not fill the process table."""
        pid = kin.ended_child()
        if pid and self._running and pid != self._running.pid and pid not in self._spared:
            os.waitpid(pid, os.WNOHANG)

    def _pump(self, timeout_s: float) -> None:
        self._poller.poll(max(0, timeout_s) * 1000)
        self._read()

    def _drain(self) -> None:
        for _ in range(_DRAIN // _CHUNK):
            if not self._read():
                return

    def _read(self) -> bool:
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return False
        self._sink(data)
        return True

    @contextlib.contextmanager
    def _exit_of(self, pid: int) -> Iterator[bool]:
        """Let the poller wake when the process exits; yield whether the system can do that."""
        try:
            handle = os.pidfd_open(pid)
        except (AttributeError, OSError):
            yield False
            return
        self._poller.register(handle, select.POLLIN)
        try:
            yield True
        finally:
            self._poller.unregister(handle)
            os.close(handle)


def _heed_interrupts() -> None:
    """Ignore SIGINT by a handler where we ignore it: commands would inherit that, not a handler.

    A program that a shell starts in the background ignores it (POSIX, asynchronous lists).
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: None)


def _exists(target: int) -> bool:
    try:
        os.kill(target, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
