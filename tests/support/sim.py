"""Runs with owned time: real handlers, scripted workers, a clock that moves when nothing is due."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from src.common import keys
from src.common.codec import decode, encode
from src.common.messages import Claim, Dispatch, Result
from src.common.records import Order, Run
from src.common.status import OrderStatus
from src.local.calls import as_handler
from src.local.platform import Platform, embedded
from src.local.stack import PROCESS_WEBHOOK, Stack
from src.local.world import Delivery
from tests.support.build import NOW

CREATED, EXISTS = 200, 412


@dataclass
class OwnedClock:
    """Moves when told to, and when somebody sleeps."""

    now: int = NOW

    def now_ms(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


@dataclass
class ScriptedWorker:
    """Claims and reports as a worker does, with an outcome by order name instead of commands.

    An outcome is a status that a worker reports, `dies` (claims and is never heard of again) or
    `lost` (the invocation never reaches a worker). `started` counts how often commands would have
    started.
    """

    platform: Platform
    outcomes: Mapping[str, str] = field(default_factory=dict)
    started: Counter[str] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)
    before: Callable[[Dispatch], None] = lambda _dispatch: None
    log: Callable[[str], str] = "{}\n".format
    long: bool = False  # orders last so long that their worker looks for a cancel

    def __call__(self, delivery: Delivery) -> None:
        with as_handler(delivery.handler):
            self._work(delivery)

    def _work(self, delivery: Delivery) -> None:
        dispatch = Dispatch.from_item(delivery.event)
        outcome = self.outcomes.get(dispatch.name, "succeeded")
        if outcome == "lost":
            return
        adapters = self.platform.adapters
        now = adapters.clock.now_ms()
        assert adapters.internal.get(dispatch.bundle_key) is not None
        claim = Claim(
            by="worker",
            nonce=delivery.request_id,
            claimed_at=now,
            end_by=min(now + dispatch.timeout * 1000, dispatch.end_by),
        )
        answer = adapters.uploads.put_new(dispatch.claim_url, encode(claim.to_item()))
        if answer != CREATED:
            assert answer in {EXISTS, 403}, f"claiming {dispatch.name}: {answer}"
            return
        if self.long:
            adapters.internal.get(dispatch.stop_key)
        with as_handler(""):  # a test that looks on is no worker
            self.before(dispatch)
        self.started[dispatch.name] += 1
        self.order.append(dispatch.name)
        if outcome == "dies":
            return
        status = OrderStatus(outcome)
        result = Result(
            status=status,
            exit_code=0 if status is OrderStatus.SUCCEEDED else 1,
            log=self.log(dispatch.name),
            started_at=now,
            finished_at=now,
            dependents=dispatch.dependents,
        )
        answer = adapters.uploads.put_new(dispatch.result_url, encode(result.to_item()))
        assert answer in {CREATED, EXISTS}, f"reporting {dispatch.name}: {answer}"


class Sim:
    """A platform, its scripted worker and the loop that drives them."""

    def __init__(
        self,
        outcomes: Mapping[str, str] | None = None,
        *,
        secrets: Mapping[str, str] | None = None,
        stack: Stack | None = None,
        platform: Platform | None = None,
        clock: OwnedClock | None = None,
    ) -> None:
        self.clock = clock or OwnedClock()
        self.stack = stack or Stack()
        self.platform = platform or embedded(self.stack, secrets or {}, self.clock)
        self.world = self.platform.world
        self.adapters = self.platform.adapters
        self.worker = ScriptedWorker(self.platform, outcomes or {})
        self.world.on_work = self.worker

    def submit(self, job: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        """Submit by direct invocation; return the whole answer."""
        event = {"job": job, **fields}
        answer: dict[str, Any] = self.world.functions[PROCESS_WEBHOOK](
            event, self.world.context("test")
        )
        return answer

    def settle(self) -> None:
        """Deliver all that is due now."""
        while self.world.step():
            pass

    def finish(self, run_id: str, *, within_s: float = 48 * 3600) -> Run:
        """Let time pass until the run is finished."""
        until = self.clock.now + int(within_s * 1000)
        while self.adapters.internal.get(keys.finished_key(run_id)) is None:
            if self.world.step():
                continue
            due = self.world.due_in_s()
            assert due is not None, f"{run_id} is stuck: nothing is due, and it is not finished"
            self.clock.sleep(max(due, 0.001))
            assert self.clock.now < until, f"{run_id} is not finished after {within_s} s"
        return self.run(run_id)

    def let_watchdogs_end(self) -> None:
        """Let time pass until no watchdog waits any more."""
        while (due := self.world.due_in_s()) is not None:
            if not self.world.step():
                self.clock.sleep(max(due, 0.001))

    def run_to_end(self, job: Mapping[str, Any], **fields: Any) -> tuple[Run, dict[str, Order]]:
        """Submit a job, let it finish, return its run item and its rows by order name.

        Without a run id of its own an equal job of another test would be the same request.
        """
        answer = self.submit(job, **{"run_id": uuid.uuid4().hex, **fields})
        assert answer["statusCode"] == 200, answer
        run = self.finish(answer["body"]["run_id"])
        return run, self.rows(run)

    def run(self, run_id: str) -> Run:
        run = self.adapters.runs.run(run_id)
        assert run is not None
        return run

    def rows(self, run: Run) -> dict[str, Order]:
        nums = [keys.order_num(position) for position in range(1, run.total + 1)]
        return {row.name: row for row in self.adapters.runs.orders(run.run_id, nums).values()}

    def done(self, run_id: str) -> dict[str, Any]:
        body = self.adapters.done.get(keys.done_key(run_id))
        assert body is not None
        return decode(body)


def a_job(*orders: Mapping[str, Any] | str, **fields: Any) -> dict[str, Any]:
    """Return a job of the given orders; a string is the name of one that runs `true`."""
    specs = [{"order_name": order} if isinstance(order, str) else dict(order) for order in orders]
    filled = [{"cmds": ["true"], "timeout": 60, **spec} for spec in specs]
    return {"username": "alice", "orders": filled, **fields}


def chain(*names: str) -> list[dict[str, Any]]:
    """Return orders that each wait for the one before."""
    return [
        {"order_name": name, "dependencies": list(names[at - 1 : at]) if at else []}
        for at, name in enumerate(names)
    ]
