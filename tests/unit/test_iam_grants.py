"""What a plan grants is read as a whole: what is not read is an error, not silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.iam import plugin
from tests.support.iam.grants import roles
from tests.support.terraform.plan import Plan
from tests.support.terraform.stages import DEPLOY, case

pytestmark = pytest.mark.unit

TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda"}}
POLICY = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
SERVICES = ["lambda", "codebuild"]


def a_plan(
    *others: str, trust: dict[str, Any] | None = None, policy: Any = POLICY, **role: Any
) -> Plan:
    """Return the plan of one role with one policy, and empty resources of other types."""
    unknown = {"inline_policy": True, "managed_policy_arns": True}
    trusting = json.dumps({"Statement": [trust or TRUST]})
    planned: list[tuple[str, dict[str, Any]]] = [
        ("aws_iam_role", {"name": "worker", "assume_role_policy": trusting, **role}),
        ("aws_iam_role_policy", {"role": "worker", "policy": json.dumps({"Statement": policy})}),
        *((kind, {}) for kind in others),
    ]
    changes = [
        {
            "mode": "managed",
            "address": f'{kind}.x["worker"]',
            "type": kind,
            "name": "x",
            "index": "worker",
            "change": {
                "after": values,
                "after_unknown": {name: True for name in unknown if name not in values},
            },
        }
        for kind, values in planned
    ]
    written = [
        {"address": f"{kind}.x", "mode": "managed", "type": kind, "name": "x", "expressions": {}}
        for kind, _ in planned
    ]
    made = {"resource_changes": changes, "configuration": {"root_module": {"resources": written}}}
    return Plan(case(DEPLOY), {"text": "", "plan": made}, Path())


def test_a_role_has_its_policy_and_its_trust() -> None:
    role = roles(a_plan())["worker"]

    assert role.may("s3:GetObject", "arn:aws:s3:::b/k", {})
    assert not role.may("s3:PutObject", "arn:aws:s3:::b/k", {})
    assert [each for each in SERVICES if role.may_be_assumed_by(each, {})] == ["lambda"]


@pytest.mark.parametrize(
    "plan",
    [
        a_plan(managed_policy_arns=["arn:aws:iam::aws:policy/AdministratorAccess"]),
        a_plan(inline_policy=[{"name": "x", "policy": "{}"}]),
        a_plan("aws_iam_role_policy_attachment"),
        a_plan("aws_iam_policy_attachment"),
        a_plan("aws_iam_policy"),
        a_plan("aws_iam_role_policies_exclusive"),
    ],
    ids=["managed", "inline", "attachment", "attachments", "policy", "exclusive"],
)
def test_what_may_grant_in_another_way_is_refused(plan: Plan) -> None:
    with pytest.raises(NotImplementedError, match=r"grants that nobody reads: .*aws_iam_"):
        roles(plan)


def test_a_run_of_tests_says_why_it_could_not_judge(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setattr(
        "tests.support.terraform.plugin.planned", lambda *_: a_plan("aws_iam_policy")
    )

    report = plugin._judged(pytestconfig, set(), [])

    assert report == 'grants that nobody reads: [aws_iam_policy.x["worker"]]'


def test_a_statement_that_says_what_it_does_not_cover_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="NotAction"):
        roles(a_plan(policy={"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}))


@pytest.mark.parametrize("anybody", ["*", {"AWS": "*"}])
def test_a_role_that_anybody_may_take_may_be_taken_by_every_service(anybody: Any) -> None:
    role = roles(a_plan(trust={**TRUST, "Principal": anybody}))["worker"]

    assert [each for each in SERVICES if role.may_be_assumed_by(each, {})] == SERVICES


@pytest.mark.parametrize(
    "more", [{"AWS": "*"}, {"AWS": "arn:aws:iam::1:root"}, {"Federated": "accounts.google.com"}]
)
def test_a_trust_in_more_than_services_is_refused(more: dict[str, str]) -> None:
    with pytest.raises(NotImplementedError, match="principals of a statement"):
        roles(a_plan(trust={**TRUST, "Principal": {"Service": "lambda", **more}}))
