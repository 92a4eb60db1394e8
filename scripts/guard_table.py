"""The guards of the protocol: what each is, the line that keeps it, and the line without it.

`number` is the row of the table of guards in docs/ARCHITECTURE.md. A text must occur in its file
exactly once. What stands in the in-memory adapters stands as a condition of the write in
`src/common/aws`: those are tried on moto.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ACCEPT: Final = "process_webhook/accept.py"
PACKAGE: Final = "process_webhook/package.py"
APP: Final = "orchestrator/app.py"
AT_ONCE: Final = "orchestrator/at_once.py"
DECIDE: Final = "orchestrator/decide.py"
DRAFT: Final = "orchestrator/draft.py"
FINISH: Final = "orchestrator/finish.py"
HOLDING: Final = "orchestrator/holding.py"
LEASE: Final = "orchestrator/lease.py"
PERFORM: Final = "orchestrator/perform.py"
STEP: Final = "orchestrator/step.py"
BUNDLE: Final = "common/bundle.py"
CHECK: Final = "watchdog_check/app.py"
CHECK_DECIDE: Final = "watchdog_check/decide.py"
WORKER: Final = "worker/decide.py"
LOCKS: Final = "local/memory_locks.py"
RUNS: Final = "local/memory_runs.py"
OBJECTS: Final = "local/memory_objects.py"
AWS_LOCKS: Final = "common/aws/locks.py"
AWS_RUNS: Final = "common/aws/runs.py"


@dataclass(frozen=True)
class Guard:
    """One guard: its row in the architecture, what it is, and how to remove it."""

    number: int
    what: str
    file: str  # under src/
    old: str
    new: str

    @property
    def on_moto(self) -> bool:
        """Whether it is AWS that keeps it."""
        return self.file.startswith("common/aws/")


GUARDS: Final = (
    Guard(
        2,
        "a repeated request wakes and packages again",
        ACCEPT,
        "if run.finished_at is not None or self._packaged(run.run_id):",
        "if run.created_at < self.clock.now_ms() - 5_000:",
    ),
    Guard(
        3,
        "a bundle is put only if absent",
        PACKAGE,
        "self.internal.put_new(keys.bundle_key(",
        "self.internal.put(keys.bundle_key(",
    ),
    Guard(
        3,
        "a bundle is encrypted to the identity that is stored",
        PACKAGE,
        "contents, row.identity)",
        "contents, bundle.new_identity())",
    ),
    Guard(
        3,
        "a row is put only if absent",
        RUNS,
        "return [self._rows.setdefault((order.run_id, order.num), order) for order in orders]",
        "self._rows.update({(o.run_id, o.num): o for o in orders})\n            return [*orders]",
    ),
    Guard(
        3,
        "packaging's result is put only if absent",
        PACKAGE,
        "if not self.internal.put_new(result_key, encode(result.to_item())):",
        "if self.internal.put(result_key, encode(result.to_item())):",
    ),
    Guard(
        4,
        "packaging ends only after the orchestrator came",
        PACKAGE,
        "        run = self._wait_until_seen(run, until)\n",
        "",
    ),
    Guard(
        4,
        "the run has a watchdog before it is seen",
        DECIDE,
        "if run.seen_at is None and not view.watched:",
        "if run.seen_at is None and not view:",
    ),
    Guard(
        5,
        "who finds the lock held leaves a mark",
        LEASE,
        "            lock = self._locks.mark(lock, marks)\n",
        "            pass\n",
    ),
    Guard(
        5,
        "the lock is freed only if no mark came",
        LOCKS,
        "            if lock.wake != wake:\n                return False\n",
        "",
    ),
    Guard(
        5,
        "a change frees the lock only if no mark came",
        LOCKS,
        "(lock.owner, lock.wake) == (before.owner, before.wake)",
        "lock.owner == before.owner",
    ),
    Guard(
        5,
        "who gives up leaves the marks",
        LEASE,
        "while not self.release(lock, frozenset()):",
        "while not self.release(lock, lock.pending):",
    ),
    Guard(
        5,
        "only what is settled leaves with a further round",
        HOLDING,
        "settled=self._view.settled)",
        "settled=self._lock.pending)",
    ),
    Guard(
        5,
        "an event writes at once only where nobody is and no mark waits",
        AT_ONCE,
        "(seen.idle and _in_order(run))",
        "_in_order(run)",
    ),
    Guard(
        6,
        "only a mark makes a lock, for a run that has an item",
        LOCKS,
        'raise NoLock(f"taking the lock of {run_id}: it was never marked")',
        'lock = Lock(run_id=run_id, trace_id="", flow_id="", ttl=0)',
    ),
    Guard(
        6,
        "a late event leaves `finished.json` to the lock's holder",
        APP,
        "if run.finished_at is not None and self._ports.locks.get(run_id) is None:",
        "if run.finished_at is not None:",
    ),
    Guard(
        7,
        "a lease that is running is not stolen",
        LOCKS,
        "if lock.completed or (lock.held(now) and lock.owner != owner):",
        "if lock.completed:",
    ),
    Guard(
        7,
        "a lease that ran out is stolen",
        LOCKS,
        "(lock.held(now) and lock.owner != owner)",
        "(lock.owner is not None and lock.owner != owner)",
    ),
    Guard(
        7,
        "a completed lock is nobody's",
        LOCKS,
        "if lock.completed or (lock.held",
        "if (lock.held",
    ),
    Guard(
        7,
        "only the holder renews, releases and completes",
        LOCKS,
        "if lock is None or lock.owner != owner:\n            raise LeaseLost",
        "if lock is None:\n            raise LeaseLost",
    ),
    Guard(
        7,
        "a run changes only at the revision that was read",
        RUNS,
        "if there is None or there.rev != run.rev - 1:",
        "if there is None:",
    ),
    Guard(
        7,
        "a write whose reply was lost is recognised",
        RUNS,
        "if repeated and run.rev_by:",
        "if repeated and not run.rev_by:",
    ),
    Guard(
        8,
        "nothing is claimed before packaging ended",
        STEP,
        "    if draft.run.packaged_at is None:\n        return\n",
        "",
    ),
    Guard(
        8,
        "nothing is claimed in a run that closed",
        STEP,
        "    if draft.run.closing is not None:\n        _sweep",
        "    if draft.run.finished_at is not None:\n        _sweep",
    ),
    Guard(
        8,
        "at most `max_parallel` orders are claimed",
        STEP,
        "slots = min(slots, draft.run.max_parallel - active)",
        "slots = min(slots, active + 9)",
    ),
    Guard(
        8,
        "a watchdog is started before the hand-over",
        PERFORM,
        "            self.ports.watchdogs.start(name, watchdog_input(order, view.run.trace_id))\n",
        "",
    ),
    Guard(
        8,
        "what is claimed and unconfirmed is handed over again",
        DECIDE,
        "(order := view.orders.get(num)) is not None",
        "(order := view.orders.get(num)) and (order.dispatched_at or 0) + 5_000 > view.now",
    ),
    Guard(
        9,
        "who does not get the claim starts nothing",
        WORKER,
        "now >= winner.end_by else Outcome.LEFT",
        "now >= winner.end_by else Outcome.WON",
    ),
    Guard(
        9,
        "a worker is called dead only when its time is up",
        WORKER,
        "ours and winner is not None and now >= winner.end_by",
        "ours and winner is not None",
    ),
    Guard(
        9,
        "what is presigned creates and never overwrites",
        OBJECTS,
        "CREATED if self._buckets.put_new(*place, body) else EXISTS",
        "self._buckets.put(*place, body) or CREATED",
    ),
    Guard(
        10,
        "a watchdog takes the claim before it ends what nobody claimed",
        CHECK,
        "        if ending.claim_first:",
        "        if not ending:",
    ),
    Guard(
        10,
        "a watchdog leaves an order whose claim it does not get",
        CHECK,
        "                return  # a worker came",
        "                pass  # a worker came",
    ),
    Guard(
        10,
        "a watchdog waits for the claimed time to be over",
        CHECK_DECIDE,
        "if now < min(claim.end_by, task.end_by) + GRACE_MS:",
        "if now < 0:",
    ),
    Guard(
        10,
        "the orchestrator takes the claim before it ends an order",
        PERFORM,
        "if not store.put_new(keys.claim_key(run_id, num), encode(claim.to_item())):",
        "if store.get(keys.claim_key(run_id, num)) is not None:",
    ),
    Guard(
        11,
        "a watchdog creates a result and never overwrites one",
        CHECK,
        "self._internal.put_new(keys.result_key(",
        "self._internal.put(keys.result_key(",
    ),
    Guard(
        11,
        "only an active order ends by a result",
        STEP,
        "if order.status in ACTIVE and draft.room:",
        "if draft.room:",
    ),
    Guard(
        12,
        "a watchdog does not end on the result alone",
        CHECK,
        "return Turn.FINISHED if self._finished(task) else Turn.POKE",
        "return Turn.FINISHED",
    ),
    Guard(
        12,
        "an order is acknowledged only after its row has ended",
        DECIDE,
        "if order.status in TERMINAL and (",
        "if (",
    ),
    Guard(
        12,
        "a poke reads all results again",
        DECIDE,
        "    if keys.POKE in view.marks or _sweeping(view):\n        nums |=",
        "    if _sweeping(view):\n        nums |=",
    ),
    Guard(
        12,
        "a poke looks for packaging's end too",
        DECIDE,
        "(view.marks & {keys.PACKAGING, keys.POKE})",
        "keys.PACKAGING in view.marks",
    ),
    Guard(
        12,
        "a poke looks for a cancel too",
        DECIDE,
        "        nums.add(keys.CANCEL)",
        "        nums.discard(keys.CANCEL)",
    ),
    Guard(
        12,
        "the run's watchdog pokes every five minutes",
        CHECK_DECIDE,
        "if task.poked_at is not None and now - task.poked_at >= POKE_EVERY_MS:",
        "if now < 0:",
    ),
    Guard(
        12,
        "the run's watchdog ends packaging that is late",
        CHECK,
        "if now >= task.start_by:",
        "if now < 0:",
    ),
    Guard(
        12,
        "an event on a completed lock puts `finished.json` again",
        APP,
        "        if lock.completed:\n"
        "            self._ports.internal.put(keys.finished_key(run_id), EMPTY)\n",
        "        if lock.completed:\n",
    ),
    Guard(
        13,
        "the done object is put only if absent",
        FINISH,
        "ports.done.put_new(",
        "ports.done.put(",
    ),
    Guard(
        13,
        "the lock is completed after the done object",
        FINISH,
        "    publish(ports, run, lease)\n    ports.locks.complete(run.run_id, lease.owner)\n",
        "    ports.locks.complete(run.run_id, lease.owner)\n    publish(ports, run, lease)\n",
    ),
    Guard(
        13,
        "a run ends only when every order has",
        STEP,
        "if draft.open == 0 and not draft.needs:",
        "if draft.open <= 1 and not draft.needs:",
    ),
    Guard(
        14,
        "a dependent is told once",
        DRAFT,
        "self.untold.append((order.num, 0))",
        "self.untold += [(order.num, 0), (order.num, 0)]",
    ),
    Guard(
        14,
        "who is not told yet is remembered",
        DRAFT,
        "self.untold.append((order.num, 0))",
        "self.untold = self.untold[:0]",
    ),
    Guard(
        14,
        "a dependent starts when its last dependency lets it go",
        DRAFT,
        "if order.open == 1:",
        "if order.open >= 1:",
    ),
    Guard(
        15,
        "an order's environment lies in the encrypted part of its bundle",
        BUNDLE,
        'order = {"version": VERSION, "cmds": list(bundle.cmds), "folder": bundle.folder}',
        'order = {"version": VERSION, "cmds": list(bundle.cmds), "folder": bundle.folder,'
        ' "env": dict(bundle.env)}',
    ),
    Guard(
        16,
        "a run that closes puts what packaging has not, as ended",
        STEP,
        "                draft.put_ended(num, event)\n",
        "                pass\n",
    ),
    Guard(
        7,
        "DynamoDB: a run changes only at the revision that was read",
        AWS_RUNS,
        'UNCHANGED: Final = "rev = :before"',
        'UNCHANGED: Final = "rev >= :before OR rev < :before"',
    ),
    Guard(
        7,
        "DynamoDB: a lease that is running is not stolen",
        AWS_LOCKS,
        "OR #lease <= :now OR #owner = :owner)",
        "OR #lease <= :now OR #owner = :owner OR #lease > :now)",
    ),
    Guard(
        5,
        "DynamoDB: the lock is freed only if no mark came",
        AWS_LOCKS,
        'UNMARKED: Final = "#wake = :wake"',
        'UNMARKED: Final = "#wake >= :wake"',
    ),
    Guard(
        7,
        "DynamoDB: only the holder releases",
        AWS_LOCKS,
        'OURS: Final = "#owner = :owner"',
        'OURS: Final = "(#owner = :owner OR #owner <> :owner)"',
    ),
)
