"""Trying again: the one policy, for every call that leaves a handler.

Attempts are bounded thrice: in number, in the time of one call, and by what is left of the
invocation (`src.common.budget`). Pauses grow and are random over their whole length, so that those
who were turned away together do not come back together. The SDK's own repetitions take their
numbers from here too (`src.common.aws.clients`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from src.common import budget

Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Policy:
    """How often, and how long in between: a random time up to `base_s * 2**n`, at most `cap_s`."""

    attempts: int
    base_s: float
    cap_s: float

    def longest_s(self, attempt: int) -> float:
        """Return the longest pause before an attempt (the first is 0)."""
        return min(self.cap_s, self.base_s * 2.0**attempt)

    def pause_s(self, attempt: int) -> float:
        """Return the pause before the attempt that follows the given one (the first is 1)."""
        return random.uniform(0, self.longest_s(attempt))  # noqa: S311 - jitter, no secret


CALL: Final = Policy(attempts=5, base_s=0.05, cap_s=2)  # of a service, by a holder of a lease
UPLOAD: Final = Policy(attempts=5, base_s=0.2, cap_s=5)  # through a presigned URL
SUBMIT: Final = Policy(attempts=4, base_s=0.5, cap_s=8)  # of a job, by a person who waits
COMMENT: Final = Policy(attempts=3, base_s=0.5, cap_s=2)  # on a pull request, worth repeating
REPORT: Final = Policy(attempts=6, base_s=1, cap_s=20)  # of a result, which nobody else has


def attempts(
    policy: Policy = CALL,
    *,
    sleep: Sleep = time.sleep,
    left_s: Callable[[], float] = budget.left_s,
) -> Iterator[bool]:
    """Yield once an attempt, sleeping in between; what is yielded says whether it is the last.

    It is the last when the policy's number is reached, or when `left_s` has no room for the longest
    pause before another one and as much again for that itself.
    """
    for attempt in range(1, policy.attempts + 1):
        last = attempt == policy.attempts or left_s() < 2 * policy.longest_s(attempt)
        yield last
        if last:
            return
        sleep(policy.pause_s(attempt))
