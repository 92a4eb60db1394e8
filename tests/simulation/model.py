"""The protocol of a run as a small executable model, that every simulation is checked against.

The model knows a job's plan and takes one step for each call that had an effect: it says whether
that step was allowed in the state it is in, and what the state is afterwards. It shares no code
with what it checks, but for the transition table and the records in which the calls are made. What
stands in the stores after a step must be what the model has (`watch.py` sees to that).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from src.common import keys
from src.common.records import Change, Lock, LockMove, Order, Run
from src.common.status import ACTIVE, TERMINAL, TRANSITIONS
from tests.simulation.invariants import hold

ENDED = {str(status) for status in TERMINAL}
BUSY = {str(status) for status in ACTIVE}
LEGAL = {str(a): {str(b) for b in moves.values()} for a, moves in TRANSITIONS.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job asks for, by order number."""

    needs: Mapping[str, frozenset[str]]
    must_succeed: Mapping[str, bool]
    names: Mapping[str, str]
    max_parallel: int | None = None

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> Self:
        """Return the plan of a request."""
        orders = job["orders"]
        nums = {order["order_name"]: keys.order_num(n) for n, order in enumerate(orders, 1)}
        return cls(
            needs={
                nums[order["order_name"]]: frozenset(
                    nums[need] for need in order.get("dependencies", ())
                )
                for order in orders
            },
            must_succeed={
                nums[order["order_name"]]: order.get("must_succeed", True) for order in orders
            },
            names={num: name for name, num in nums.items()},
            max_parallel=job.get("max_parallel"),
        )


@dataclass(slots=True)
class OrderModel:
    """One order: its row's status, and what lies in S3 of it."""

    status: str = "queued"
    bundle: bool = False
    token: str | None = None
    claim: str | None = None  # who created it: the name of a process
    claim_ends: str | None = None  # how its creator ends the order from outside
    claimed_until: int = 0
    result: str | None = None
    started: int = 0
    watchdog: bool = False
    acked: bool = False


@dataclass(slots=True)
class LockModel:
    """The lock of the run."""

    owner: str | None = None
    lease: int = 0
    wake: int = 0
    pending: frozenset[str] = frozenset()
    completed: bool = False


@dataclass
class RunModel:
    """One run, from its acceptance to `finished.json`."""

    plan: Plan
    now: Callable[[], int]  # epoch ms
    item: Run | None = None  # as it was written last; None: not accepted
    seen: bool = False
    packaged: bool = False
    closing: str | None = None
    finished: str | None = None
    packaging_result: str | None = None
    cancel_asked: bool = False
    watchdog: bool = False
    lock: LockModel | None = None
    done: bool = False
    finished_json: bool = False
    orders: dict[str, OrderModel] = field(default_factory=dict)
    rows: dict[str, Order] = field(default_factory=dict)  # as they were written last
    came: dict[str, int] = field(default_factory=dict)  # when what waits for its effect came
    lags: dict[str, int] = field(default_factory=dict)  # how long (ms) each of those waited
    poked: set[str] = field(default_factory=set)  # had a result when a poke that waits was made

    def __post_init__(self) -> None:
        self.orders = {num: OrderModel() for num in self.plan.needs}

    # -- accepting and packaging --------------------------------------------------------------

    def accept(self, run: Run) -> None:
        """Step: the run item was created."""
        hold("fenced", self.item is None, "the run was accepted twice")
        self.item = run

    def add_row(self, num: str, row: Order) -> None:
        """Step: packaging put a row."""
        hold("whole packaging", num not in self.rows, f"the row of {num} was put twice")
        hold("whole packaging", self.item is not None, f"the row of {num} is of no run")
        hold("legal moves", row.status == "queued", f"{num} begins as {row.status}")
        self.rows[num] = row
        hold("one end", self.finished is None, f"a row of {num}, and the run has ended")

    def add_bundle(self, num: str) -> None:
        """Step: packaging put a bundle."""
        hold("whole packaging", not self.orders[num].bundle, f"the bundle of {num} was put twice")
        hold("whole packaging", num in self.rows, f"a bundle of {num} without its row")
        self.orders[num].bundle = True

    def end_packaging(self, status: str) -> None:
        """Step: `0000/result.json` was created."""
        hold("whole packaging", self.packaging_result is None, "packaging ended twice")
        if status == "succeeded":
            hold("whole packaging", self.seen, "nobody guards the run yet")
            missing = [n for n, o in self.orders.items() if not (n in self.rows and o.bundle)]
            hold("whole packaging", not missing, f"rows or bundles are missing: {missing}")
        self.packaging_result = status
        self._came(keys.PACKAGING)

    def ask_to_cancel(self) -> None:
        """Step: the cancel object was put."""
        self.cancel_asked = True
        if self.closing is None and self.finished is None:
            self._came(keys.CANCEL)

    def _came(self, what: str) -> None:
        self.came.setdefault(what, self.now())

    def _took(self, *what: str) -> None:
        """Note that what came has its effect now."""
        for each in what:
            if each in self.came:
                self.lags[each] = self.now() - self.came.pop(each)

    # -- the lock -----------------------------------------------------------------------------

    def mark(self, marks: frozenset[str]) -> None:
        """Step: a mark was made; the first makes the lock."""
        hold("one holder", self.item is not None, "a lock of a run that has no item")
        self.lock = self.lock or LockModel()
        if keys.POKE in marks:
            self.poked |= {num for num, order in self.orders.items() if order.result is not None}
        self.lock.wake += 1
        self.lock.pending |= marks

    def take(
        self, owner: str, now: int, lease: int, marks: frozenset[str], settled: frozenset[str]
    ) -> None:
        """Step: the lock was taken, or taken again."""
        lock = self._lock()
        hold("one holder", not lock.completed, f"{owner} took a completed lock")
        free = lock.owner is None or lock.owner == owner or lock.lease <= now
        hold("one holder", free, f"{owner} took the lock of {lock.owner}, whose lease is running")
        if marks:
            self.mark(marks)
        else:
            self._unmark(settled)
        lock.owner, lock.lease = owner, lease

    def renew(self, owner: str, lease: int) -> None:
        """Step: the lease was extended."""
        hold("one holder", self._lock().owner == owner, f"{owner} renewed a lock that it lost")
        self._lock().lease = lease

    def release(self, owner: str, wake: int, done: frozenset[str]) -> None:
        """Step: the lock was freed."""
        lock = self._lock()
        hold("one holder", lock.owner == owner, f"{owner} released a lock that it lost")
        hold("no lost mark", lock.wake == wake, f"{owner} released over a mark that came since")
        self._unmark(done)
        lock.owner, lock.lease = None, 0

    def complete(self, owner: str) -> None:
        """Step: the lock was freed for good."""
        lock = self._lock()
        hold("one holder", lock.owner == owner, f"{owner} completed a lock that it lost")
        hold("end in order", self.done, "the lock was completed before there is a done object")
        lock.completed, lock.owner, lock.lease, lock.pending = True, None, 0, frozenset()

    def _move_lock(self, move: LockMove) -> None:
        """The lock's part of a change: it was taken or freed with it, or had to be idle."""
        lock, before, after = self._lock(), move.before, move.after
        hold("one holder", lock.owner == before.owner, f"{lock.owner} holds it, not {before.owner}")
        hold("no lost mark", lock.wake == before.wake, "written over a mark that came since")
        if before.owner is not None:
            hold("one holder", after.owner is None, f"{before.owner} gave it to {after.owner}")
            self.release(before.owner, before.wake, before.pending - after.pending)
        elif after.owner is not None:
            marks = after.pending - before.pending
            self.take(after.owner, 0, after.lease, marks, frozenset())
        else:
            hold("no lost mark", not lock.pending, f"{lock.pending} wait, and were not seen to")

    def _unmark(self, marks: frozenset[str]) -> None:
        lock = self._lock()
        for mark in marks & lock.pending:
            hold("no lost mark", self._took_effect(mark), f"mark {mark} left without its effect")
        lock.pending -= marks

    def _took_effect(self, mark: str) -> bool:
        if self.finished is not None:
            return True
        match mark:
            case keys.ACCEPTED:
                return self.seen
            case keys.CANCEL:
                return self.closing is not None
            case keys.PACKAGING:
                return self.packaged or self.closing is not None
            case keys.POKE:
                seen = all(self.orders[num].status in ENDED for num in self.poked)
                self.poked.clear()
                return seen
        # Its acknowledgement may follow: the watchdog sees to that, and has to end (`all is free`).
        order = self.orders[mark]
        return order.result is None or order.status in ENDED

    def _lock(self) -> LockModel:
        hold("one holder", self.lock is not None, "there is no lock")
        assert self.lock is not None
        return self.lock

    # -- the orchestrator's writes ------------------------------------------------------------

    def commit(self, change: Change) -> None:
        """Step: one atomic change; a repetition of the last one is none."""
        run = change.run
        hold("fenced", self.item is not None, "a change of no run")
        assert self.item is not None
        if (run.rev, run.rev_by) == (self.item.rev, self.item.rev_by):
            return
        hold("fenced", self.item.rev == run.rev - 1, f"{run.rev} was written on {self.item.rev}")
        hold("one end", self.finished is None, f"the run had ended as {self.finished}")
        if run.seen_at is not None and not self.seen:
            hold("claim first", self.watchdog, "the run is seen, and has no watchdog")
            self.seen = True
        if run.packaged_at is not None and not self.packaged:
            hold("legal moves", self.packaging_result == "succeeded", "packaged, and was not")
            self.packaged = True
            self._took(keys.PACKAGING)
        if run.closing is not None and self.closing is None:
            self._close(str(run.closing))
        for order in change.orders:
            self._move(order)
            self.rows[order.num] = order
        self.item = run
        if run.finished_at is not None:
            self._finish(run)
        self._books(run)
        if change.lock is not None:
            self._move_lock(change.lock)

    def _close(self, why: str) -> None:
        reason = {
            "cancelled": self.cancel_asked,
            "failed": self.packaging_result not in (None, "succeeded"),
            "timed_out": True,  # time is judged at the end
        }
        hold("legal moves", reason[why], f"the run closes as {why}, for no reason")
        self.closing = why
        self._took(keys.PACKAGING, keys.CANCEL)

    def _move(self, after: Order) -> None:
        num, new = after.num, str(after.status)
        order, before = self.orders[num], self.rows.get(num)
        if before is None:  # a run that closed puts what packaging has not, as ended
            hold("legal moves", new in ("skipped", "cancelled"), f"{num} is put as {new}")
            hold("fenced", after.rev == 0, f"{num}: {after.rev} on none")
        else:
            hold("fenced", before.rev == after.rev - 1, f"{num}: {after.rev} on {before.rev}")
        if new == order.status:
            hold("legal moves", new == "queued", f"{num}, which is {new}, was written again")
            return
        hold("legal moves", new in LEGAL[order.status], f"{num}: {order.status} -> {new}")
        if new == "dispatching":
            self._claim(num, after)
        elif new == "skipped":
            self._skip(num)
        elif new == "cancelled" and order.status == "queued":
            hold("legal moves", self.closing == "cancelled", f"{num} is cancelled, the run is not")
        elif new in ENDED:
            hold("one result", order.result == new, f"{num} ends {new}, its result {order.result}")
            self._took(num)
        order.status = new

    def _claim(self, num: str, after: Order) -> None:
        hold("legal moves", self.packaged, f"{num} was claimed before packaging ended")
        hold("legal moves", self.closing is None, f"{num} was claimed in a run that closed")
        waits = [need for need in self.plan.needs[num] if not self._lets_go(need)]
        hold("right start", not waits, f"{num} was claimed before {waits}")
        self.orders[num].token = after.token

    def _skip(self, num: str) -> None:
        stopped = any(self._stops(need) for need in self.plan.needs[num])
        closed = self.closing in ("timed_out", "failed")
        hold("legal moves", stopped or closed, f"{num} is skipped, for no reason")

    def _lets_go(self, num: str) -> bool:
        status = self.orders[num].status
        if status == "skipped":
            return False
        return status == "succeeded" or (status in ENDED and not self.plan.must_succeed[num])

    def _stops(self, num: str) -> bool:
        return self.orders[num].status in ENDED and not self._lets_go(num)

    def _books(self, run: Run) -> None:
        """Compare the run item with the rows, as this change leaves both."""
        counts = Counter(order.status for order in self.orders.values())
        stored = {status: count for status, count in run.counts.items() if count}
        hold("true books", stored == dict(counts), f"counts {stored}, rows {dict(counts)}")
        busy = sum(counts[status] for status in BUSY)
        limit = self.plan.max_parallel
        hold("limited", limit is None or busy <= limit, f"{busy} orders at once, not {limit}")
        handing = {num for num, order in self.orders.items() if order.status == "dispatching"}
        stored_handing = set(run.dispatching)
        hold(
            "true books", stored_handing == handing, f"dispatching {stored_handing}, not {handing}"
        )
        ready = int(run.ready, 16)
        for num, order in self.orders.items():
            if order.status == "queued" and self.closing is None:
                self._ready(num, bool(ready >> int(num) & 1), run)

    def _ready(self, num: str, ready: bool, run: Run) -> None:
        """An order is ready when nobody it waits for is left but those that are yet to tell it."""
        untold = {other for other, _ in run.untold}
        waits = {need for need in self.plan.needs[num] if not self._lets_go(need)}
        hold("true books", not (ready and waits), f"{num} is ready, and waits for {waits}")
        if not waits and not ready:
            told = not (self.plan.needs[num] & untold)
            hold("true books", not told, f"{num} waits for nobody, and is not ready")

    def _finish(self, run: Run) -> None:
        unended = {num for num, order in self.orders.items() if order.status not in ENDED}
        hold("one end", not unended, f"{unended} have not ended")
        bad = [
            num
            for num, order in self.orders.items()
            if order.status != "succeeded" and self.plan.must_succeed[num]
        ]
        verdict = self.closing or ("failed" if bad else "succeeded")
        hold("right end", run.status == verdict, f"the job ends as {run.status}, not {verdict}")
        self.finished = str(run.status)
        self._took(keys.CANCEL)

    # -- handing over, and what workers and watchdogs do -----------------------------------------

    def start_watchdog(self, num: str) -> None:
        """Step: an execution was started."""
        if num == keys.PACKAGING:
            hold("claim first", self.item is not None, "a watchdog of no run")
            self.watchdog = True
            return
        hold("claim first", self.orders[num].token is not None, f"a watchdog of unclaimed {num}")
        self.orders[num].watchdog = True

    def hand_over(self, num: str, token: str) -> None:
        """Step: an order was handed to a worker or a build."""
        order = self.orders[num]
        hold("claim first", order.token == token, f"{num} was handed over by a claim it has not")
        hold("claim first", order.watchdog, f"{num} was handed over and has no watchdog")

    def claim(self, num: str, who: str, ends: str | None, until: int) -> None:
        """Step: `claim.json` was created."""
        order = self.orders[num]
        hold("one result", order.claim is None, f"{who} claimed {num} after {order.claim}")
        order.claim, order.claim_ends, order.claimed_until = who, ends, until

    def start(self, num: str, who: str) -> None:
        """Step: the commands of an order start."""
        order = self.orders[num]
        hold("one start", order.claim == who, f"{who} starts {num}, which {order.claim} claimed")
        hold("one start", order.started == 0, f"{num} starts again, by {who}")
        hold("no late start", order.result is None, f"{num} starts, and has ended {order.result}")
        hold("no late start", order.status in BUSY, f"{num} starts, and is {order.status}")
        waits = [need for need in self.plan.needs[num] if not self._lets_go(need)]
        hold("right start", not waits, f"{num} starts before {waits}")
        order.started += 1

    def result(self, num: str, who: str, status: str) -> None:
        """Step: `result.json` was created."""
        order = self.orders[num]
        hold("one result", order.result is None, f"{who} put a second result of {num}")
        hold("one result", order.claim is not None, f"{who} ended {num}, which nobody claimed")
        beside = who != order.claim and order.claim_ends is None and self.closing is None
        early = beside and self.now() < order.claimed_until
        hold("one result", not early, f"{who} ended {num} beside {order.claim}")
        order.result = status
        if order.status in BUSY:
            self._came(num)

    def acknowledge(self, num: str) -> None:
        """Step: `ack.json` was put."""
        status = self.orders[num].status
        hold("acknowledged", status in ENDED, f"{num} was acknowledged while {status}")
        self.orders[num].acked = True

    # -- the end ------------------------------------------------------------------------------

    def put_done(self, summary: Mapping[str, Any]) -> None:
        """Step: the done object was created."""
        hold("one end", not self.done, "a second done object")
        hold("one end", self.finished is not None, "done, and the run has not ended")
        hold("one end", summary["status"] == self.finished, f"done says {summary['status']}")
        told = {order["num"]: order["status"] for order in summary["orders"].values()}
        rows = {num: order.status for num, order in self.orders.items() if order.status in ENDED}
        different = {num: told.get(num) for num, status in rows.items() if told.get(num) != status}
        hold("one end", not different and told.keys() == self.orders.keys(), f"done: {different}")
        self.done = True

    def put_finished(self) -> None:
        """Step: `finished.json` was put."""
        completed = self.lock is None or self.lock.completed
        hold("end in order", self.done and completed, "finished.json came too early")
        self.finished_json = True

    # -- refinement ---------------------------------------------------------------------------

    def agrees_with_lock(self, stored: Lock | None) -> None:
        """The stored lock is the model's."""
        ours = self.lock
        if stored is None or ours is None:
            hold("one holder", stored is None and ours is None, f"stored {stored}, not {ours}")
            return
        theirs = LockModel(
            stored.owner, stored.lease, stored.wake, stored.pending, stored.completed
        )
        hold("one holder", theirs == ours, f"stored is {theirs}, the model has {ours}")

    def agrees_with_rows(self, item: Run | None, rows: Mapping[str, Order]) -> None:
        """The stored run item and rows are the model's."""
        hold("fenced", item == self.item, f"stored is {item}, the model has {self.item}")
        hold("legal moves", rows == self.rows, f"stored are {rows}, the model has {self.rows}")
