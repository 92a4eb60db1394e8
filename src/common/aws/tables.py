"""What the stores of runs and locks share: reading items, and transactions of conditional puts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from src.common.aws.clients import Clients
from src.common.aws.errors import CONDITION_FAILED, TRANSACTION_CANCELED, Refusal, calling
from src.common.aws.items import decode, encode, value_of
from src.common.errors import Transient
from src.common.retry import attempts

BATCH_KEYS: Final = 100  # of one BatchGetItem

# Put if absent: what is there stays, whoever wrote it, and its reader decides what it means.
ABSENT: Final = "attribute_not_exists(pk)"

Item = dict[str, Any]


class Table:
    """One table: plain items in, plain items out."""

    def __init__(
        self, clients: Clients, name: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.clients = clients
        self.name = name
        self._sleep = sleep

    def get(self, key: Mapping[str, str], doing: str) -> Item | None:
        """Return the item, strongly consistent; None when there is none."""
        with calling(doing):
            reply = self.clients.dynamodb.get_item(
                TableName=self.name, Key=encode(key), ConsistentRead=True
            )
        return decode(reply["Item"]) if "Item" in reply else None

    def batch(self, pks: Iterable[str], doing: str) -> dict[str, Item]:
        """Return the items that exist by `pk`; see `read_batch`."""
        keys = [(self.name, pk) for pk in pks]
        found = read_batch(self.clients, keys, doing, sleep=self._sleep)
        return {pk: item for (_, pk), item in found.items()}

    def put(self, item: Item, doing: str) -> None:
        """Create or replace."""
        with calling(doing):
            self.clients.dynamodb.put_item(TableName=self.name, Item=encode(item))

    def put_if_absent(self, item: Item, doing: str) -> Item:
        """Put the item if its key is free; return the stored one, whoever wrote it."""
        try:
            with calling(doing, CONDITION_FAILED):
                self.clients.dynamodb.put_item(
                    TableName=self.name,
                    Item=encode(item),
                    ConditionExpression=ABSENT,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except Refusal as refusal:
            if refusal.item:
                return decode(refusal.item)
            return self.get({"pk": item["pk"]}, doing) or item
        return item

    def conditional_put(
        self, item: Item, condition: str | None = None, **values: Any
    ) -> dict[str, Any]:
        """Return one entry of a transaction; `values` fill the condition's `:names`."""
        return {"Put": {"Item": encode(item), **self._condition(condition, values)}}

    def check(self, key: Mapping[str, str], condition: str, **values: Any) -> dict[str, Any]:
        """Return an entry of a transaction that writes nothing and has a condition."""
        return {"ConditionCheck": {"Key": encode(key), **self._condition(condition, values)}}

    def _condition(self, condition: str | None, values: Mapping[str, Any]) -> dict[str, Any]:
        entry: dict[str, Any] = {"TableName": self.name}
        if condition:
            entry["ConditionExpression"] = condition
            entry["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if names := expression_names(condition or ""):
            entry["ExpressionAttributeNames"] = names
        if values:
            entry["ExpressionAttributeValues"] = {
                f":{name}": value_of(value) for name, value in values.items()
            }
        return entry

    def transact(self, puts: Sequence[Any], doing: str) -> None:
        """Write all entries or none; a clash with another transaction is tried again a few times.

        Raises:
            Refusal: a condition failed; its reasons tell which.
            Transient: other transactions kept coming in between.
        """
        for last in attempts(sleep=self._sleep):
            try:
                with calling(doing, TRANSACTION_CANCELED):
                    self.clients.dynamodb.transact_write_items(TransactItems=puts)
            except Refusal as refusal:
                if refusal.cancelled_by("TransactionConflict"):
                    if last:
                        raise Transient(f"{doing}: {refusal}") from refusal
                    continue
                if not refusal.cancelled_by("ConditionalCheckFailed"):
                    raise refusal.unexpected(doing) from refusal  # throttling, say
                raise
            return


def expression_names(expression: str) -> dict[str, str]:
    """Return what the `#name`s of an expression stand for, as some names are reserved words."""
    return {f"#{name}": name for name in re.findall(r"#(\w+)", expression)}


def read_batch(
    clients: Clients,
    keys: Iterable[tuple[str, str]],
    doing: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[tuple[str, str], Item]:
    """Return the items that exist by table and `pk`, each strongly consistent.

    Raises:
        Transient: keys are still unprocessed after several rounds.
    """
    wanted = list(dict.fromkeys(keys))
    found: dict[tuple[str, str], Item] = {}
    for start in range(0, len(wanted), BATCH_KEYS):
        request: dict[str, Any] = {}
        for table, pk in wanted[start : start + BATCH_KEYS]:
            asked = request.setdefault(table, {"Keys": [], "ConsistentRead": True})
            asked["Keys"].append(encode({"pk": pk}))
        for last in attempts(sleep=sleep):
            with calling(doing):
                reply = clients.dynamodb.batch_get_item(RequestItems=request)
            for table, items in reply["Responses"].items():
                found |= {(table, item["pk"]): item for item in map(decode, items)}
            request = dict(reply.get("UnprocessedKeys") or {})
            if not request:
                break
            if last:
                left = sum(len(asked["Keys"]) for asked in request.values())
                raise Transient(f"{doing}: {left} keys are still unprocessed")
    return found


def failed_on(refusal: Refusal, entry: int) -> bool:
    """Return whether the condition of that entry of the transaction failed."""
    return bool(refusal.reasons) and refusal.reasons[entry].get("Code") == "ConditionalCheckFailed"


def stored(refusal: Refusal, entry: int) -> Item | None:
    """Return the item that failed the condition of that entry, if the answer carries it."""
    item = refusal.reasons[entry].get("Item") if refusal.reasons else None
    return decode(item) if item else None
