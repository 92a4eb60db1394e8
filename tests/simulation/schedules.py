"""Every schedule of two processes with a bounded number of preemptions (context-bounded search)."""

from __future__ import annotations

from collections.abc import Callable, Iterator


def schedules(run: Callable[[frozenset[int]], int], most: int) -> Iterator[frozenset[int]]:
    """Try every schedule with at most so many preemptions, and yield each once it was tried.

    `run` takes the switches at which to preempt, and returns how many switches there were: a
    schedule with one more preemption than another differs from it only after that one's last.
    """
    frontier: list[frozenset[int]] = [frozenset()]
    while frontier:
        preempted = frontier.pop()
        switches = run(preempted)
        yield preempted
        if len(preempted) < most:
            later = range(max(preempted, default=-1) + 1, switches)
            frontier += [preempted | {at} for at in later]
