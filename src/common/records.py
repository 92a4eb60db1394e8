"""The records that cross process boundaries: rows of the tables, JSON objects in the buckets.

Frozen values with a plain-`dict` form (`to_item`, `from_item`): strings, ints, bools, lists, maps.
How a table or bucket stores that form is the adapters' business. Times are epoch milliseconds
unless a name says otherwise; `ttl` is epoch seconds, as DynamoDB wants it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from src.common.plain import VERSION, Record
from src.common.status import ACTIVE, JobStatus, OrderStatus

EVENT_TTL_S: Final = 90 * 24 * 3600


def _empty_counts() -> Mapping[str, int]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Record):
    """The run item (`pk` = `<run_id>`): ids, deadlines and counters, never a list of its orders.

    Written once by accepting, from then on only by the holder of the run's lock: every such write
    is conditional on `rev` and raises it by one, so a holder whose lease was stolen can change
    nothing.
    """

    run_id: str
    trace_id: str
    flow_id: str
    username: str
    digest: str  # sha256 of the job; the request lies under this name
    created_at: int
    package_by: int  # deadline of packaging
    end_by: int  # deadline of the run
    ttl: int
    total: int
    done_endpt: str
    pr_search_tag: str
    max_parallel: int | None = None
    status: JobStatus = JobStatus.RUNNING
    counts: Mapping[str, int] = field(
        default_factory=_empty_counts
    )  # by order status, zeros left out
    unmet: int = 0  # ended orders that had to succeed and did not
    ready: str = "0"  # hex bitmap: bit n is set when order n may start and nobody claimed it
    dispatching: tuple[str, ...] = ()  # claimed, hand-over not confirmed: every round repeats these
    untold: tuple[tuple[str, int], ...] = ()  # ended; dependents from that offset on not yet told
    rerun_of: str | None = None  # the earlier run that orders are carried over from
    carried: str = "0"  # hex bitmap, as `ready`: succeeded there, so they do not run here
    closing: JobStatus | None = None  # why nothing may start any more
    reason: str | None = None  # why the run did not succeed, where no order says it
    seen_at: int | None = None  # the orchestrator came and started the run's watchdog
    packaged_at: int | None = None
    comments_on: str | None = None  # API address of the pull request or issue (comments.place)
    commented_at: int | None = None  # when its comment was last due; who wrote this edits it
    finished_at: int | None = None
    version: int = VERSION
    rev: int = 0
    rev_by: str = (
        ""  # token of the write that made this revision: recognises a write whose reply was lost
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", JobStatus(self.status))
        object.__setattr__(self, "dispatching", tuple(self.dispatching))
        object.__setattr__(self, "untold", tuple((num, int(at)) for num, at in self.untold))
        if self.closing is not None:
            object.__setattr__(self, "closing", JobStatus(self.closing))

    def count(self, *statuses: OrderStatus) -> int:
        """Return how many orders stand in one of `statuses`."""
        return sum(self.counts.get(status, 0) for status in statuses)

    def carries(self, num: str) -> bool:
        """Return whether an order is carried over from the earlier run."""
        return bool(int(self.carried, 16) >> int(num) & 1)

    @property
    def active(self) -> int:
        """How many orders are claimed or running."""
        return self.count(*ACTIVE)

    @property
    def open(self) -> int:
        """How many orders have not ended."""
        return self.count(OrderStatus.QUEUED, *ACTIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Record):
    """An order's row (`pk` = `<run_id>:<num>`): put by packaging, then the orchestrator's."""

    run_id: str
    num: str
    name: str
    timeout: int  # seconds, wall clock of the commands from the worker's claim
    start_window: int  # seconds from dispatch within which a worker must claim
    url_lifetime: int  # seconds, of the presigned result URL
    ttl: int
    must_succeed: bool = True
    use_lambda: bool = True
    identity: str  # age secret key that opens this order's bundle and nothing else
    dependents: tuple[str, ...] = ()  # order numbers
    open: int = 0  # dependencies that have not yet let this order go
    queue_id: str | None = None
    status: OrderStatus = OrderStatus.QUEUED
    token: str | None = None  # of the claim: names the hand-over
    dispatched_at: int | None = None
    start_by: int | None = None  # no worker may claim after this
    end_by: int | None = None  # no command may run after this, whenever it was claimed
    started_at: int | None = None
    finished_at: int | None = None
    exit_code: int | None = None
    reason: str | None = None  # why it was skipped, or ended without its commands saying so
    version: int = VERSION
    rev: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", OrderStatus(self.status))
        object.__setattr__(self, "dependents", tuple(self.dependents))


@dataclass(frozen=True, slots=True, kw_only=True)
class Packaging(Record):
    """The row of packaging (`pk` = `<run_id>:0000`): put once, so that two packagers agree.

    `commits` pins each `<repository> <ref>` to one commit; `identity` opens `0000/vcs.age`.
    """

    run_id: str
    identity: str
    ttl: int
    commits: Mapping[str, str] = field(default_factory=dict)
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency(Record):
    """Remembers an accepted request until `expires_at` (events table, `pk` = `idem:<digest>`).

    The digest is of the `run_id` where the request carries one (so that another job under it is
    found out), else of the whole body.
    """

    digest: str
    job_digest: str
    run_id: str
    trace_id: str
    expires_at: int  # a condition of the write, never DynamoDB's TTL
    ttl: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Record):
    """One line of a run's story (`pk` = trace_id, `sk` = `<order_name>:<epoch>:<event>`)."""

    trace_id: str
    run_id: str
    order_name: str
    epoch: int
    event: str  # past tense: accepted, claimed, handed_over, succeeded, ...
    status: str
    ttl: int
    message: str | None = None

    @property
    def sk(self) -> str:
        """The sort key."""
        return f"{self.order_name}:{self.epoch}:{self.event}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock(Record):
    """The lock of a run (`pk` = `lock:<run_id>`), with the marks of events that wait."""

    run_id: str
    trace_id: str
    flow_id: str
    ttl: int
    wake: int = 0  # raised by every mark
    pending: frozenset[str] = frozenset()  # marks whose effect is not yet written
    owner: str | None = None
    lease: int = 0  # until when the owner holds it
    completed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "pending", frozenset(self.pending))

    def held(self, now: int) -> bool:
        """Return whether somebody's lease is running at `now`."""
        return self.owner is not None and now < self.lease

    @property
    def idle(self) -> bool:
        """Whether nobody holds it, no mark waits and the run is not finished."""
        return self.owner is None and not self.pending and not self.completed

    def taken(self, owner: str, lease: int, marks: frozenset[str]) -> Lock:
        """Return it marked and held by `owner` until `lease`."""
        pending = self.pending | marks
        return replace(self, owner=owner, lease=lease, wake=self.wake + 1, pending=pending)

    def freed(self) -> Lock:
        """Return it held by nobody, every mark given its effect."""
        return replace(self, owner=None, lease=0, pending=frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class LockMove:
    """What becomes of the run's lock in the same write as a change.

    Conditional on owner and `wake` of `before` being stored: every mark raises the one, every
    holder changes the other, so nobody came since `before` was read. Where `after` equals it the
    lock is only looked at.
    """

    before: Lock
    after: Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One atomic step of a run: the run item, changed rows and the events that tell of it.

    Written in one transaction, conditional on `run.rev - 1` (and each row's `rev - 1`) being
    stored, and on the lock being as `lock` expects it. A row of `rev` 0 is new: there must be none.
    """

    run: Run
    orders: tuple[Order, ...] = ()
    events: tuple[Event, ...] = ()
    lock: LockMove | None = None
