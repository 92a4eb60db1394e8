"""P4.3 of the specification: dynamodb.tf. Sentence by sentence."""

from __future__ import annotations

import pytest

from tests.support.terraform.names import Names
from tests.support.terraform.plan import Plan
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]


def hold_table(
    plan: Plan,
    key: str,
    attributes: dict[str, str],
    *,
    range_key: str | None = None,
    indexes: int = 0,
) -> None:
    """A table has these keys, the TTL attribute `ttl`, is paid per request, and no more."""
    table = plan.one("aws_dynamodb_table", name=Names(plan.case).of(key))
    table.has(
        hash_key="pk",
        range_key=range_key,
        ttl__attribute_name="ttl",
        ttl__enabled=True,
        billing_mode="PAY_PER_REQUEST",
    )
    plan.hold(indexes, len(table.blocks("global_secondary_index")), "indexes", at=table)
    got = {each["name"]: each["type"] for each in table.values["attribute"]}
    plan.hold(attributes, got, f"{table.address}: types of attributes", at=table)


def test_orders_table_hash_key_pk_ttl_pay_per_request(plan: Plan) -> None:
    hold_table(plan, "orders", {"pk": "S"})


def test_order_events_table_hash_key_pk_range_key_sk_ttl_pay_per_request(plan: Plan) -> None:
    attributes = {"pk": "S", "sk": "S", "order_name": "S", "epoch": "N"}

    hold_table(plan, "order_events", attributes, range_key="sk", indexes=1)


def test_order_events_index_order_name_index_order_name_and_epoch_projects_all(plan: Plan) -> None:
    plan.one("aws_dynamodb_table", range_key="sk").has(
        global_secondary_index__name="order_name_index",
        global_secondary_index__hash_key="order_name",
        global_secondary_index__range_key="epoch",
        global_secondary_index__projection_type="ALL",
    )


def test_orchestrator_locks_table_hash_key_pk_ttl_pay_per_request(plan: Plan) -> None:
    hold_table(plan, "orchestrator_locks", {"pk": "S"})


def test_there_are_three_tables(deployment: Plan, names: Names) -> None:
    expected = {names.of(key) for key in ("orders", "order_events", "orchestrator_locks")}

    deployment.hold(expected, {*deployment.by("aws_dynamodb_table", "name")}, "tables")
