"""An event that meets nobody else: its mark, the lock and its first step in one write.

It reads before it marks, and that is sound because the write holds only if nothing happened since:
the lock is idle and unmarked, and the run is of the revision that was read. Then the write stands
where marking, taking and reading under the lock would have stood. If anything is not as it should
be, nothing was written, and the event goes the long way: mark, try, wait (rule 3).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from src.common import keys, leg
from src.common.errors import IacCiError
from src.common.messages import Result
from src.common.records import Lock, LockMove, Run
from src.orchestrator.actions import Commit, Load, LookUp, View
from src.orchestrator.decide import decide, is_last_write
from src.orchestrator.holding import Holding
from src.orchestrator.lease import Lease
from src.orchestrator.perform import Performer, Ports

log = logging.getLogger(__name__)

MANY: Final = 10  # marks whose results take so long to read that somebody comes in between


def begin(
    ports: Ports, lease: Lease, run_id: str, marks: frozenset[str]
) -> tuple[Holding | None, Lock | None]:
    """Write the first step of an event; return who goes on from there.

    Without one nothing was written, or we do not know: the event has to wait for the lock, of which
    the second value is what was seen. Never raises an error of the platform: the long way marks the
    lock before it gives up.
    """
    if len(marks) > MANY or not all(keys.ORDER_NUM.fullmatch(mark) for mark in marks):
        return None, None
    seen: Lock | None = None
    try:
        performer = Performer(ports)
        # One result is read before its row, as it names the rows to read along; many would be read
        # in vain where the lock is held.
        results = {num: performer.result(run_id, num) for num in marks if len(marks) == 1}
        seen, run, orders = ports.runs.look(run_id, _rows(marks, results))
        if run is not None:
            leg.traced(run.trace_id)
        if run is None or seen is None or not (seen.idle and _in_order(run)):
            return None, seen
        view = View(
            run=run,
            marks=marks,
            owner=lease.owner,
            now=ports.clock.now_ms(),
            orders=orders,
            looked=frozenset(orders),
            results=results,
        )
        while (actions := decide(view)) and isinstance(actions[0], Load | LookUp):
            for action in actions:
                view = performer.perform(action, view)
        match actions:
            case (Commit(change),):
                last = is_last_write(view, change)
                after = seen if last else lease.taking(seen, marks)
                ports.runs.commit(replace(change, lock=LockMove(before=seen, after=after)))
                lease.took(after)
                return Holding(ports, lease, after, view.committed(change)), None
            case _:
                return None, seen
    except IacCiError as error:
        log.info("%s: not at once: %s", run_id, error)
        return None, seen


def _rows(marks: frozenset[str], results: dict[str, Result | None]) -> frozenset[str]:
    hints = {num for result in results.values() if result for num in result.dependents}
    return frozenset(filter(keys.is_order_num, marks | hints))


def _in_order(run: Run) -> bool:
    """Return whether nothing of the run is unfinished business of somebody who died."""
    unfinished = run.dispatching or run.untold
    over = run.closing is not None or run.finished_at is not None
    return run.seen_at is not None and not unfinished and not over
