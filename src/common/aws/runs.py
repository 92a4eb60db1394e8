"""RunStore on DynamoDB: the orders table (pk only) and the order_events table (pk, sk).

    orders        pk = <run_id>            the run
                  pk = <run_id>:0000       its packaging
                  pk = <run_id>:<num>      one order
    order_events  pk = <trace_id>          sk = <order_name>:<epoch>:<event>
                  pk = idem:<digest>       sk = idem     an accepted request; lacks the index's keys

Attributes are the records' fields. Writes are Puts only, so that `dynamodb:PutItem` suffices (in a
transaction too); every read is strongly consistent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from src.common.aws.clients import Clients
from src.common.aws.errors import Refusal, calling
from src.common.aws.items import decode, value_of
from src.common.aws.locks import entry_of, lock_key
from src.common.aws.tables import ABSENT, Item, Table, failed_on, read_batch, stored
from src.common.errors import Conflict, LockMoved
from src.common.keys import PACKAGING, row_key
from src.common.limits import check_change
from src.common.records import Change, Event, Idempotency, Lock, Order, Packaging, Run

ROWS_PER_TRANSACTION: Final = 50
BYTES_PER_TRANSACTION: Final = 3_000_000  # DynamoDB takes 4 MB, counted a little differently

IDEM_SK: Final = "idem"

# The request is new, or was last accepted so long ago that an equal body means a new run.
UNREMEMBERED: Final = f"{ABSENT} OR expires_at <= :now"
# Nobody wrote since we read: a holder whose lease was stolen can change nothing.
UNCHANGED: Final = "rev = :before"


class DynamoRunStore:
    """The orders and order_events tables."""

    def __init__(
        self,
        clients: Clients,
        *,
        orders_table: str,
        events_table: str,
        locks_table: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._orders = Table(clients, orders_table, sleep=sleep)
        self._events = Table(clients, events_table, sleep=sleep)
        self._locks = Table(clients, locks_table, sleep=sleep)
        self._sleep = sleep

    def accept(self, run: Run, record: Idempotency, now: int) -> tuple[Run | None, Idempotency]:
        """Put run and idempotency record, both if absent; see the port."""
        doing = f"accepting {run.run_id}"
        puts = (
            self._orders.conditional_put(_run_item(run), ABSENT),
            self._events.conditional_put(_idem_item(record), UNREMEMBERED, now=now),
        )
        try:
            self._orders.transact(puts, doing)
        except Refusal as refusal:
            run_there = in_force = None
            if failed_on(refusal, 0):
                run_there = stored(refusal, 0) or self._orders.get({"pk": run.run_id}, doing)
            if failed_on(refusal, 1):
                in_force = stored(refusal, 1) or self._events.get(_idem_key(record.digest), doing)
            return (
                Run.from_item(run_there) if run_there else None,
                Idempotency.from_item(in_force) if in_force else record,
            )
        return None, record

    def run(self, run_id: str) -> Run | None:
        """Return the run item."""
        item = self._orders.get({"pk": run_id}, f"reading {run_id}")
        return Run.from_item(item) if item else None

    def order(self, run_id: str, num: str) -> Order | None:
        """Return one row; takes no more than dynamodb:GetItem."""
        key = {"pk": row_key(run_id, num)}
        item = self._orders.get(key, f"reading order {run_id}:{num}")
        return Order.from_item(item) if item else None

    def orders(self, run_id: str, nums: Iterable[str]) -> dict[str, Order]:
        """Return the rows that exist, by order number."""
        keys = {row_key(run_id, num): num for num in nums}
        found = self._orders.batch(keys, f"reading orders of {run_id}") if keys else {}
        return {num: Order.from_item(found[pk]) for pk, num in keys.items() if pk in found}

    def run_and_orders(
        self, run_id: str, nums: Iterable[str]
    ) -> tuple[Run | None, dict[str, Order]]:
        """Return run item and rows in one batch."""
        keys = {row_key(run_id, num): num for num in nums}
        found = self._orders.batch([run_id, *keys], f"reading {run_id} and its orders")
        run = found.get(run_id)
        rows = {num: Order.from_item(found[pk]) for pk, num in keys.items() if pk in found}
        return (Run.from_item(run) if run else None), rows

    def look(
        self, run_id: str, nums: Iterable[str]
    ) -> tuple[Lock | None, Run | None, dict[str, Order]]:
        """Return lock, run item and rows in one batch."""
        the_lock = (self._locks.name, lock_key(run_id)["pk"])
        the_run = (self._orders.name, run_id)
        rows = {(self._orders.name, row_key(run_id, num)): num for num in nums}
        doing = f"looking at {run_id}"
        found = read_batch(
            self._orders.clients, [the_lock, the_run, *rows], doing, sleep=self._sleep
        )
        lock, run = found.get(the_lock), found.get(the_run)
        return (
            Lock.from_item(lock) if lock else None,
            Run.from_item(run) if run else None,
            {num: Order.from_item(found[key]) for key, num in rows.items() if key in found},
        )

    def packaging(self, run_id: str) -> Packaging | None:
        """Return the packaging row."""
        key = {"pk": row_key(run_id, PACKAGING)}
        item = self._orders.get(key, f"reading the packaging of {run_id}")
        return Packaging.from_item(item) if item else None

    def add_packaging(self, packaging: Packaging) -> Packaging:
        """Put the packaging row if absent; return the stored one."""
        item = {**packaging.to_item(), "pk": row_key(packaging.run_id, PACKAGING)}
        doing = f"pinning the packaging of {packaging.run_id}"
        return Packaging.from_item(self._orders.put_if_absent(item, doing))

    def add_orders(self, orders: Sequence[Order]) -> list[Order]:
        """Put each row if absent; return the stored rows in the given order."""
        return [row for chunk in _chunks(orders) for row in self._add_chunk(chunk)]

    def _add_chunk(self, orders: Sequence[Order]) -> Iterable[Order]:
        doing = f"adding orders {orders[0].num} to {orders[-1].num} of {orders[0].run_id}"
        puts = [self._orders.conditional_put(_order_item(order), ABSENT) for order in orders]
        try:
            self._orders.transact(puts, doing)
        except Refusal:
            # Another packager was here first, at least for some rows: each row on its own.
            return [
                Order.from_item(self._orders.put_if_absent(_order_item(order), doing))
                for order in orders
            ]
        return orders

    def commit(self, change: Change) -> None:
        """Write one change atomically; see the port."""
        check_change(change)
        run = change.run
        doing = f"committing {run.run_id} at revision {run.rev}"
        events = {(event.trace_id, event.sk): event for event in change.events}
        puts = [
            self._orders.conditional_put(_run_item(run), UNCHANGED, before=run.rev - 1),
            *(
                self._orders.conditional_put(_order_item(order), UNCHANGED, before=order.rev - 1)
                if order.rev
                else self._orders.conditional_put(_order_item(order), ABSENT)
                for order in change.orders
            ),
            *(self._events.conditional_put(_event_item(event)) for event in events.values()),
        ]
        if change.lock is not None:
            puts.append(entry_of(self._locks, change.lock))
        try:
            self._orders.transact(puts, doing)
        except Refusal as refusal:
            if failed_on(refusal, 0):
                there = stored(refusal, 0) or self._orders.get({"pk": run.run_id}, doing)
                if there and run.rev_by and _revision(there) == (run.rev, run.rev_by):
                    return  # our own earlier write made that revision; only its reply was lost
            elif change.lock is not None and not any(
                failed_on(refusal, entry) for entry in range(len(puts) - 1)
            ):
                lock = stored(refusal, -1) or self._locks.get(lock_key(run.run_id), doing)
                raise LockMoved(doing, Lock.from_item(lock) if lock else None) from refusal
            raise Conflict(f"{doing}: the stored revision is another one") from refusal

    def record(self, event: Event) -> None:
        """Put one event."""
        self._events.put(_event_item(event), f"recording {event.sk} of {event.run_id}")

    def events(self, trace_id: str) -> list[Event]:
        """Return the events of a trace, oldest first."""
        query: dict[str, Any] = {
            "TableName": self._events.name,
            "KeyConditionExpression": "pk = :trace_id",
            "ExpressionAttributeValues": {":trace_id": value_of(trace_id)},
            "ConsistentRead": True,
        }
        found: list[Event] = []
        while True:
            with calling(f"reading the events of {trace_id}"):
                reply = self._events.clients.dynamodb.query(**query)
            found += [Event.from_item(decode(item)) for item in reply["Items"]]
            if "LastEvaluatedKey" not in reply:
                return sorted(found, key=lambda event: (event.epoch, event.sk))
            query["ExclusiveStartKey"] = reply["LastEvaluatedKey"]


def _run_item(run: Run) -> Item:
    return {**run.to_item(), "pk": run.run_id}


def _order_item(order: Order) -> Item:
    return {**order.to_item(), "pk": row_key(order.run_id, order.num)}


def _event_item(event: Event) -> Item:
    return {**event.to_item(), "pk": event.trace_id, "sk": event.sk}


def _idem_key(digest: str) -> dict[str, str]:
    return {"pk": f"idem:{digest}", "sk": IDEM_SK}


def _idem_item(record: Idempotency) -> Item:
    return {**record.to_item(), **_idem_key(record.digest)}


def _revision(item: Item) -> tuple[int, str]:
    return int(item.get("rev", 0)), str(item.get("rev_by", ""))


def _chunks(orders: Sequence[Order]) -> Iterable[Sequence[Order]]:
    """Split the rows so that each part fits one transaction, by number and by bytes."""
    chunk: list[Order] = []
    size = 0
    for order in orders:
        bytes_ = len(json.dumps(order.to_item()))
        if chunk and (len(chunk) == ROWS_PER_TRANSACTION or size + bytes_ > BYTES_PER_TRANSACTION):
            yield chunk
            chunk, size = [], 0
        chunk.append(order)
        size += bytes_
    if chunk:
        yield chunk
