"""One claimed order from its bundle to its ending: unpack, run, mask, stop.

Knows neither claims nor results: `src.worker.app` has won the one before and sends the other after.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from src.common import bundle
from src.common.errors import Permanent, ServiceError
from src.common.messages import Dispatch
from src.common.ports import Clock
from src.common.status import OrderStatus
from src.worker import decide
from src.worker.decide import Deadline, Stop
from src.worker.log import HeadTail, Log
from src.worker.masking import SHORTEST, Masker
from src.worker.process import Commands
from src.worker.remove import remove
from src.worker.sandbox import PREFIX
from src.worker.user import User, give

_log = logging.getLogger(__name__)

_SURVIVORS: Final = "; some of its processes could not be killed"


class Readable(Protocol):
    """All that a worker may do with the internal bucket."""

    def get(self, key: str) -> bytes | None:
        """Return the object, None when it is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the worker waits: seconds each."""

    poll_s: float = 5.0  # between two looks for a cancel
    grace_s: float = 5.0  # between SIGTERM and SIGKILL
    settle_s: float = 0.2  # what background processes get to end by themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an order ended."""

    status: OrderStatus
    exit_code: int | None = None
    reason: str | None = None
    log: str = ""
    log_truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What executing any order takes; see `src.worker.app.Worker` for the fields."""

    bundles: Readable
    stops: Readable
    clock: Clock
    out: Callable[[Dispatch, str], None]
    environ: Mapping[str, str]
    pass_env: tuple[str, ...]
    pace: Pace
    user: User | None

    def __call__(self, dispatch: Dispatch, deadline: Deadline, place: Path) -> Ending:
        """Execute an order in a folder of `workplace`.

        Raises:
            ServiceError, BundleError: its bundle cannot be had or opened.
        """
        work = place / "work"
        unpacked = self._unpack(dispatch, work)
        secrets = {name: unpacked.env[name] for name in unpacked.secrets if name in unpacked.env}
        log = Log(Masker(secrets.values()), partial(self.out, dispatch), HeadTail())
        short = sorted(name for name, value in secrets.items() if 0 < len(value.strip()) < SHORTEST)
        if short:
            log.note(f"[iac-ci] too short to be masked (under {SHORTEST}): {', '.join(short)}")
        if self.user:
            give(place, self.user)
        own = _own_folders(self.environ, place, self.user)
        env = decide.environment(self.environ, unpacked.env, dispatch, own, self.pass_env)
        watch = _Watch(self.clock, deadline.at, self.pace.poll_s, lambda: self._cancelled(dispatch))
        with Commands(
            work / unpacked.folder,
            env,
            log.write,
            grace_s=self.pace.grace_s,
            settle_s=self.pace.settle_s,
            user=self.user,
        ) as commands:
            ending = _run_all(unpacked.cmds, commands, watch, deadline, log)
        text, truncated = log.close()
        return replace(ending, log=text, log_truncated=truncated)

    def _unpack(self, dispatch: Dispatch, folder: Path) -> bundle.Bundle:
        data = self.bundles.get(dispatch.bundle_key)
        if data is None:
            raise Permanent(f"fetching the bundle of {dispatch.run_id}:{dispatch.num}: missing")
        return bundle.extract(data, folder, dispatch.identity)

    def _cancelled(self, dispatch: Dispatch) -> bool:
        try:
            return self.stops.get(dispatch.stop_key) is not None
        except ServiceError as error:  # the next look may do
            _log.warning("looking for a cancel of %s:%s: %s", dispatch.run_id, dispatch.num, error)
            return False


@contextlib.contextmanager
def workplace(parent: Path | None) -> Iterator[Path]:
    """Make a folder with `work`, `tmp` and `home` in it, and remove it: orders share no files."""
    place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        for part in ("work", "tmp", "home"):
            (place / part).mkdir()
        yield place
    finally:
        remove(place)


def _own_folders(environ: Mapping[str, str], place: Path, user: User | None) -> dict[str, str]:
    own = {"TMPDIR": str(place / "tmp")}
    home = environ.get("HOME")
    if user or not home or not os.access(home, os.W_OK | os.X_OK):  # not ours to give, as on Lambda
        own["HOME"] = str(place / "home")
    return own


def _run_all(
    cmds: tuple[str, ...], commands: Commands, watch: _Watch, deadline: Deadline, log: Log
) -> Ending:
    """Run the commands up to the first that fails or has to stop."""
    for position, cmd in enumerate(cmds, 1):
        log.note(decide.echo(cmd))
        which = f"command {position} of {len(cmds)}"
        try:
            code = watch.check() or commands.run(cmd, watch)
        except (OSError, ValueError) as error:  # a NUL byte, an environment over the limit
            log.note(f"[iac-ci] {which} cannot be started: {error}")
            return Ending(status=OrderStatus.FAILED, reason=f"{which} cannot be started: {error}")
        if isinstance(code, Stop):
            status, reason = decide.stopped(code, deadline.reason)
            gone = commands.end()
            log.note(f"[iac-ci] {which} was ended: {reason}{'' if gone else _SURVIVORS}")
            return Ending(status=status, reason=reason)
        if code:
            exit_code = decide.exit_code(code)
            log.note(f"[iac-ci] {which} exited with {exit_code}")
            return Ending(
                status=OrderStatus.FAILED, exit_code=exit_code, reason=decide.killed(which, code)
            )
    return Ending(status=OrderStatus.SUCCEEDED, exit_code=0)


class _Watch:
    """Looks at the deadline always, and for a cancel every `poll_s`."""

    def __init__(self, clock: Clock, at: int, poll_s: float, cancelled: Callable[[], bool]) -> None:
        self._clock, self._at, self._cancelled = clock, at, cancelled
        self._poll_ms = int(poll_s * 1000)
        self._poll_at = clock.now_ms() + self._poll_ms

    def check(self) -> Stop | None:
        """Return why the commands must stop now."""
        now = self._clock.now_ms()
        if now >= self._at:
            return Stop.DEADLINE
        if now >= self._poll_at:
            cancelled = self._cancelled()
            # From the answer on: where it is slow to come, the output would wait for one look
            # after the other.
            self._poll_at = self._clock.now_ms() + self._poll_ms
            if cancelled:
                return Stop.CANCEL
        return None

    def pause_s(self) -> float:
        """Return how long until there is something to look at."""
        return (min(self._at, self._poll_at) - self._clock.now_ms() + 1) / 1000
