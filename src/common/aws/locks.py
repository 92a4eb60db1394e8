"""LockStore on DynamoDB: one item per run, `pk` = `lock:<run_id>`, changed by conditional updates.

A change of the run may take it along (`entry_of`): one transaction over both tables.

Whether a lease ran out is a condition of the write, never DynamoDB's TTL, which lags by days.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from src.common.aws.clients import Clients
from src.common.aws.errors import CONDITION_FAILED, TRANSACTION_CONFLICT, Refusal, calling
from src.common.aws.items import decode, value_of
from src.common.aws.tables import Table, expression_names
from src.common.errors import LeaseLost, LockHeld, NoLock
from src.common.records import Lock, LockMove, Run
from src.common.retry import attempts

# A lock is made by a mark only; taking one that was never marked would make one without a run.
MARKED: Final = "attribute_exists(pk)"
# Nobody holds it, the holder's lease ran out (it crashed or stalls), or our own reply was lost.
TAKEABLE: Final = "(attribute_not_exists(#owner) OR #lease <= :now OR #owner = :owner)"
# The run is not finished: nothing is left that a holder could do.
OPEN: Final = "#completed <> :true"
# The lock was not stolen.
OURS: Final = "#owner = :owner"
# Nobody holds it: a run's step may be written without waiting for anybody.
NOBODYS: Final = "attribute_not_exists(#owner)"
# No mark came since we read: releasing now would leave it unseen until the next event.
UNMARKED: Final = "#wake = :wake"

_IDENTITY: Final = ("run_id", "trace_id", "flow_id", "ttl")


class DynamoLockStore:
    """The orchestrator_locks table."""

    def __init__(
        self,
        clients: Clients,
        *,
        locks_table: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = Table(clients, locks_table)
        self._sleep = sleep

    def mark(self, run: Run | Lock, marks: frozenset[str]) -> Lock:
        """Add `marks` to `pending`, raise `wake`; return the lock as it is afterwards."""
        sets = ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in _IDENTITY)
        adds = "#wake :one" + (", #pending :marks" if marks else "")
        values = {name: getattr(run, name) for name in _IDENTITY} | {"one": 1}
        if marks:
            values["marks"] = marks
        return self._update("marking", run.run_id, f"ADD {adds} SET {sets}", None, values)

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
        """Take the lock until `lease`, marking it; LockHeld carries the record in force."""
        values: dict[str, Any] = {"owner": owner, "now": now, "lease": lease, "true": True}
        update = "SET #owner = :owner, #lease = :lease"
        if marks:  # DynamoDB takes no empty set
            values |= {"one": 1, "marks": marks}
            update += " ADD #wake :one, #pending :marks"
        elif settled:
            values["settled"] = settled
            update += " DELETE #pending :settled"
        condition = f"{MARKED} AND {OPEN} AND {TAKEABLE}"
        try:
            return self._update("taking", run_id, update, condition, values)
        except Refusal as refusal:
            held = self._stored(refusal, run_id)
            if held is None:
                raise NoLock(f"taking the lock of {run_id}: it was never marked") from None
            raise LockHeld(held) from None

    def renew(self, run_id: str, owner: str, lease: int) -> None:
        """Extend the lease."""
        self._if_ours("renewing", run_id, owner, "SET #lease = :lease", {"lease": lease})

    def release(self, run_id: str, owner: str, wake: int, done: frozenset[str]) -> bool:
        """Remove `done` from `pending` and free the lock; False if a mark came since `wake`."""
        values: dict[str, Any] = {"owner": owner, "wake": wake}
        update = "REMOVE #owner, #lease"
        if done:  # DynamoDB takes no empty set
            values["done"] = done
            update += " DELETE #pending :done"
        try:
            self._update("releasing", run_id, update, f"{OURS} AND {UNMARKED}", values)
        except Refusal as refusal:
            held = self._stored(refusal, run_id)
            if held is None or held.owner != owner:
                raise LeaseLost(f"releasing the lock of {run_id}: {owner} lost it") from None
            return False
        return True

    def complete(self, run_id: str, owner: str) -> None:
        """Free the lock for good and forget its marks."""
        update = "SET #completed = :true REMOVE #owner, #lease, #pending"
        try:
            self._if_ours("completing", run_id, owner, update, {"true": True})
        except LeaseLost:
            lock = self.get(run_id)
            if lock is None or not lock.completed:
                raise

    def get(self, run_id: str) -> Lock | None:
        """Return the lock."""
        item = self._table.get(lock_key(run_id), f"reading the lock of {run_id}")
        return Lock.from_item(item) if item else None

    def _if_ours(
        self, doing: str, run_id: str, owner: str, update: str, values: dict[str, Any]
    ) -> None:
        try:
            self._update(doing, run_id, update, OURS, {**values, "owner": owner})
        except Refusal:
            raise LeaseLost(f"{doing} the lock of {run_id}: {owner} lost it") from None

    def _update(
        self, doing: str, run_id: str, update: str, condition: str | None, values: Mapping[str, Any]
    ) -> Lock:
        """One UpdateItem; every attribute is written `#name`, as some are reserved words.

        It may meet a transaction that takes the lock along (milliseconds), which the SDK does not
        try again by itself.

        Raises:
            Refusal: the condition failed.
        """
        request: dict[str, Any] = {
            "TableName": self._table.name,
            "Key": {"pk": value_of(lock_key(run_id)["pk"])},
            "UpdateExpression": update,
            "ExpressionAttributeNames": expression_names(f"{update} {condition or ''}"),
            "ExpressionAttributeValues": {f":{name}": value_of(v) for name, v in values.items()},
            "ReturnValues": "ALL_NEW",
        }
        if condition:
            request["ConditionExpression"] = condition
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        doing = f"{doing} the lock of {run_id}"
        for last in attempts(sleep=self._sleep):
            try:
                with calling(doing, CONDITION_FAILED, TRANSACTION_CONFLICT):
                    reply = self._table.clients.dynamodb.update_item(**request)
                    return Lock.from_item(decode(reply["Attributes"]))
            except Refusal as refusal:
                if refusal.code != TRANSACTION_CONFLICT:
                    raise
                if last:
                    raise refusal.unexpected(doing) from refusal
        raise AssertionError("the last attempt returns or raises")

    def _stored(self, refusal: Refusal, run_id: str) -> Lock | None:
        return Lock.from_item(decode(refusal.item)) if refusal.item else self.get(run_id)


def lock_key(run_id: str) -> dict[str, str]:
    """Return the key of a run's lock."""
    return {"pk": f"lock:{run_id}"}


def entry_of(table: Table, move: LockMove) -> dict[str, Any]:
    """Return the lock's entry in the transaction of a change."""
    before, after = move.before, move.after
    key = lock_key(after.run_id)
    values: dict[str, Any] = {"wake": before.wake, "true": True}
    condition = f"{UNMARKED} AND {OPEN} AND {NOBODYS}"
    if before.owner is not None:
        condition, values["owner"] = f"{UNMARKED} AND {OPEN} AND {OURS}", before.owner
    if after == before:
        return table.check(key, condition, **values)
    return table.conditional_put({**after.to_item(), **key}, condition, **values)
