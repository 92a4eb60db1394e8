"""Secrets: fetched once, named, expanded, and never told."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from src.common.errors import PackagingError, Permanent, Transient
from src.common.job import Job, parse_job
from src.process_webhook.secrets import credential, resolve

pytestmark = pytest.mark.unit


class Vault:
    """A SecretSource in memory that counts what is asked of it."""

    def __init__(self, **values: str) -> None:
        self.values = {name.replace("__", "/"): value for name, value in values.items()}
        self.asked: Counter[str] = Counter()

    def ssm(self, path: str) -> str:
        return self._get(f"ssm:{path}")

    def secretsmanager(self, name: str) -> str:
        return self._get(f"sm:{name}")

    def _get(self, key: str) -> str:
        self.asked[key] += 1
        value = self.values.get(key.partition(":")[2])
        if value is None:
            raise Permanent(f"reading {key}: not there")
        if value == "throttled":
            raise Transient(f"reading {key}: throttled")
        return value


def job(*orders: dict[str, Any]) -> Job:
    return parse_job(
        {
            "username": "ada",
            "orders": [
                {"order_name": f"o{at}", "cmds": ["true"], "timeout": 1, **fields}
                for at, fields in enumerate(orders)
            ],
        }
    )


def problems(parsed: Job, vault: Vault) -> dict[str, str]:
    with pytest.raises(PackagingError) as refused:
        resolve(parsed, vault)
    return {problem.path: problem.message for problem in refused.value.problems}


def test_list_names_the_variable_by_the_last_segment_and_map_names_it_itself() -> None:
    vault = Vault(**{"/app/db-password": "p1", "app/api.key": "p2", "/x": "p3"})
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:token-AbCdEf"
    vault.values[arn] = "p4"

    found = resolve(
        job(
            {
                "ssm_paths": ["/app/db-password"],
                "secret_manager_paths": ["app/api.key", arn],
            },
            {"ssm_paths": {"tf_var_x": "/x"}},
            {},
        ),
        vault,
    )

    assert found == {
        "0001": {"DB_PASSWORD": "p1", "API_KEY": "p2", "TOKEN_ABCDEF": "p4"},
        "0002": {"tf_var_x": "p3"},
        "0003": {},
    }


def test_each_path_is_fetched_once_for_all_orders() -> None:
    vault = Vault(**{"/a": "1", "/b": "2"})

    found = resolve(
        job(*[{"ssm_paths": ["/a", "/b"], "secret_manager_paths": {"C": "/a"}}] * 9), vault
    )

    assert found["0009"] == {"A": "1", "B": "2", "C": "1"}
    assert vault.asked == {"ssm:/a": 1, "ssm:/b": 1, "sm:/a": 1}


def test_json_object_expands_to_one_variable_per_key() -> None:
    value = (
        '{"user": "ada", "n": 1.10, "big": 12345678901234567890123, "on": true, "none": null,'
        ' "list": [1, "é"], "map": {"x": 1.50}}'
    )

    found = resolve(job({"ssm_paths": ["/db"]}), Vault(**{"/db": value}))

    assert found["0001"] == {
        "user": "ada",
        "n": "1.10",
        "big": "12345678901234567890123",
        "on": "true",
        "none": "",
        "list": '[1,"é"]',
        "map": '{"x":1.5}',
    }


@pytest.mark.parametrize(
    "value", ["plain", "[1, 2]", '"text"', "12", "{broken", "", "{" * 9999, "ü\n"]
)
def test_anything_but_an_object_is_one_variable_as_it_is(value: str) -> None:
    assert resolve(job({"ssm_paths": ["/v"]}), Vault(**{"/v": value}))["0001"] == {"V": value}


def test_every_missing_path_is_named_by_field_and_value() -> None:
    parsed = job(
        {"ssm_paths": ["/there", "/gone"]},
        {"ssm_paths": {"X": "/gone"}, "secret_manager_paths": ["lost"]},
    )

    found = problems(parsed, Vault(**{"/there": "1"}))

    assert list(found) == [
        "orders[0].ssm_paths[1]",
        "orders[1].ssm_paths.X",
        "orders[1].secret_manager_paths[0]",
    ]
    assert 'SSM parameter "/gone" cannot be read' in found["orders[1].ssm_paths.X"]
    assert 'secret "lost" cannot be read' in found["orders[1].secret_manager_paths[0]"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('{"X": "hunter2"}', 'sets the variable "X", as orders[0].ssm_paths.X does'),
        ('{"bad-name": "hunter2"}', 'has the key "bad-name", which must be a variable'),
        ('{"IAC_CI_X": "hunter2"}', "which must not start with IAC_CI_, which is reserved"),
        ('{"Y": "hunter2\\u0000"}', "the value of Y must not hold a NUL character"),
        ('{"Y": "hunter2\\ud800"}', "the value of Y is not valid Unicode"),
        ("hunter2" * 20_000, "the value of JSON must not be over 131071 bytes"),
    ],
)
def test_value_that_is_no_environment_is_refused_without_being_told(
    value: str, message: str
) -> None:
    parsed = job({"ssm_paths": {"X": "/x"}, "secret_manager_paths": ["json"]})

    found = problems(parsed, Vault(**{"/x": "1", "json": value}))

    assert list(found) == ["orders[0].secret_manager_paths[0]"]
    assert message in found["orders[0].secret_manager_paths[0]"]
    assert "hunter2" not in str(found)


def test_trouble_of_the_platform_is_no_problem_of_the_job() -> None:
    with pytest.raises(Transient):
        resolve(job({"ssm_paths": ["/a", "/b"]}), Vault(**{"/a": "throttled", "/b": "1"}))


def test_credential_is_found_at_its_location() -> None:
    vault = Vault(**{"/vcs/token": " tok\n", "vcs/key": "KEY", "/empty": " "})

    assert credential("aws:::ssm:/vcs/token", vault) == "tok"
    assert credential("aws:::secretsmanager:vcs/key", vault) == "KEY"
    with pytest.raises(PackagingError, match='git_token_location: SSM parameter "/empty" is empty'):
        credential("aws:::ssm:/empty", vault)
    with pytest.raises(PackagingError, match='git_ssh_key_location: secret "x" cannot be read'):
        credential("aws:::secretsmanager:x", vault, "git_ssh_key_location")
