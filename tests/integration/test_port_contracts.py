"""One contract for every adapter: what holds in memory holds on boto3, and the other way round.

A platform is one fixture that returns its ports (tests/support/port_worlds.py); a real endpoint is
one more. Ids are unique per test, so all tests of a platform share one world.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any, TypeVar

import pytest

from src.common.errors import Conflict, LeaseLost, LockHeld, LockMoved, NoLock, Permanent
from src.common.keys import result_key
from src.common.messages import Dispatch, WatchdogInput
from src.common.records import (
    Change,
    Event,
    Idempotency,
    Lock,
    LockMove,
    Order,
    Packaging,
    Run,
)
from src.common.status import JobStatus, OrderStatus
from src.local.moto_world import MotoWorld
from tests.support.build import NOW, a_run, an_order
from tests.support.deployed.endpoint import Applied, EndpointSite
from tests.support.port_worlds import (
    PortWorld,
    endpoint_ports,
    memory_ports,
    moto_ports,
    prepare,
)

pytestmark = pytest.mark.integration

T = TypeVar("T")

TEXT = 'naïve 💥 \n\t"quoted" \' 日本語 \u200b'


@pytest.fixture(scope="module")
def memory_world() -> PortWorld:
    return memory_ports()


@pytest.fixture(scope="module")
def prepared() -> set[int]:
    return set()


@pytest.fixture
def moto_world(prepared: set[int], moto: MotoWorld) -> PortWorld:
    if moto.starts not in prepared:
        prepare(moto)
        prepared.add(moto.starts)
    return moto_ports(moto)


@pytest.fixture(scope="module")
def endpoint_world(applied: Applied) -> Iterator[PortWorld]:
    with endpoint_ports(EndpointSite(applied)) as ports:
        yield ports


@pytest.fixture
def world(request: pytest.FixtureRequest, port_platform: str) -> PortWorld:
    """The ports in memory, on moto and, with --endpoint, on an applied stack."""
    ports: PortWorld = request.getfixturevalue(f"{port_platform}_world")
    return ports


@pytest.fixture
def run() -> Run:
    run_id = str(uuid.uuid4())
    return a_run(run_id=run_id, trace_id=run_id.replace("-", ""), rev=0, rev_by="")


def remembers(run: Run, **fields: Any) -> Idempotency:
    values = {"expires_at": NOW + 600_000, "ttl": NOW // 1000 + 1000, "job_digest": "j" * 64}
    digest = fields.pop("digest", None) or uuid.uuid4().hex
    identity = {"digest": digest, "run_id": run.run_id, "trace_id": run.trace_id}
    return Idempotency(**{**values, **identity, **fields})


def an_event(run: Run, epoch: int = NOW, **fields: Any) -> Event:
    values = {"order_name": "build", "event": "claimed", "status": "dispatching", "ttl": 1}
    ids = {"trace_id": run.trace_id, "run_id": run.run_id, "epoch": epoch}
    return Event(**{**values, **ids, **fields})


def accepted(world: PortWorld, run: Run) -> Run:
    assert world.runs.accept(run, remembers(run), NOW)[0] is None
    return run


def following(run: Run, by: str = "me:1", **fields: Any) -> Run:
    return replace(run, rev=run.rev + 1, rev_by=by, **fields)


def change(run: Run, orders: Iterable[Order] = (), events: Iterable[Event] = ()) -> Change:
    return Change(run=run, orders=tuple(orders), events=tuple(events))


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """Do the work in `count` threads that start together and take turns as often as can be."""
    ready = Barrier(count)
    interval = sys.getswitchinterval()

    def start(number: int) -> T:
        ready.wait(timeout=30)
        return work(number)

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(start, range(count)))
    finally:
        sys.setswitchinterval(interval)


# -- accept ---------------------------------------------------------------------------------------


def test_accept_writes_run_and_record_together(world: PortWorld, run: Run) -> None:
    record = remembers(run)

    assert world.runs.accept(run, record, NOW) == (None, record)

    assert world.runs.run(run.run_id) == run
    assert world.runs.accept(run, record, NOW) == (run, record)


def test_accept_returns_the_record_in_force_and_writes_no_second_run(
    world: PortWorld, run: Run
) -> None:
    first = remembers(run)
    world.runs.accept(run, first, NOW)
    other = replace(run, run_id=str(uuid.uuid4()))

    answer = world.runs.accept(other, remembers(other, digest=first.digest), NOW)

    assert answer == (None, first)
    assert world.runs.run(other.run_id) is None


def test_accept_returns_the_run_in_force_and_writes_no_second_record(
    world: PortWorld, run: Run
) -> None:
    accepted(world, run)
    again = replace(run, username="mallory")
    record = remembers(again)

    assert world.runs.accept(again, record, NOW) == (run, record)

    other = replace(run, run_id=str(uuid.uuid4()))
    fresh = remembers(other, digest=record.digest)
    assert world.runs.accept(other, fresh, NOW) == (None, fresh)
    assert world.runs.run(other.run_id) == other


@pytest.mark.parametrize(("now", "in_force"), [(NOW + 599_999, True), (NOW + 600_000, False)])
def test_a_record_counts_until_it_expires(
    world: PortWorld, run: Run, now: int, *, in_force: bool
) -> None:
    first = remembers(run)
    world.runs.accept(run, first, NOW)
    later = replace(run, run_id=str(uuid.uuid4()))
    record = remembers(later, digest=first.digest, expires_at=now + 600_000)

    there, stored = world.runs.accept(later, record, now)

    assert there is None
    assert stored == (first if in_force else record)
    assert (world.runs.run(later.run_id) is None) is in_force


def test_an_expired_record_does_not_let_a_taken_run_be_accepted_again(
    world: PortWorld, run: Run
) -> None:
    first = remembers(run)
    world.runs.accept(run, first, NOW)
    record = replace(first, expires_at=NOW + 10_000_000)

    assert world.runs.accept(run, record, NOW + 700_000) == (run, record)


def test_one_of_many_accepts_wins(world: PortWorld, run: Run) -> None:
    digest = uuid.uuid4().hex
    runs = [replace(run, run_id=str(uuid.uuid4())) for _ in range(8)]

    answers = at_once(
        8, lambda n: world.runs.accept(runs[n], remembers(runs[n], digest=digest), NOW)
    )

    winners = {record.run_id for _, record in answers}
    assert len(winners) == 1
    assert {one.run_id for one in runs if world.runs.run(one.run_id)} == winners


# -- reading --------------------------------------------------------------------------------------


def test_what_is_missing_reads_as_none(world: PortWorld, run: Run) -> None:
    assert world.runs.run(run.run_id) is None
    assert world.runs.packaging(run.run_id) is None
    assert world.runs.orders(run.run_id, ["0001"]) == {}
    assert world.runs.order(run.run_id, "0001") is None
    assert world.runs.orders(run.run_id, []) == {}
    assert world.runs.run_and_orders(run.run_id, ["0001"]) == (None, {})
    assert world.runs.events(run.trace_id) == []
    assert world.locks.get(run.run_id) is None


def test_every_field_of_a_run_survives(world: PortWorld, run: Run) -> None:
    full = replace(
        run,
        username=TEXT,
        max_parallel=3,
        status=JobStatus.TIMED_OUT,
        counts={"queued": 0, "timed_out": 2},
        unmet=2,
        ready="f" * 250,
        dispatching=("0001", "0002"),
        untold=(("0003", 0), ("0001", 7)),
        closing=JobStatus.CANCELLED,
        reason=TEXT,
        seen_at=NOW,
        packaged_at=NOW + 1,
        finished_at=NOW + 2,
    )

    accepted(world, full)

    assert world.runs.run(run.run_id) == full


def test_250_rows_are_written_and_read_whatever_the_batch_size(world: PortWorld, run: Run) -> None:
    rows = [an_order(n, run_id=run.run_id, dependents=("0002",), name=TEXT) for n in range(1, 251)]

    assert world.runs.add_orders(rows) == rows

    nums = [row.num for row in rows]
    accepted(world, run)
    assert world.runs.orders(run.run_id, [*nums, "0999", "0001"]) == {r.num: r for r in rows}
    assert world.runs.order(run.run_id, nums[0]) == rows[0]
    assert world.runs.run_and_orders(run.run_id, nums) == (run, {r.num: r for r in rows})


def test_rows_that_exceed_one_transaction_in_bytes_are_written(world: PortWorld, run: Run) -> None:
    rows = [an_order(n, run_id=run.run_id, name="x" * 200_000) for n in range(1, 31)]

    world.runs.add_orders(rows)

    assert len(world.runs.orders(run.run_id, [row.num for row in rows])) == 30


# -- packaging ------------------------------------------------------------------------------------


def test_the_first_packaging_row_stays(world: PortWorld, run: Run) -> None:
    first = Packaging(
        run_id=run.run_id, identity="AGE-1", ttl=5, commits={"https://x/y main": "c" * 40}
    )
    second = replace(first, identity="AGE-2", commits={})

    assert world.runs.add_packaging(first) == first
    assert world.runs.add_packaging(second) == first
    assert world.runs.packaging(run.run_id) == first


def test_rows_that_are_there_stay_and_the_others_are_added(world: PortWorld, run: Run) -> None:
    running = an_order(2, run_id=run.run_id, identity="AGE-first", status="running")
    world.runs.add_orders([running])
    rows = [an_order(n, run_id=run.run_id, identity="AGE-second") for n in (1, 2, 3)]

    stored = world.runs.add_orders(rows)

    assert stored == [rows[0], running, rows[2]]
    assert world.runs.orders(run.run_id, ["0001", "0002", "0003"]) == {
        row.num: row for row in stored
    }


def test_two_packagers_at_once_agree_on_every_row(world: PortWorld, run: Run) -> None:
    def package(number: int) -> list[str]:
        rows = [an_order(n, run_id=run.run_id, identity=f"AGE-{number}") for n in range(1, 61)]
        return [row.identity for row in world.runs.add_orders(rows)]

    answers = at_once(4, package)

    assert all(answer == answers[0] for answer in answers)


def test_adding_no_orders_is_nothing(world: PortWorld) -> None:
    assert world.runs.add_orders([]) == []


# -- commit ---------------------------------------------------------------------------------------


def test_a_change_writes_run_rows_and_events(world: PortWorld, run: Run) -> None:
    accepted(world, run)
    [row] = world.runs.add_orders([an_order(1, run_id=run.run_id)])
    claimed = replace(row, status=OrderStatus.DISPATCHING, token="t", rev=1)
    step = change(following(run, ready="2"), (claimed,), (an_event(run, message=TEXT),))

    world.runs.commit(step)

    assert world.runs.run_and_orders(run.run_id, ["0001"]) == (step.run, {"0001": claimed})
    assert world.runs.events(run.trace_id) == list(step.events)


def test_a_repeated_change_is_success_since_its_reply_was_lost(world: PortWorld, run: Run) -> None:
    accepted(world, run)
    world.runs.add_orders([an_order(1, run_id=run.run_id)])
    step = change(following(run), (an_order(1, run_id=run.run_id, rev=1),), (an_event(run),))
    world.runs.commit(step)

    world.runs.commit(step)

    assert world.runs.run(run.run_id) == step.run


@pytest.mark.parametrize("by", ["thief:1", ""])
def test_a_change_onto_anothers_revision_is_a_conflict(world: PortWorld, run: Run, by: str) -> None:
    accepted(world, run)
    world.runs.commit(change(following(run, by)))
    ours = change(following(run, "" if not by else "me:1", reason="ours"), (), (an_event(run),))

    with pytest.raises(Conflict):
        world.runs.commit(ours)

    assert world.runs.run(run.run_id) == following(run, by)
    assert world.runs.events(run.trace_id) == []


def test_a_change_of_a_row_that_moved_on_writes_nothing(world: PortWorld, run: Run) -> None:
    accepted(world, run)
    world.runs.add_orders([an_order(1, run_id=run.run_id, rev=4), an_order(2, run_id=run.run_id)])
    rows = (an_order(2, run_id=run.run_id, rev=1), an_order(1, run_id=run.run_id, rev=4))

    with pytest.raises(Conflict):
        world.runs.commit(change(following(run), rows, (an_event(run),)))

    assert world.runs.run(run.run_id) == run
    assert world.runs.orders(run.run_id, ["0002"])["0002"].rev == 0
    assert world.runs.events(run.trace_id) == []


def test_a_change_may_put_a_row_that_is_absent_and_no_other(world: PortWorld, run: Run) -> None:
    accepted(world, run)
    new = an_order(1, run_id=run.run_id, status="skipped", rev=0)
    world.runs.commit(change(following(run), (new,)))

    assert world.runs.add_orders([an_order(1, run_id=run.run_id)]) == [new]
    with pytest.raises(Conflict):
        world.runs.commit(change(following(following(run)), (replace(new, name="other"),)))
    assert world.runs.run_and_orders(run.run_id, ["0001"]) == (following(run), {"0001": new})


@pytest.mark.parametrize("missing", ["run", "row"])
def test_a_change_of_what_is_missing_is_a_conflict(
    world: PortWorld, run: Run, missing: str
) -> None:
    if missing == "row":
        accepted(world, run)

    with pytest.raises(Conflict):
        world.runs.commit(change(following(run), (an_order(1, run_id=run.run_id, rev=1),)))


def test_a_change_of_100_items_fits_and_101_are_a_programming_error(
    world: PortWorld, run: Run
) -> None:
    accepted(world, run)
    world.runs.add_orders([an_order(n, run_id=run.run_id) for n in range(1, 50)])
    rows = tuple(an_order(n, run_id=run.run_id, rev=1) for n in range(1, 50))
    events = tuple(an_event(run, NOW + n) for n in range(51))

    with pytest.raises(ValueError, match="101 items"):
        world.runs.commit(change(following(run), rows, events))
    world.runs.commit(change(following(run), rows, events[:50]))

    assert len(world.runs.events(run.trace_id)) == 50


def test_a_change_with_a_row_twice_is_a_programming_error(world: PortWorld, run: Run) -> None:
    row = an_order(1, run_id=run.run_id, rev=1)

    with pytest.raises(ValueError, match="twice"):
        world.runs.commit(change(following(run), (row, row)))


def test_the_same_event_twice_in_a_change_is_one(world: PortWorld, run: Run) -> None:
    accepted(world, run)

    world.runs.commit(change(following(run), (), (an_event(run), an_event(run))))

    assert world.runs.events(run.trace_id) == [an_event(run)]


def test_one_of_many_commits_onto_a_revision_wins(world: PortWorld, run: Run) -> None:
    accepted(world, run)

    def commit(number: int) -> str | None:
        try:
            world.runs.commit(change(following(run, f"holder:{number}")))
        except Conflict:
            return None
        return f"holder:{number}"

    winners = [winner for winner in at_once(8, commit) if winner]

    stored = world.runs.run(run.run_id)
    assert stored is not None
    assert winners == [stored.rev_by]


# -- a change that takes the lock along ------------------------------------------------------------


def a_free_lock(world: PortWorld, run: Run) -> Lock:
    """Return the lock of an accepted run: free, with no mark left."""
    accepted(world, run)
    world.locks.mark(run, frozenset({"accepted"}))
    lock = world.locks.take(run.run_id, "first", NOW, NOW + 1)
    assert world.locks.release(run.run_id, "first", lock.wake, lock.pending)
    free = world.locks.get(run.run_id)
    assert free is not None
    assert (free.owner, free.pending) == (None, frozenset())
    return free


def taken_by(owner: str, lock: Lock, *marks: str) -> Lock:
    pending = lock.pending | set(marks)
    return replace(lock, owner=owner, lease=NOW + 9, wake=lock.wake + 1, pending=pending)


def moving(run: Run, before: Lock, after: Lock) -> Change:
    return Change(
        run=following(run), events=(an_event(run),), lock=LockMove(before=before, after=after)
    )


def test_a_look_sees_lock_run_and_rows_together(world: PortWorld, run: Run) -> None:
    assert world.runs.look(run.run_id, ["0001"]) == (None, None, {})
    lock = a_free_lock(world, run)
    rows = {row.num: row for row in world.runs.add_orders([an_order(1, run_id=run.run_id)])}

    assert world.runs.look(run.run_id, ["0001", "0002"]) == (lock, run, rows)
    assert world.runs.look(run.run_id, []) == (lock, run, {})


def test_a_change_takes_and_frees_the_lock_with_itself(world: PortWorld, run: Run) -> None:
    free = a_free_lock(world, run)
    taken = taken_by("me", free, "0001")
    freed = replace(taken, owner=None, lease=0, pending=frozenset())

    world.runs.commit(moving(run, free, taken))

    assert world.locks.get(run.run_id) == taken
    with pytest.raises(LockHeld):
        world.locks.take(run.run_id, "thief", NOW, NOW + 9)

    world.runs.commit(moving(following(run), taken, freed))

    assert world.locks.get(run.run_id) == freed
    assert world.runs.run(run.run_id) == following(following(run))


def test_a_change_that_only_looks_at_the_lock_leaves_it(world: PortWorld, run: Run) -> None:
    free = a_free_lock(world, run)

    world.runs.commit(moving(run, free, free))

    assert world.runs.look(run.run_id, []) == (free, following(run), {})


@pytest.mark.parametrize("meanwhile", ["marked", "taken", "completed", "stolen"])
@pytest.mark.parametrize("after", ["taken", "freed", "looked at"])
def test_a_change_whose_lock_moved_on_writes_nothing(
    world: PortWorld, run: Run, meanwhile: str, after: str
) -> None:
    before = a_free_lock(world, run)
    if after == "freed":
        world.locks.mark(run, frozenset({"0001"}))
        before = world.locks.take(run.run_id, "me", NOW, NOW + 1)
    others = {
        "marked": lambda: world.locks.mark(run, frozenset({"0002"})),
        "taken": lambda: world.locks.take(run.run_id, "thief", NOW + 5, NOW + 9),
        "completed": lambda: complete(world, run),
        "stolen": lambda: steal_and_free(world, run),
    }
    others[meanwhile]()
    as_left = world.locks.get(run.run_id)
    now = {
        "taken": taken_by("me", before, "0001"),
        "freed": replace(before, owner=None, lease=0, pending=frozenset()),
        "looked at": before,
    }

    with pytest.raises(LockMoved) as caught:
        world.runs.commit(moving(run, before, now[after]))

    assert caught.value.lock == as_left
    assert world.runs.look(run.run_id, []) == (as_left, run, {})
    assert world.runs.events(run.trace_id) == []


def complete(world: PortWorld, run: Run) -> None:
    world.locks.take(run.run_id, "thief", NOW + 5, NOW + 9)
    world.locks.complete(run.run_id, "thief")


def steal_and_free(world: PortWorld, run: Run) -> None:
    world.locks.mark(run, frozenset({"0002"}))
    lock = world.locks.take(run.run_id, "thief", NOW + 5, NOW + 9)
    world.locks.release(run.run_id, "thief", lock.wake, lock.pending)


def test_a_change_without_a_lock_to_move_writes_nothing(world: PortWorld, run: Run) -> None:
    accepted(world, run)
    never = Lock(run_id=run.run_id, trace_id=run.trace_id, flow_id=run.flow_id, ttl=run.ttl)

    with pytest.raises(LockMoved) as caught:
        world.runs.commit(moving(run, never, taken_by("me", never)))

    assert caught.value.lock is None
    assert world.runs.look(run.run_id, []) == (None, run, {})


def test_a_conflict_outweighs_a_moved_lock(world: PortWorld, run: Run) -> None:
    free = a_free_lock(world, run)
    world.runs.commit(change(following(run, "thief:1")))
    world.locks.mark(run, frozenset({"0002"}))

    with pytest.raises(Conflict) as caught:
        world.runs.commit(moving(run, free, taken_by("me", free)))

    assert type(caught.value) is Conflict


def test_a_repeated_change_is_success_whatever_became_of_the_lock(
    world: PortWorld, run: Run
) -> None:
    free = a_free_lock(world, run)
    step = moving(run, free, taken_by("me", free, "0001"))
    world.runs.commit(step)
    world.locks.mark(run, frozenset({"0002"}))

    world.runs.commit(step)

    assert world.runs.run(run.run_id) == step.run


# -- events ---------------------------------------------------------------------------------------


def test_events_come_oldest_first_whatever_their_order_names(world: PortWorld, run: Run) -> None:
    late = an_event(run, NOW + 2, order_name="a")
    early = an_event(run, NOW, order_name="z")
    job = an_event(run, NOW + 1, order_name="_job", event="finished")
    for event in (late, early, job, early):
        world.runs.record(event)

    assert world.runs.events(run.trace_id) == [early, job, late]


# -- lock -----------------------------------------------------------------------------------------


def test_a_mark_makes_the_lock_and_the_next_adds_to_it(world: PortWorld, run: Run) -> None:
    first = world.locks.mark(run, frozenset({"accepted"}))
    second = world.locks.mark(replace(run, trace_id="other"), frozenset({"0001", "accepted"}))
    third = world.locks.mark(run, frozenset())

    assert (first.wake, first.pending) == (1, {"accepted"})
    assert (second.wake, second.pending) == (2, {"accepted", "0001"})
    assert third == replace(second, wake=3)
    assert world.locks.get(run.run_id) == third
    assert (third.run_id, third.trace_id, third.flow_id, third.ttl) == (
        run.run_id,
        run.trace_id,
        run.flow_id,
        run.ttl,
    )
    assert not third.held(0)


def test_a_lock_that_was_never_marked_cannot_be_taken(world: PortWorld, run: Run) -> None:
    with pytest.raises(NoLock, match=run.run_id):
        world.locks.take(run.run_id, "me", NOW, NOW + 1, marks=frozenset({"0001"}))

    assert world.locks.get(run.run_id) is None


def test_a_held_lock_names_its_holder(world: PortWorld, run: Run) -> None:
    world.locks.mark(run, frozenset({"0001"}))
    held = world.locks.take(run.run_id, "me", NOW, NOW + 45_000)

    with pytest.raises(LockHeld) as caught:
        world.locks.take(run.run_id, "thief", NOW + 44_999, NOW + 90_000)

    assert caught.value.lock == held
    assert (held.owner, held.lease, held.pending) == ("me", NOW + 45_000, {"0001"})


def test_a_lease_that_ran_out_is_stolen_and_its_holder_told(world: PortWorld, run: Run) -> None:
    world.locks.mark(run, frozenset({"0001"}))
    world.locks.take(run.run_id, "me", NOW, NOW + 45_000)

    stolen = world.locks.take(run.run_id, "thief", NOW + 45_000, NOW + 90_000)

    assert (stolen.owner, stolen.pending, stolen.wake) == ("thief", {"0001"}, 1)
    with pytest.raises(LeaseLost):
        world.locks.renew(run.run_id, "me", NOW + 99_000)
    with pytest.raises(LeaseLost):
        world.locks.release(run.run_id, "me", 1, frozenset({"0001"}))
    with pytest.raises(LeaseLost):
        world.locks.complete(run.run_id, "me")
    assert world.locks.get(run.run_id) == stolen


def test_taking_again_is_success_and_renewing_extends(world: PortWorld, run: Run) -> None:
    world.locks.mark(run, frozenset({"0001"}))
    world.locks.take(run.run_id, "me", NOW, NOW + 1000)

    assert world.locks.take(run.run_id, "me", NOW, NOW + 2000).lease == NOW + 2000
    world.locks.renew(run.run_id, "me", NOW + 3000)

    lock = world.locks.get(run.run_id)
    assert lock is not None
    assert (lock.owner, lock.lease) == ("me", NOW + 3000)


@pytest.mark.parametrize(
    ("done", "left"),
    [
        ({"0001"}, {"0002"}),
        (set(), {"0001", "0002"}),
        ({"0001", "0002"}, set()),
        ({"0009"}, {"0001", "0002"}),
    ],
)
def test_release_frees_the_lock_and_removes_what_is_done(
    world: PortWorld, run: Run, done: set[str], left: set[str]
) -> None:
    world.locks.mark(run, frozenset({"0001", "0002"}))
    lock = world.locks.take(run.run_id, "me", NOW, NOW + 45_000)

    assert world.locks.release(run.run_id, "me", lock.wake, frozenset(done)) is True

    free = world.locks.get(run.run_id)
    assert free is not None
    assert (free.owner, free.pending, free.wake) == (None, left, 1)
    assert world.locks.take(run.run_id, "next", NOW, NOW + 1).owner == "next"


def test_release_with_nothing_pending_and_nothing_done_works(world: PortWorld, run: Run) -> None:
    world.locks.mark(run, frozenset())
    lock = world.locks.take(run.run_id, "me", NOW, NOW + 45_000)

    assert world.locks.release(run.run_id, "me", lock.wake, frozenset())


def test_a_mark_since_the_read_keeps_the_lock_held(world: PortWorld, run: Run) -> None:
    world.locks.mark(run, frozenset({"0001"}))
    lock = world.locks.take(run.run_id, "me", NOW, NOW + 45_000)
    marked = world.locks.mark(run, frozenset({"0002"}))

    assert world.locks.release(run.run_id, "me", lock.wake, frozenset({"0001"})) is False

    assert world.locks.get(run.run_id) == marked
    assert marked.owner == "me"
    assert world.locks.release(run.run_id, "me", marked.wake, frozenset({"0001", "0002"}))


def test_a_released_lock_is_lost_to_its_former_holder(world: PortWorld, run: Run) -> None:
    world.locks.mark(run, frozenset({"0001"}))
    lock = world.locks.take(run.run_id, "me", NOW, NOW + 45_000)
    world.locks.release(run.run_id, "me", lock.wake, frozenset())

    with pytest.raises(LeaseLost):
        world.locks.renew(run.run_id, "me", NOW + 1)
    with pytest.raises(LeaseLost):
        world.locks.release(run.run_id, "me", lock.wake, frozenset())


def test_a_completed_lock_forgets_its_marks_and_stays_completed(world: PortWorld, run: Run) -> None:
    world.locks.mark(run, frozenset({"0001"}))
    world.locks.take(run.run_id, "me", NOW, NOW + 45_000)

    world.locks.complete(run.run_id, "me")
    world.locks.complete(run.run_id, "me")

    lock = world.locks.get(run.run_id)
    assert lock is not None
    assert (lock.completed, lock.owner, lock.pending) == (True, None, frozenset())
    marked = world.locks.mark(run, frozenset({"poke"}))
    assert marked.completed
    with pytest.raises(LockHeld) as caught:
        world.locks.take(run.run_id, "late", NOW, NOW + 45_000, marks=frozenset({"0001"}))
    assert caught.value.lock == marked
    assert world.locks.get(run.run_id) == marked


def test_taking_may_mark_in_the_same_update(world: PortWorld, run: Run) -> None:
    world.locks.mark(run, frozenset({"0001"}))

    lock = world.locks.take(run.run_id, "me", NOW, NOW + 45_000, marks=frozenset({"0002"}))

    assert (lock.owner, lock.wake, lock.pending) == ("me", 2, {"0001", "0002"})
    with pytest.raises(LockHeld) as caught:
        world.locks.take(run.run_id, "thief", NOW, NOW + 45_000, marks=frozenset({"0003"}))
    assert caught.value.lock == lock
    assert world.locks.get(run.run_id) == lock


def test_a_holder_that_takes_again_may_drop_what_is_settled(world: PortWorld, run: Run) -> None:
    world.locks.mark(run, frozenset({"0001", "0002", "poke"}))
    world.locks.take(run.run_id, "me", NOW, NOW + 45_000)
    world.locks.mark(run, frozenset({"0001", "0003"}))

    lock = world.locks.take(
        run.run_id, "me", NOW, NOW + 45_000, settled=frozenset({"0001", "0009"})
    )

    assert (lock.wake, lock.pending) == (2, {"0002", "0003", "poke"})


def test_a_lock_gives_its_own_ids_to_a_mark(world: PortWorld, run: Run) -> None:
    lock = world.locks.mark(run, frozenset({"0001"}))

    again = world.locks.mark(lock, frozenset({"0002"}))

    assert again == replace(lock, wake=2, pending=frozenset({"0001", "0002"}))


def test_operations_on_a_lock_that_does_not_exist_are_a_lost_lease(
    world: PortWorld, run: Run
) -> None:
    with pytest.raises(LeaseLost):
        world.locks.renew(run.run_id, "me", NOW)
    with pytest.raises(LeaseLost):
        world.locks.release(run.run_id, "me", 1, frozenset({"0001"}))
    with pytest.raises(LeaseLost):
        world.locks.complete(run.run_id, "me")
    assert world.locks.get(run.run_id) is None


def test_one_of_many_takers_wins_and_no_mark_is_lost(world: PortWorld, run: Run) -> None:
    def compete(number: int) -> str:
        world.locks.mark(run, frozenset({f"{number:04d}"}))
        try:
            world.locks.take(run.run_id, f"owner-{number}", NOW, NOW + 45_000)
        except LockHeld as held:
            return str(held.lock.owner)
        return f"owner-{number}"

    owners = set(at_once(8, compete))

    lock = world.locks.get(run.run_id)
    assert lock is not None
    assert owners == {lock.owner}
    assert (lock.wake, lock.pending) == (8, {f"{number:04d}" for number in range(8)})


# -- objects --------------------------------------------------------------------------------------


def test_put_overwrites_and_put_new_does_not(world: PortWorld) -> None:
    key = f"tmp/exec/{uuid.uuid4()}/ü 💥+%41.zip"

    assert world.internal.get(key) is None
    assert world.internal.put_new(key, b"\x00first\xff") is True
    assert world.internal.put_new(key, b"second") is False
    assert world.internal.get(key) == b"\x00first\xff"
    world.internal.put(key, b"")
    assert world.internal.get(key) == b""
    assert world.internal.put_new(key, b"third") is False


def test_one_of_many_put_new_wins(world: PortWorld) -> None:
    key = f"tmp/{uuid.uuid4()}/claim.json"

    wins = at_once(8, lambda n: world.internal.put_new(key, str(n).encode()))

    assert wins.count(True) == 1
    assert world.internal.get(key) == str(wins.index(True)).encode()


def test_a_presigned_put_creates_once(world: PortWorld) -> None:
    key = result_key(str(uuid.uuid4()), "0001")
    url = world.internal.presign_put_new(key, 60)

    assert world.uploads.put_new(url, b'{"log": "\xc3\xbc"}') == 200
    assert world.uploads.put_new(url, b"{}") == 412

    assert world.internal.get(key) == b'{"log": "\xc3\xbc"}'
    assert world.internal.put_new(key, b"{}") is False


def test_a_presigned_get_reads_what_is_there(world: PortWorld) -> None:
    key = f"tmp/ü {uuid.uuid4()}/claim.json"
    url = world.internal.presign_get(key, 60)

    assert world.uploads.get(url) is None
    world.internal.put(key, b"\x00{}")
    assert world.uploads.get(url) == b"\x00{}"


def test_one_of_many_presigned_puts_wins(world: PortWorld) -> None:
    url = world.internal.presign_put_new(f"tmp/{uuid.uuid4()}/claim.json", 60)

    assert sorted(at_once(8, lambda n: world.uploads.put_new(url, b"%d" % n))) == [200] + [412] * 7


def test_code_is_read_from_any_bucket_and_missing_code_is_permanent(world: PortWorld) -> None:
    world.put_code("path/to/ü.zip", b"PK")

    assert world.code.get(world.code_bucket, "path/to/ü.zip") == b"PK"
    with pytest.raises(Permanent, match=f"s3://{world.code_bucket}/none.zip"):
        world.code.get(world.code_bucket, "none.zip")
    with pytest.raises(Permanent, match="s3://no-such-bucket-9f3/x"):
        world.code.get("no-such-bucket-9f3", "x")


def test_code_over_the_bound_is_permanent(
    world: PortWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put_code("just.zip", b"PK")
    world.put_code("large.zip", b"PKx")
    monkeypatch.setattr("src.common.limits.PACKED_CODE", 2)

    assert world.code.get(world.code_bucket, "just.zip") == b"PK"
    with pytest.raises(Permanent, match=r"reading s3://.*/large.zip: 3 bytes, over 2"):
        world.code.get(world.code_bucket, "large.zip")


# -- handing over ---------------------------------------------------------------------------------


def a_dispatch(run: Run, **fields: Any) -> Dispatch:
    values: dict[str, Any] = {
        "run_id": run.run_id,
        "trace_id": run.trace_id,
        "num": "0001",
        "name": "build",
        "token": uuid.uuid4().hex,
        "identity": "AGE-SECRET-KEY",
        "bundle_key": "tmp/exec/x",
        "stop_key": "tmp/exec/y",
        "claim_url": "https://x/?a=b&c=%C3%BC",
        "claim_read_url": "https://r",
        "result_url": "https://z",
        "start_by": NOW,
        "end_by": NOW + 1,
        "timeout": 5,
    }
    return Dispatch(**{**values, **fields})


def test_packaging_and_workers_get_what_was_handed_over(world: PortWorld, run: Run) -> None:
    dispatch = a_dispatch(run, name=TEXT)

    world.packager.start(run.run_id)
    world.workers.start(dispatch)

    assert world.handed_over() == [("package", run.run_id), ("worker", dispatch)]


def test_a_build_starts_once_per_token_even_with_fresh_urls(world: PortWorld, run: Run) -> None:
    dispatch = a_dispatch(run)

    world.builds.start(dispatch)
    world.builds.start(dispatch)
    world.builds.start(replace(dispatch, claim_url="https://x/fresh"))
    other = a_dispatch(run, num="0002")
    world.builds.start(other)

    assert world.handed_over() == [("build", dispatch), ("build", other)]


def test_a_watchdog_starts_once_per_name(world: PortWorld, run: Run) -> None:
    task = WatchdogInput(run_id=run.run_id, num="0001", start_by=NOW, end_by=NOW + 1, due_at=NOW)

    world.watchdogs.start(f"{run.run_id}-0001", task)
    world.watchdogs.start(f"{run.run_id}-0001", task)
    world.watchdogs.start(f"{run.run_id}-0001", replace(task, end_by=NOW + 99))
    other = replace(task, num="0002")
    first = world.handed_over()
    world.watchdogs.start(f"{run.run_id}-0002", other)
    world.watchdogs.start(f"{run.run_id}-0001", task)

    assert first == [("watchdog", task)]
    assert world.handed_over() == [("watchdog", other)]


# -- secrets --------------------------------------------------------------------------------------


def test_secrets_are_read_by_path_and_a_missing_one_is_permanent(world: PortWorld) -> None:
    assert {path: world.secrets.ssm(path) for path in world.ssm_values} == world.ssm_values
    read = {name: world.secrets.secretsmanager(name) for name in world.secret_values}
    assert read == world.secret_values
    with pytest.raises(Permanent, match="/iac-ci/none"):
        world.secrets.ssm("/iac-ci/none")
    with pytest.raises(Permanent, match="iac-ci/none"):
        world.secrets.secretsmanager("iac-ci/none")
