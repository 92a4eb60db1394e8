"""Needs against grants: what is denied, unused, too broad or stale, and what is fine."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.iam import access_log, listed
from tests.support.iam.grants import Role, Statement
from tests.support.iam.judge import Row, Verdict, common_part, judge
from tests.support.iam.listed import Entries, Entry
from tests.support.iam.needs import Need
from tests.support.iam.short import Short
from tests.support.terraform.names import Names
from tests.support.terraform.stages import DEPLOY, case

pytestmark = pytest.mark.unit

NAMES = Names(case(DEPLOY))
SHORT = Short(NAMES)
INTERNAL = NAMES.bucket("internal")
EXEC = f"{INTERNAL}/tmp/exec/run-1/0001/exec.zip"
DOCS = Path(__file__).parents[2] / "docs"
DENY_ALL = Statement("No", allows=False, actions=("s3:*",), resources=(f"{INTERNAL}/*",))


def verdicts(
    *granted: tuple[str, str],
    needed: list[tuple[str, str]],
    entries: list[Entry] | None = None,
    buckets: tuple[Statement, ...] = (),
) -> list[tuple[str, str, str]]:
    """Judge a worker that is granted and needs pairs of action and resource; used rows left out."""
    rows = judge(
        {"worker": worker(*granted)},
        [Need("worker", *each, by="a test") for each in needed],
        buckets,
        Entries(entries or [], SHORT),
    )
    wrong = [row for row in rows if row.is_finding]
    return [(row.verdict.value, row.action, SHORT(row.resource)) for row in wrong]


def worker(*granted: tuple[str, str]) -> Role:
    made = [
        Statement("S", allows=True, actions=(action,), resources=(resource,))
        for action, resource in granted
    ]
    return Role("worker", tuple(made), ())


BUNDLES = ("s3:GetObject", f"{INTERNAL}/tmp/exec/*")


def test_what_is_granted_and_needed_is_fine() -> None:
    assert verdicts(BUNDLES, needed=[("s3:GetObject", EXEC)]) == []


def test_a_call_that_no_statement_covers_is_denied() -> None:
    other = f"{INTERNAL}/tmp/other"
    needed = [("s3:GetObject", EXEC), ("s3:PutObject", EXEC), ("s3:GetObject", other)]

    assert verdicts(BUNDLES, needed=needed) == [
        ("denied", "s3:GetObject", "s3 internal/tmp/other"),
        ("denied", "s3:PutObject", "s3 internal/tmp/exec/run-1/0001/exec.zip"),
    ]


def test_a_bucket_policy_that_denies_wins() -> None:
    found = verdicts(BUNDLES, needed=[("s3:GetObject", EXEC)], buckets=(DENY_ALL,))

    assert [each[0] for each in found] == ["denied"]


def test_a_bucket_policy_against_plain_http_leaves_https_alone() -> None:
    plain = replace(DENY_ALL, condition={"Bool": {"aws:SecureTransport": "false"}})

    assert verdicts(BUNDLES, needed=[("s3:GetObject", EXEC)], buckets=(plain,)) == []


def test_a_grant_that_nothing_needs_is_unused() -> None:
    put = ("s3:PutObject", BUNDLES[1])

    assert verdicts(BUNDLES, put, needed=[("s3:GetObject", EXEC)]) == [
        ("unused", "s3:PutObject", "s3 internal/tmp/exec/*")
    ]


def test_a_pattern_that_begins_before_the_common_part_is_too_broad() -> None:
    wide = ("s3:GetObject", f"{INTERNAL}/*")

    assert verdicts(wide, needed=[("s3:GetObject", EXEC)]) == [
        ("too broad", "s3:GetObject", "s3 internal/*")
    ]


def test_a_pattern_that_says_more_than_its_prefix_needs_may_be_exact() -> None:
    exact = ("s3:GetObject", EXEC)

    assert verdicts(exact, needed=[("s3:GetObject", EXEC)]) == []


def test_an_action_pattern_is_too_broad_unless_every_action_is_needed() -> None:
    table = NAMES.table("orders")

    assert verdicts(("dynamodb:*", table), needed=[("dynamodb:GetItem", table)]) == [
        ("too broad", "dynamodb:*", "dynamodb table/orders")
    ]
    assert verdicts(("dynamodb:GetIt*", table), needed=[("dynamodb:GetItem", table)]) == []


def test_everything_is_not_too_broad_where_aws_offers_nothing_narrower() -> None:
    token = ("ecr:GetAuthorizationToken", "*")
    image = ("ecr:BatchGetImage", NAMES.arn("ecr", "repository/iac-ci"))

    assert verdicts(token, needed=[token]) == []
    assert verdicts(("ecr:BatchGetImage", "*"), needed=[image]) == [
        ("too broad", "ecr:BatchGetImage", "*")
    ]


def entry(**fields: Any) -> Entry:
    given = {"verdict": Verdict.UNUSED, "action": "s3:PutObject", "line": "a line"}
    return Entry(**{"role": "worker", "resources": ("s3 internal/tmp/exec/*",), **given, **fields})


def test_a_listed_grant_is_no_finding_until_it_is_used() -> None:
    put = ("s3:PutObject", BUNDLES[1])

    assert verdicts(put, needed=[], entries=[entry()]) == []
    assert verdicts(put, needed=[("s3:PutObject", EXEC)], entries=[entry()]) == [
        ("stale", "s3:PutObject", "s3 internal/tmp/exec/*")
    ]


def test_an_entry_of_a_grant_that_is_gone_is_stale() -> None:
    assert [each[0] for each in verdicts(needed=[], entries=[entry()])] == ["stale"]


def test_an_entry_holds_for_its_role_verdict_action_and_resource_only() -> None:
    put = ("s3:PutObject", BUNDLES[1])
    others: list[dict[str, Any]] = [
        {"role": "orchestrator"},
        {"verdict": Verdict.BROAD},
        {"action": "s3:GetObject"},
        {"resources": ("s3 internal/*",)},
    ]
    for other in others:
        found = verdicts(put, needed=[], entries=[entry(**other)])

        assert {each[0] for each in found} == {"unused", "stale"}, other


def test_an_entry_of_an_action_pattern_says_which_actions_are_in_use() -> None:
    table = NAMES.table("orders")
    all_of_it = ("dynamodb:*", table)
    kept = entry(
        verdict=Verdict.BROAD,
        action="dynamodb:*",
        resources=("dynamodb table/orders",),
        only=("dynamodb:GetItem",),
    )
    get, put = ("dynamodb:GetItem", table), ("dynamodb:PutItem", table)

    assert verdicts(all_of_it, needed=[get], entries=[kept]) == []
    found = verdicts(all_of_it, needed=[get, put], entries=[kept])
    assert {each[0] for each in found} == {"too broad", "stale"}


def test_a_call_of_a_handler_without_a_role_is_an_error() -> None:
    with pytest.raises(KeyError, match="nobody"):
        judge({}, [Need("nobody", "s3:GetObject", EXEC, "")], (), Entries([], SHORT))


@pytest.mark.parametrize(
    ("arns", "expected"),
    [
        ([f"{INTERNAL}/tmp/exec/r1/0001/exec.zip"], f"{INTERNAL}/tmp/exec/"),
        ([f"{INTERNAL}/tmp/callbacks/runs/r1/finished.json"], f"{INTERNAL}/tmp/callbacks/runs/"),
        ([f"{INTERNAL}/tmp/requests/abc.json"], f"{INTERNAL}/tmp/requests/"),
        ([f"{INTERNAL}/tmp/exec/r/x", f"{INTERNAL}/tmp/requests/a"], f"{INTERNAL}/tmp/"),
        ([NAMES.bucket("done", "/run-1/done")], NAMES.bucket("done", "/")),
        ([NAMES.log_group("g") + ":log-stream:s"], NAMES.log_group("g") + ":"),
        ([NAMES.arn("ssm", "parameter/a/b")], NAMES.arn("ssm", "parameter/a/b")),
        ([NAMES.bucket("done", "/run-1/other")], NAMES.bucket("done", "/run-1/other")),
    ],
)
def test_ids_of_runs_and_streams_are_no_part_of_what_is_common(
    arns: list[str], expected: str
) -> None:
    assert common_part(arns) == expected


def test_every_entry_of_the_list_gives_a_line_of_the_specification_or_a_page_of_aws() -> None:
    text = (DOCS / "SPECIFICATION.md").read_text()
    for one in listed.read(listed.FILE.read_text()):
        assert (f"- {one.line}\n" in text) if one.line else one.page.startswith("https://docs.aws.")


def test_security_md_shows_the_list() -> None:
    expected = [
        (one.role, one.action, resource, one.verdict.value, one.line or one.rule)
        for one in listed.read(listed.FILE.read_text())
        for resource in one.resources
    ]
    row = r"^\| (\w+) \| `(\S+)` on `(.+?)` \| (unused|too broad).*? \| (.+) \|$"
    shown = re.findall(row, (DOCS / "SECURITY.md").read_text(), re.MULTILINE)

    assert shown == expected


def test_an_entry_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match=r"worker s3:GetObject unused"):
        listed.read(
            '[[listed]]\nrole="worker"\nverdict="unused"\naction="s3:GetObject"\nresources=["x"]\n'
        )


def test_a_finding_is_what_is_neither_used_nor_listed() -> None:
    row = Row("worker", "s3:GetObject", "*", Verdict.UNUSED, "")

    assert row.is_finding
    assert not Row("worker", "s3:GetObject", "*", Verdict.UNUSED, "", listed="why").is_finding
    assert not Row("worker", "s3:GetObject", "*", Verdict.USED, "").is_finding


def entry_of_log(decision: str, role: str | None, action: str, resource: str) -> str:
    given = {"role": role, "action": action, "resource": resource, "decision": decision}
    return json.dumps(given)


def test_the_access_log_of_an_applied_stack_shows_use_under_the_plans_names() -> None:
    bundle = "arn:aws:s3:::iac-ci-internal-0a1b2/tmp/exec/r/0001/exec.zip"
    lines = [
        entry_of_log("allowed", "iac-ci-worker-0a1b2", "s3:GetObject", bundle),
        entry_of_log("allowed", None, "s3:PutObject", bundle),
        entry_of_log("allowed", "some-other-role", "s3:PutObject", bundle),
    ]

    allowed, refused = access_log.read(lines, NAMES)

    path = f"{INTERNAL}/tmp/exec/r/0001/exec.zip"
    assert allowed == {Need("worker", "s3:GetObject", path, access_log.BY)}
    assert refused == set()


def test_a_refusal_on_the_applied_stack_is_a_finding() -> None:
    table = "arn:aws:dynamodb:eu-west-1:1:table/iac-ci-orders-0a1b2"
    line = entry_of_log("denied", "iac-ci-process_webhook-0a1b2", "dynamodb:Scan", table)

    _, refused = access_log.read([line], NAMES)

    assert [(row.role, row.verdict, SHORT(row.resource), row.is_finding) for row in refused] == [
        ("process_webhook", Verdict.DENIED, "dynamodb table/orders", True)
    ]


def test_what_another_stack_needed_shows_use_and_is_not_asked_of_this_one() -> None:
    elsewhere = [
        Need("worker", "s3:GetObject", EXEC, "there"),
        Need("worker", "s3:GetObject", "arn:aws:s3:::its-own/x", "there"),
    ]
    rows = judge({"worker": worker(BUNDLES)}, [], (), Entries([], SHORT), elsewhere)

    assert [row.verdict for row in rows] == [Verdict.USED]


def test_a_refusal_that_a_scenario_is_about_is_none() -> None:
    parameter = "arn:aws:ssm:eu-west-1:1:parameter/{}/x"
    lines = [
        entry_of_log("denied", "iac-ci-process_webhook-0a1b2", "ssm:GetParameter", resource)
        for resource in (parameter.format("elsewhere"), parameter.format("other"))
    ]

    _, refused = access_log.read(lines, NAMES)

    assert [row.resource for row in refused] == [parameter.format("other")]


def test_scenarios_that_are_refused_exist() -> None:
    texts = [path.read_text() for path in (DOCS.parent / "tests/integration").rglob("test_*.py")]

    for name in access_log.PROVOKED.values():
        assert any(f"def {name}(" in text for text in texts), name
