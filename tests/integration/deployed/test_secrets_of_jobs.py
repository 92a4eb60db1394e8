"""Secrets from SSM and Secrets Manager reach the commands, masked in what they print."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.deployed.site import Site, job, order

pytestmark = pytest.mark.integration


@pytest.fixture
def stored(site: Site) -> Iterator[dict[str, str]]:
    """A parameter and a secret, each with a value of its own; both go afterwards."""
    name = f"s{uuid.uuid4().hex[:8]}"
    values = {"db": f"p-{uuid.uuid4().hex}", "token": f"t-{uuid.uuid4().hex}"}
    parameter, secret = f"/{site.secret_prefix}{name}/db_password", f"{site.secret_prefix}{name}"
    ssm, manager = site.clients.ssm, site.clients.secretsmanager
    ssm.put_parameter(Name=parameter, Type="SecureString", Value=values["db"])
    manager.create_secret(Name=secret, SecretString=json.dumps({"API_TOKEN": values["token"]}))
    yield {**values, "parameter": parameter, "secret": secret}
    ssm.delete_parameter(Name=parameter)
    manager.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)


@pytest.mark.parametrize("use_lambda", [True, False], ids=["function", "build"])
def test_secrets_reach_the_commands_and_are_masked(
    site: Site, stored: dict[str, Any], *, use_lambda: bool
) -> None:
    lengths = 'echo "lengths ${#DB_PASSWORD} ${#API_TOKEN}"'
    finished = site.run(
        job(
            order(
                "uses",
                lengths,
                'echo "values $DB_PASSWORD $API_TOKEN"',
                ssm_paths=[stored["parameter"]],
                secret_manager_paths=[stored["secret"]],
                use_lambda=use_lambda,
            )
        )
    )

    assert finished.status == "succeeded", finished.done
    log = finished.printed("0001")
    assert f"lengths {len(stored['db'])} {len(stored['token'])}" in log
    assert "values" in log
    for value in (stored["db"], stored["token"]):
        assert value not in log


def test_a_secret_that_is_missing_ends_the_run_and_is_named(site: Site) -> None:
    path = f"/{site.secret_prefix}none-{uuid.uuid4().hex[:8]}"

    finished = site.run(job(order("uses", ssm_paths=[path])))

    assert finished.status == "failed"
    assert path in json.dumps(finished.done)


@pytest.mark.needs("iam")
def test_a_secret_outside_the_prefix_may_not_be_read(site: Site) -> None:
    path = f"/elsewhere/{uuid.uuid4().hex[:8]}"
    site.clients.ssm.put_parameter(Name=path, Type="SecureString", Value="not for jobs")
    try:
        finished = site.run(job(order("uses", "echo $SECRET", ssm_paths={"SECRET": path})))
    finally:
        site.clients.ssm.delete_parameter(Name=path)

    assert finished.status == "failed"
    assert finished.statuses() == {"uses": "skipped"}
    told = json.dumps(finished.done)
    assert path in told
    assert "arn:" not in told  # whose account and role that was
