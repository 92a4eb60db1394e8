"""Waiting with jitter between bounded attempts, for what the SDK does not repeat by itself."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Final

ATTEMPTS: Final = 5
BASE_S: Final = 0.05
CAP_S: Final = 2.0

Sleep = Callable[[float], None]


def attempts(
    count: int = ATTEMPTS,
    *,
    base_s: float = BASE_S,
    cap_s: float = CAP_S,
    sleep: Sleep = time.sleep,
) -> Iterator[bool]:
    """Yield `count` times, sleeping a random time (doubling bound, full jitter) in between.

    What is yielded says whether this is the last attempt.
    """
    for attempt in range(count):
        if attempt:
            sleep(random.uniform(0, min(cap_s, base_s * 2**attempt)))  # noqa: S311 - jitter, no secret
        yield attempt == count - 1
