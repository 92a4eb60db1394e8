"""What the core asks of the world, in the domain's words.

Each method is one call to the platform (or one batch of the same call), so that an interrupted
method is an interrupted call. Adapters: `src.common.aws` (boto3) and `src.local.memory`; one
contract suite (tests/integration/test_port_contracts.py) holds them to the same behaviour. All of
them raise `Transient` or `Permanent` when the platform itself is the trouble.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from src.common.comments.note import Note, Posted
from src.common.messages import Dispatch, WatchdogInput
from src.common.records import Change, Event, Idempotency, Lock, Order, Packaging, Run


class Clock(Protocol):
    """Time: read and waited for through this alone."""

    def now_ms(self) -> int:
        """Return the epoch time in milliseconds."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class RunStore(Protocol):
    """The orders and order_events tables; a change may take the run's lock along."""

    def accept(self, run: Run, record: Idempotency, now: int) -> tuple[Run | None, Idempotency]:
        """Put the run and its idempotency record in one transaction, both if absent.

        A record whose `expires_at` is not after `now` counts as absent. Returns `(None, record)`
        when both were written. Otherwise nothing was written: returns the record in force (the
        given one if none is) and the run item stored under `run.run_id` (None if none is).
        """

    def run(self, run_id: str) -> Run | None:
        """Return the run item (strongly consistent)."""

    def order(self, run_id: str, num: str) -> Order | None:
        """Return one row (strongly consistent)."""

    def orders(self, run_id: str, nums: Iterable[str]) -> dict[str, Order]:
        """Return the rows that exist, by order number (strongly consistent, any number of them)."""

    def run_and_orders(
        self, run_id: str, nums: Iterable[str]
    ) -> tuple[Run | None, dict[str, Order]]:
        """Return run item and rows in one batch (each strongly consistent, no common snapshot)."""

    def look(
        self, run_id: str, nums: Iterable[str]
    ) -> tuple[Lock | None, Run | None, dict[str, Order]]:
        """Return the run's lock, its item and rows, read as `run_and_orders` does."""

    def packaging(self, run_id: str) -> Packaging | None:
        """Return the packaging row."""

    def add_packaging(self, packaging: Packaging) -> Packaging:
        """Put the packaging row if absent; return the stored one, whoever wrote it."""

    def add_orders(self, orders: Sequence[Order]) -> list[Order]:
        """Put each row if absent; return the stored rows in the given order, whoever wrote them."""

    def commit(self, change: Change) -> None:
        """Write one change atomically (at most 100 items: the run, its rows, events and lock).

        Raises:
            Conflict: the stored run or a row is not of the preceding `rev`. A repetition of the
            write that made the stored revision (same `rev_by`) is success: its reply was lost.
            LockMoved: only the lock is not as the change expects it.
        """

    def record(self, event: Event) -> None:
        """Put one event."""

    def events(self, trace_id: str) -> list[Event]:
        """Return the events of a trace, oldest first."""


class LockStore(Protocol):
    """The orchestrator_locks table."""

    def mark(self, run: Run | Lock, marks: frozenset[str]) -> Lock:
        """Add `marks` to `pending` and raise `wake`, in one update that makes the lock if need be.

        `run` gives the ids that a new lock carries. Returns the lock as it is afterwards.
        """

    def take(
        self,
        run_id: str,
        owner: str,
        now: int,
        lease: int,
        *,
        marks: frozenset[str] = frozenset(),
        settled: frozenset[str] = frozenset(),
    ) -> Lock:
        """Take the lock until `lease` if it is free, run out by `now`, or `owner`'s already.

        With `marks` it is marked in the same update, so that an event that finds it free needs but
        one. A holder that takes it again may give `settled` instead: marks that leave `pending`
        although one came since, as no event can do more for them. Changes nothing when it raises.

        Raises:
            LockHeld: with the holder's record, or the completed lock's: that one nobody takes.
            NoLock: it was never marked.
        """

    def renew(self, run_id: str, owner: str, lease: int) -> None:
        """Extend the lease.

        Raises:
            LeaseLost: the lock is not `owner`'s any more.
        """

    def release(self, run_id: str, owner: str, wake: int, done: frozenset[str]) -> bool:
        """Remove `done` from `pending` and free the lock, if no mark came since `wake` was read.

        Returns False, having changed nothing, when one came.

        Raises:
            LeaseLost: the lock is not `owner`'s any more.
        """

    def complete(self, run_id: str, owner: str) -> None:
        """Free the lock for good: the run is finished, its pending marks have no effect any more.

        Raises:
            LeaseLost: the lock is not `owner`'s any more (a lock that is completed already is
            success).
        """

    def get(self, run_id: str) -> Lock | None:
        """Return the lock (strongly consistent)."""


class ObjectStore(Protocol):
    """One bucket."""

    def put(self, key: str, body: bytes) -> None:
        """Create or overwrite."""

    def put_new(self, key: str, body: bytes) -> bool:
        """Create (`If-None-Match: *`); False when the key exists."""

    def get(self, key: str) -> bytes | None:
        """Return the object, None when it is missing (403 and 404 alike: no ListBucket)."""

    def presign_put_new(self, key: str, expires_s: int) -> str:
        """Return a URL that creates the key (`If-None-Match: *` is signed), for `expires_s`."""

    def presign_get(self, key: str, expires_s: int) -> str:
        """Return a URL that reads the key for `expires_s` seconds."""


class CodeStore(Protocol):
    """Buckets that jobs name as sources of code."""

    def get(self, bucket: str, key: str) -> bytes:
        """Return the object.

        Raises:
            Permanent: it is missing, larger than all code of a job may be, or may not be read.
        """


class Packager(Protocol):
    """The asynchronous invocation of process_webhook by itself."""

    def start(self, run_id: str) -> None:
        """Ask for the packaging of a run."""


class Workers(Protocol):
    """The worker Lambda."""

    def start(self, dispatch: Dispatch) -> None:
        """Hand an order over (asynchronous invocation)."""


class Builds(Protocol):
    """The CodeBuild project."""

    def start(self, dispatch: Dispatch) -> None:
        """Hand an order over, at most once per `dispatch.token` within CodeBuild's five minutes.

        The same token with other parameters (fresh URLs) counts as handed over.
        """


class Watchdogs(Protocol):
    """The watchdog state machine."""

    def start(self, name: str, task: WatchdogInput) -> None:
        """Start an execution; one of that name that exists already is success."""


class SecretSource(Protocol):
    """SSM parameters and Secrets Manager secrets."""

    def ssm(self, path: str) -> str:
        """Return a parameter, decrypted.

        Raises:
            Permanent: it is missing or may not be read.
        """

    def secretsmanager(self, name: str) -> str:
        """Return a secret string.

        Raises:
            Permanent: it is missing or may not be read.
        """


class Comments(Protocol):
    """The comments of pull requests and issues: one per run (rule 13)."""

    def post(self, note: Note, token: str, within_s: float) -> Posted | None:
        """Make or edit a run's comment, in any number of calls that take `within_s` together.

        Where the note's comment is unknown, or deleted and to be made anew, the oldest one with its
        tag is taken. None when there is none and none is to be made.

        Raises:
            Transient: no answer in time, or GitHub asks to come later; it may have taken effect.
            Permanent: the comment was deleted, the token may not, the place is not there.
        """


class Uploads(Protocol):
    """A worker's presigned URLs."""

    def put_new(self, url: str, body: bytes) -> int:
        """PUT with `If-None-Match: *`; return the status (200 created, 412 exists, 403 expired).

        Retries 409, 429 and 5xx a few times; raises Transient when no answer came.
        """

    def get(self, url: str) -> bytes | None:
        """GET the object; None when it is missing or the URL expired (403 and 404 alike).

        Retries 429 and 5xx a few times; raises Transient when no answer came.
        """
