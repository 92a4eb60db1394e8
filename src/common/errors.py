"""The errors of iac-ci.

    IacCiError
    ├── ConfigError              the environment of a handler is incomplete (lists every problem)
    ├── JobRefused               the request is no job we can run (lists every problem) -> 400
    ├── Unauthenticated          no valid signature -> 401
    ├── RunConflict              the run_id belongs to another job -> 409
    ├── BodyTooLarge             -> 413
    ├── NotConfigured            no webhook secret is set: fail closed -> 503
    ├── PackagingError           code or secrets of orders could not be had (lists every problem)
    ├── BundleError              a bundle or a zip of code is corrupt, hostile or too large
    ├── VersionRefused           a row or payload of another release: left untouched -> 503
    ├── IllegalTransition        a status change that the table does not know
    ├── Conflict                 a conditional write lost against another writer
    │   ├── LockHeld             the run's lock belongs to another holder, or is completed
    │   ├── LockMoved            the run's lock is not as it was read: somebody came meanwhile
    │   ├── NoLock               the run's lock was never made, or has expired
    │   └── LeaseLost            our lease was stolen: stop at once
    └── ServiceError             a call to a platform service did not work
        ├── Transient            throttling, 5xx, timeouts: try again later
        └── Permanent            trying again cannot help

Messages say what was being done and to which id ("fetching bundle of run-1:0003").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from src.common.records import Lock


# What is told at once: a body of 4 MiB can hold far more mistakes than Lambda's answer of 6 MB.
MOST_PROBLEMS: Final = 5000
MOST_TEXT: Final = 1_000_000  # characters of theirs, of which JSON makes two at most


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (`orders[2].timeout`) and what."""

    path: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Return the JSON shape `{"path", "message"}`."""
        return {"path": self.path, "message": self.message}

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class IacCiError(Exception):
    """Base of everything that iac-ci raises on purpose."""


def bounded(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the first problems, as many as can be told; the last one says that there are more."""
    room = MOST_TEXT
    for told, problem in enumerate(problems):
        room -= len(problem.path) + len(problem.message)
        if told == MOST_PROBLEMS or room < 0:
            yield Problem("", f"there are more problems than these {told}")
            return
        yield problem


class _Problems(IacCiError):
    summary = "invalid"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(bounded(problems))
        super().__init__(f"{self.summary}: " + "; ".join(str(problem) for problem in self.problems))


class ConfigError(_Problems):
    """The environment lacks or garbles settings; `problems` names each variable."""

    summary = "configuration"


class JobRefused(_Problems):
    """The request is not a job that can run; `problems` holds every reason."""

    summary = "job refused"


class PackagingError(_Problems):
    """Code or secrets of orders could not be had; `problems` holds every reason."""

    summary = "packaging"


class Unauthenticated(IacCiError):
    """The request carries no proof of who sent it."""


class RunConflict(IacCiError):
    """The run_id is taken by another job."""


class BodyTooLarge(IacCiError):
    """The request body is over the limit."""


class NotConfigured(IacCiError):
    """The webhook secret is not set, so nothing can be accepted."""


class BundleError(IacCiError):
    """A bundle or a zip of code is corrupt, hostile or too large."""


class VersionRefused(IacCiError):
    """A row or payload is of a version that this release cannot read; nothing of it is changed."""


class IllegalTransition(IacCiError):
    """A status change that the transition table does not know."""


class Conflict(IacCiError):
    """A conditional write lost: somebody else wrote first."""


class LockHeld(Conflict):
    """The lock of a run is held, or completed and so nobody's; `lock` is the record in force."""

    def __init__(self, lock: Lock) -> None:
        self.lock = lock
        super().__init__(f"lock of {lock.run_id} is held by {lock.owner} until {lock.lease} ms")


class LockMoved(Conflict):
    """The lock is not as it was read; `lock` is the record in force, None if there is none."""

    def __init__(self, doing: str, lock: Lock | None) -> None:
        self.lock = lock
        super().__init__(f"{doing}: somebody marked or took the lock since it was read")


class NoLock(Conflict):
    """The run has no lock: its first event makes it, and a run without an item never has one."""


class LeaseLost(Conflict):
    """The lease ran out and another took the lock; all further action must end."""


class ServiceError(IacCiError):
    """A call to a platform service did not work.

    `told` is what runs, comments and answers repeat of it: without the service's own words, which
    name accounts, roles and policies. Those are for the log.
    """

    def __init__(self, message: str = "", told: str | None = None) -> None:
        super().__init__(message)
        self.told = message if told is None else told


class Transient(ServiceError):
    """Trying again later may help (throttling, 5xx, timeouts)."""


class Permanent(ServiceError):
    """Trying again cannot help (denied, unknown resource, invalid parameters)."""
