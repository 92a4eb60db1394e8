"""When the comment of a run is due to be edited: few writes per minute, decided with the change.

The time lies in the run item and goes with a change that is written anyway, so one holder of the
lock edits, and a change costs no call more. Whoever dies before the edit leaves the comment behind
until the next change, or the next poke of the run's watchdog.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from src.common.records import Run

EVERY_MS: Final = 20_000  # at least so much between two edits: three a minute


def noted(run: Run, now: int) -> Run:
    """Return the run with its comment due at `now`, if it has one and the last is long enough ago.

    Before it is packaged there is nothing to show; the end of a run is shown by finalizing it.
    """
    if run.comments_on is None or run.packaged_at is None or run.finished_at is not None:
        return run
    if run.commented_at is not None and now - run.commented_at < EVERY_MS:
        return run
    return replace(run, commented_at=now)
