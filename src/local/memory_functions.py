"""Handing work over in memory: each adapter calls back whoever runs the local world.

The callbacks get records, as the real platform would deliver them; what they do with them (a queue,
a process, a timer) is the world's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock

from src.common.errors import Permanent
from src.common.messages import Dispatch, WatchdogInput


class MemoryPackager:
    """The asynchronous invocation of process_webhook by itself."""

    def __init__(self, on_start: Callable[[str], None]) -> None:
        self._on_start = on_start

    def start(self, run_id: str) -> None:
        """Ask for the packaging of a run."""
        self._on_start(run_id)


class MemoryWorkers:
    """The worker function."""

    def __init__(self, on_start: Callable[[Dispatch], None]) -> None:
        self._on_start = on_start

    def start(self, dispatch: Dispatch) -> None:
        """Hand an order over."""
        self._on_start(dispatch)


class MemoryBuilds:
    """The build project: one build per token."""

    def __init__(self, on_start: Callable[[Dispatch], None]) -> None:
        self._on_start = on_start
        self._tokens = _Once()

    def start(self, dispatch: Dispatch) -> None:
        """Hand an order over, at most once per token."""
        if self._tokens.first(dispatch.token):
            self._on_start(dispatch)


class MemoryWatchdogs:
    """The watchdog state machine: one execution per name."""

    def __init__(self, on_start: Callable[[str, WatchdogInput], None]) -> None:
        self._on_start = on_start
        self._names = _Once()

    def start(self, name: str, task: WatchdogInput) -> None:
        """Start an execution; one of that name that exists already is success."""
        if self._names.first(name):
            self._on_start(name, task)


class MemorySecrets:
    """Secrets from a mapping of path (or name) to value; one mapping for both kinds."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def ssm(self, path: str) -> str:
        """Return a parameter; Permanent when it is missing."""
        return self._get("SSM parameter", path)

    def secretsmanager(self, name: str) -> str:
        """Return a secret string; Permanent when it is missing."""
        return self._get("secret", name)

    def _get(self, kind: str, path: str) -> str:
        try:
            return self._values[path]
        except KeyError:
            raise Permanent(f"reading {kind} {path}: it is not among the given secrets") from None


class _Once:
    """Remembers names; tells who came first."""

    def __init__(self) -> None:
        self._atomic = Lock()
        self._seen: set[str] = set()

    def first(self, name: str) -> bool:
        with self._atomic:
            new = name not in self._seen
            self._seen.add(name)
            return new
