"""Performs what `decide` decided and folds what came back into the view."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, assert_never

from src.common import keys
from src.common.codec import decode, encode
from src.common.errors import Permanent
from src.common.messages import (
    MAX_HINTS,
    Claim,
    Dispatch,
    Result,
    WatchdogInput,
    read_claim,
    read_result,
)
from src.common.outcome import order_names
from src.common.ports import (
    Builds,
    Clock,
    Comments,
    LockStore,
    ObjectStore,
    RunStore,
    Watchdogs,
    Workers,
)
from src.common.records import EVENT_TTL_S, Event, Order, Run
from src.common.threads import one_by_one
from src.orchestrator.actions import (
    Acknowledge,
    Action,
    Commit,
    End,
    HandOver,
    Load,
    LookUp,
    ReadNames,
    StartRunWatchdog,
    Stop,
    View,
)

log = logging.getLogger(__name__)

EMPTY: Final = b"{}"


Each = Callable[[Callable[[str], None], Iterable[str]], object]  # does the work on every item


@dataclass(frozen=True, kw_only=True)
class Ports:
    """All that the orchestrator touches."""

    runs: RunStore
    locks: LockStore
    internal: ObjectStore
    done: ObjectStore
    workers: Workers
    builds: Builds
    watchdogs: Watchdogs
    comments: Comments | None = None  # None: nobody is told
    clock: Clock
    each: Each = one_by_one


@dataclass
class Performer:
    """Performs actions for one round; remembers what must be raised at its end."""

    ports: Ports
    errors: list[Exception] = field(default_factory=list)

    def perform(self, action: Action, view: View) -> View:
        """Perform one action and return what is known afterwards."""
        match action:
            case StartRunWatchdog(run):
                self._watch_run(run)
                return view.having(watched=True)
            case Load() | LookUp() | ReadNames():
                return self._read(action, view)
            case Stop(nums):
                self._stop(view.run.run_id, nums)
                return view.having(stopping=view.stopping | nums)
            case Commit(change):
                self.ports.runs.commit(change)
                return view.committed(change)
            case HandOver(order):
                return self._hand_over(order, view)
            case End(num, claim, force):
                refused = num in view.refused
                result = self._end(view.run.run_id, num, claim, force=force, stop=not refused)
                if result is None and refused:  # a worker has it: it was handed over after all
                    others = {n: why for n, why in view.refused.items() if n != num}
                    return view.having(refused=others, handed=view.handed | {num})
                found = {} if result is None else {num: result}
                return view.having(results={**view.results, **found}, ended=view.ended | {num})
            case Acknowledge(order, late):
                self._acknowledge(view.run, order, late)
                return view.having(acknowledged=view.acknowledged | {order.num})
            case _:
                assert_never(action)

    def _stop(self, run_id: str, nums: frozenset[str]) -> None:
        self.ports.each(
            lambda num: self.ports.internal.put(keys.stop_key(run_id, num), EMPTY), sorted(nums)
        )

    def _watch_run(self, run: Run) -> None:
        task = WatchdogInput(
            run_id=run.run_id,
            trace_id=run.trace_id,
            num=keys.PACKAGING,
            start_by=run.package_by,
            end_by=run.end_by,
            due_at=run.package_by,
        )
        self.ports.watchdogs.start(keys.execution_name(run.run_id, keys.PACKAGING), task)

    def result(self, run_id: str, num: str) -> Result | None:
        """Read the result of an order, or of packaging; None when there is none."""
        body = self.ports.internal.get(keys.result_key(run_id, num))
        return None if body is None else read_result(body, f"the result of {run_id}:{num}")

    def _read(self, action: Load | LookUp | ReadNames, view: View) -> View:
        match action:
            case Load(nums):
                rows = self.ports.runs.orders(view.run.run_id, nums)
                return view.having(orders={**view.orders, **rows}, looked=view.looked | nums)
            case LookUp(nums):
                results = {num: self.result(view.run.run_id, num) for num in sorted(nums)}
                return view.having(results={**view.results, **results})
            case ReadNames(digest):
                return view.having(names=self._names(digest))
            case _:
                assert_never(action)

    def _names(self, digest: str) -> dict[str, str]:
        request = self.ports.internal.get(keys.request_key(digest))
        return {} if request is None else order_names(decode(request))

    def _hand_over(self, order: Order, view: View) -> View:
        """Start the watchdog, then the worker; both may be repeated. Only this order suffers."""
        try:
            name = keys.execution_name(order.run_id, order.num)
            self.ports.watchdogs.start(name, watchdog_input(order, view.run.trace_id))
            dispatch = self._dispatch(order, view.run.trace_id)
            (self.ports.workers if order.use_lambda else self.ports.builds).start(dispatch)
        except Permanent as error:
            log.warning("handing over %s:%s: %s", order.run_id, order.num, error)
            why = f"not started: {error.told}"[:500]
            return view.having(refused={**view.refused, order.num: why})
        except Exception as error:  # noqa: BLE001 - raised at the end of the round; the others go on
            log.warning("handing over %s:%s: %s", order.run_id, order.num, error)
            self.errors.append(error)
            return view.having(deferred=view.deferred | {order.num})
        return view.having(handed=view.handed | {order.num})

    def _dispatch(self, order: Order, trace_id: str) -> Dispatch:
        """Presign now: a URL lives no longer than the credentials that signed it (rule 9)."""
        assert order.start_by is not None
        assert order.end_by is not None
        assert order.token is not None
        window = max(1, (order.start_by - self.ports.clock.now_ms()) // 1000)
        claim_key = keys.claim_key(order.run_id, order.num)
        result_key = keys.result_key(order.run_id, order.num)
        return Dispatch(
            run_id=order.run_id,
            trace_id=trace_id,
            num=order.num,
            name=order.name,
            token=order.token,
            identity=order.identity,
            bundle_key=keys.bundle_key(order.run_id, order.num),
            stop_key=keys.stop_key(order.run_id, order.num),
            claim_url=self.ports.internal.presign_put_new(claim_key, window),
            claim_read_url=self.ports.internal.presign_get(claim_key, order.url_lifetime),
            result_url=self.ports.internal.presign_put_new(result_key, order.url_lifetime),
            start_by=order.start_by,
            end_by=order.end_by,
            timeout=order.timeout,
            dependents=order.dependents[:MAX_HINTS],
        )

    def _end(
        self, run_id: str, num: str, claim: Claim, *, force: bool, stop: bool
    ) -> Result | None:
        """Take the claim, then write the result; None when a worker is left to end it (rule 6).

        `stop` tells a worker that has the claim to end its commands.
        """
        store = self.ports.internal
        if not store.put_new(keys.claim_key(run_id, num), encode(claim.to_item())):
            if stop:
                store.put(keys.stop_key(run_id, num), EMPTY)
            holder = self._claim(run_id, num)
            if holder is not None and holder.status is not None:
                claim = (
                    holder  # another began to end it from outside and may have died: finish that
                )
            elif not force:
                return None
        assert claim.status is not None
        ending = Result(status=claim.status, reason=claim.reason, finished_at=claim.claimed_at)
        store.put_new(keys.result_key(run_id, num), encode(ending.to_item()))
        return self.result(run_id, num) or ending

    def _claim(self, run_id: str, num: str) -> Claim | None:
        body = self.ports.internal.get(keys.claim_key(run_id, num))
        return None if body is None else read_claim(body, self.ports.clock.now_ms())

    def _acknowledge(self, run: Run, order: Order, late: Result | None) -> None:
        if late is not None:
            epoch = order.finished_at or run.created_at  # the same each time: telling twice is once
            message = f"{late.status} came after the order was {order.status}"
            self.ports.runs.record(
                Event(
                    trace_id=run.trace_id,
                    run_id=run.run_id,
                    order_name=order.name,
                    epoch=epoch,
                    event="late_result",
                    status=order.status,
                    message=message,
                    ttl=epoch // 1000 + EVENT_TTL_S,
                )
            )
        self.ports.internal.put(keys.ack_key(order.run_id, order.num), EMPTY)


def watchdog_input(order: Order, trace_id: str) -> WatchdogInput:
    """Return the input of an order's watchdog: from rows alone, so repeating it is harmless."""
    assert order.start_by is not None
    assert order.end_by is not None
    assert order.dispatched_at is not None
    return WatchdogInput(
        run_id=order.run_id,
        trace_id=trace_id,
        num=order.num,
        start_by=order.start_by,
        end_by=order.end_by,
        due_at=min(order.dispatched_at + order.timeout * 1000, order.end_by),
    )
