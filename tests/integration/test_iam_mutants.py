"""A statement goes and comes back; which losses need not be noticed is said and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from src.local.moto_world import MotoWorld
from tests.support.iam.enforced import NOT_ENFORCED, ROLES, Lost, statements, without
from tests.support.iam.grants import roles
from tests.support.terraform.plugin import MakePlan
from tests.support.terraform.stages import DEPLOY

pytestmark = pytest.mark.integration

ONE = {"Sid": "One", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TWO = {"Sid": "Two", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}


@pytest.fixture
def site(moto: MotoWorld) -> Iterator[Any]:
    """A deployment whose worker and watchdog have policies of their own."""
    account = SimpleNamespace(client=moto.clients.session.client)
    iam, given = account.client("iam"), {"worker": [ONE, TWO], "watchdog": [ONE]}
    for role, held in given.items():
        name = moto.stack.name(role)
        document = json.dumps({"Version": "2012-10-17", "Statement": held})
        iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=document)
    made = [key for key in ROLES if key != "codebuild"]  # which moto's stack calls otherwise
    iam.create_role(RoleName=moto.stack.name("codebuild"), AssumeRolePolicyDocument="{}")
    yield SimpleNamespace(account=account, stack=moto.stack, made=made)
    iam.delete_role(RoleName=moto.stack.name("codebuild"))
    for role in given:
        iam.delete_role_policy(RoleName=moto.stack.name(role), PolicyName=moto.stack.name(role))


def sids(site: Any) -> list[tuple[str, str]]:
    return [(lost.role, lost.sid) for lost in statements(site)]


def test_a_statement_is_gone_within_the_block_and_there_again_after_it(site: Any) -> None:
    before = sids(site)
    assert before == [("watchdog", "One"), ("worker", "One"), ("worker", "Two")]

    for lost in statements(site):
        with without(site, lost):
            assert sids(site) == [each for each in before if each != (lost.role, lost.sid)]

        assert sids(site) == before


def test_it_comes_back_when_the_run_fails(site: Any) -> None:
    before = sids(site)

    with pytest.raises(AssertionError, match="as it should"), without(site, statements(site)[0]):
        raise AssertionError("as it should")

    assert sids(site) == before


def test_what_need_not_be_noticed_is_a_statement_of_the_plan(make_plan: MakePlan) -> None:
    found = roles(make_plan(DEPLOY))

    held = {(key, one.sid) for key, role in found.items() for one in role.statements}
    assert {role for role, _ in held} == {*ROLES}
    for role, sid in NOT_ENFORCED:
        assert any(key == sid and role in ("*", of) for of, key in held), (role, sid)
    listed = {pair for pair in held if Lost(pair[0], "", pair[1], {}).reason}
    assert len(listed) < len(held) / 2 + 1
