"""One turn of a watchdog; S3 under `tmp/callbacks/runs/` is all that it may touch."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any, assert_never

from src.common import keys, leg
from src.common.codec import encode
from src.common.errors import VersionRefused
from src.common.messages import Claim, Result, WatchdogInput, read_claim
from src.common.ports import Clock, ObjectStore
from src.common.status import OrderStatus
from src.watchdog_check.decide import EndOrder, Turn, may_be_overdue, overdue, run_turn

log = logging.getLogger(__name__)


class WatchdogCheck:
    """Lambda handler `watchdog_check` over its ports."""

    def __init__(self, internal: ObjectStore, clock: Clock) -> None:
        self._internal = internal
        self._clock = clock

    def __call__(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Take one turn.

        Args:
            event: the `WatchdogInput` of the execution, `poked_at` being the previous turn's
            answer. context: unused.

        Returns:
            `{"done": bool, "poked_at": epoch ms | None}`.
        """
        del context
        try:
            task = WatchdogInput.from_item(event)
        except VersionRefused as error:
            # An execution that failed would leave its order unguarded for good: it goes on waiting
            # for a release that understands it.
            log.error("%s", error)  # noqa: TRY400
            return {"done": False, "poked_at": event.get("poked_at")}
        now = self._clock.now_ms()
        with leg.of(task.run_id, now, num=task.num, trace_id=task.trace_id):
            return self._answer(task, now)

    def _answer(self, task: WatchdogInput, now: int) -> dict[str, Any]:
        turn = self._turn(task, now)
        if turn is Turn.POKE:
            self._internal.put(keys.poke_key(task.run_id), encode({"num": task.num}))
        poked_at = now if turn is Turn.POKE or task.poked_at is None else task.poked_at
        return {"done": turn is Turn.FINISHED, "poked_at": poked_at}

    def _turn(self, task: WatchdogInput, now: int) -> Turn:
        if task.poked_at is None:
            return Turn.WAIT  # the first turn comes with the start, when there is nothing to see
        return self._run(task, now) if task.num == keys.PACKAGING else self._order(task, now)

    def _order(self, task: WatchdogInput, now: int) -> Turn:
        if self._exists(keys.ack_key(task.run_id, task.num)):
            return Turn.FINISHED
        if self._exists(keys.result_key(task.run_id, task.num)):
            # Its event may be lost, or its effect not yet written, unless the run is over.
            return Turn.FINISHED if self._finished(task) else Turn.POKE
        if not may_be_overdue(task, now):
            return Turn.WAIT
        match overdue(task, self._claim(task), now):
            case EndOrder() as ending:
                self._end(task, ending, now)
                return Turn.WAIT
            case Turn() as turn:
                return turn
            case other:
                assert_never(other)

    def _run(self, task: WatchdogInput, now: int) -> Turn:
        if self._finished(task):
            return Turn.FINISHED
        if now >= task.start_by:
            reason = "packaging did not end by its deadline"
            self._report(task, Result(status=OrderStatus.TIMED_OUT, reason=reason, finished_at=now))
        return run_turn(task, now)

    def _end(self, task: WatchdogInput, ending: EndOrder, now: int) -> None:
        log.warning("ending %s:%s: %s", task.run_id, task.num, ending.reason)
        if ending.claim_first:
            claim = Claim(
                by="watchdog",
                nonce=str(uuid.uuid4()),
                claimed_at=now,
                end_by=now,
                status=ending.status,
                reason=ending.reason,
            )
            if not self._internal.put_new(
                keys.claim_key(task.run_id, task.num), encode(claim.to_item())
            ):
                return  # a worker came at the last moment: its own deadline counts from now on
        self._report(task, Result(status=ending.status, reason=ending.reason, finished_at=now))

    def _report(self, task: WatchdogInput, result: Result) -> None:
        self._internal.put_new(keys.result_key(task.run_id, task.num), encode(result.to_item()))

    def _claim(self, task: WatchdogInput) -> Claim | None:
        body = self._internal.get(keys.claim_key(task.run_id, task.num))
        return None if body is None else read_claim(body, task.end_by)

    def _finished(self, task: WatchdogInput) -> bool:
        return self._exists(keys.finished_key(task.run_id))

    def _exists(self, key: str) -> bool:
        return self._internal.get(key) is not None
