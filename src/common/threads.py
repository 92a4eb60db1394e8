"""Work on several items at once, for waiting on the network: bounded threads, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from threading import Condition
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


class Room:
    """What threads share of something that is scarce: who finds too little left waits."""

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        self._changed = Condition()

    @contextmanager
    def of(self, size: int) -> Iterator[None]:
        """Hold `size` of it within the block; all of it where that is less."""
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= size)
            self._left -= size
        try:
            yield
        finally:
            with self._changed:
                self._left += size
                self._changed.notify_all()
