"""What goes wrong between a caller and a deployed stack.

IacCiError
├── NotNamed       a part of the stack is needed and nobody said what it is called
├── UnknownRun     no row, done object or event tells of the run
├── Unreached      no connection came about, so nothing was sent
├── Denied         AWS refuses a call: which action on which resource the caller lacks
└── Refused        the webhook's answer was no 200: status and every problem it named

Messages are for the person at the terminal: what was tried, and what to change.
"""

from __future__ import annotations

from collections.abc import Iterable

from src.common.errors import IacCiError, Problem, Transient


class NotNamed(IacCiError):
    """A command needs a part of the stack that neither option, outputs nor environment name."""


class UnknownRun(IacCiError):
    """Nothing tells of the run."""


class Unreached(Transient):
    """No attempt had a connection: whatever was to be sent never left."""


class Denied(IacCiError):
    """The caller lacks a permission; `action` and `resource` are what a policy has to grant."""

    def __init__(self, doing: str, action: str, resource: str) -> None:
        self.action, self.resource = action, resource
        super().__init__(f"{doing}: not allowed; it needs {action} on {resource}")


class Refused(IacCiError):
    """The webhook did not accept a request; `status` is HTTP's."""

    def __init__(self, status: int, error: str, problems: Iterable[Problem] = ()) -> None:
        self.status, self.error, self.problems = status, error, tuple(problems)
        told = [str(problem) for problem in self.problems if problem.message != error]
        super().__init__(f"{status}: {error}" + "".join(f"; {text}" for text in told))
