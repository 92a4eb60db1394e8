"""Work on several items at once, for waiting on the network: bounded threads, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def one_by_one(work: Callable[[_T], object], items: Iterable[_T]) -> None:
    """Do the work on every item in this thread, where order matters or calls cost nothing."""
    for item in items:
        work(item)


def map_at_once(work: Callable[[_T], _R], items: Iterable[_T], most: int) -> list[_R]:
    """Return what `work` answers for each item, in order, with up to `most` items under way.

    Each call sees the caller's context variables: whose work it is goes along into the threads.
    What the first failing item raises is raised, once those under way have ended.
    """
    given = list(items)
    if len(given) < 2:
        return [work(item) for item in given]
    contexts = [copy_context() for _ in given]
    with ThreadPoolExecutor(min(most, len(given))) as pool:
        return list(pool.map(lambda context, item: context.run(work, item), contexts, given))
