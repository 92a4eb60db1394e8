"""Every trigger and every answer of process_webhook; what is refused writes nothing."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from src.common import keys
from src.common.errors import Permanent, Transient
from src.common.status import JobStatus
from src.local.platform import embedded
from src.local.stack import PROCESS_WEBHOOK, Stack
from tests.support.build import NOW
from tests.support.events import http_event, sns_event
from tests.support.sim import OwnedClock, Sim, a_job, chain

pytestmark = pytest.mark.integration

SECRET = "it is a secret to everybody"
PARAMETER = Stack().webhook_secret_parameter


def a_sim(stack: Stack | None = None, **secrets: str) -> Sim:
    return Sim(stack=stack, secrets={PARAMETER: SECRET, **secrets})


def call(sim: Sim, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = sim.world.functions[PROCESS_WEBHOOK](event, sim.world.context("test"))
    assert answer["headers"]["content-type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"])


def assert_nothing_was_written(sim: Sim) -> None:
    stores: Any = (sim.adapters.runs, sim.adapters.locks, sim.adapters.internal)
    assert not any(store.everything() for store in stores)


# -- who may ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize("in_base64", [False, True])
def test_a_signed_request_runs_the_job(in_base64: bool) -> None:
    sim = a_sim()
    body = {"job": a_job(*chain("a", "b"))}

    status, answer = call(sim, http_event(body, secret=SECRET, in_base64=in_base64))

    assert status == 200
    assert set(answer) == {
        *("run_id", "trace_id", "flow_id", "done_endpt", "pr_search_tag"),
        *("init_pr_comment", "orders"),
    }
    assert answer["flow_id"] == f"alice:{answer['trace_id']}-exec"
    assert answer["orders"] == {"a": "0001", "b": "0002"}
    assert answer["init_pr_comment"] is None
    assert sim.finish(answer["run_id"]).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        "sha256=ünicode",
        "0" * 64,
    ],
)
def test_a_request_that_is_not_signed_with_the_secret_is_401(header: str | None) -> None:
    sim = a_sim()
    headers = {} if header is None else {"x-hub-signature-256": header}

    status, answer = call(sim, http_event({"job": a_job("a")}, headers=headers))

    assert status == 401
    assert "X-Hub-Signature-256" in answer["error"]
    assert_nothing_was_written(sim)


@pytest.mark.parametrize("also", ["sha256=" + "0" * 64, "", "the same"])
def test_a_signature_that_is_sent_twice_is_401(also: str) -> None:
    """API Gateway joins headers of one name by commas."""
    sim = a_sim()
    event = http_event({"job": a_job("a")}, secret=SECRET)
    given = event["headers"]["x-hub-signature-256"]
    event["headers"]["x-hub-signature-256"] = f"{given},{given if also == 'the same' else also}"

    assert call(sim, event)[0] == 401
    assert_nothing_was_written(sim)


MINUTES, DAY = 5 * 60, 24 * 3600


@pytest.mark.parametrize("in_base64", [False, True])
@pytest.mark.parametrize(
    ("fields", "after", "came_of_it"),
    [
        ({"run_id": "r1"}, MINUTES, "the first answer"),
        ({"run_id": "r1"}, DAY, "the first answer"),
        ({"issued_at": NOW // 1000}, MINUTES, "the first answer"),
        ({"issued_at": NOW // 1000}, DAY, "refused"),
        ({"run_id": "r1", "issued_at": NOW // 1000}, MINUTES, "the first answer"),
        ({"run_id": "r1", "issued_at": NOW // 1000}, DAY, "refused"),
        ({}, MINUTES, "the first answer"),
        ({}, DAY, "a new run"),  # as a scheduler sends it; the strict setting refuses such a body
    ],
)
def test_a_replayed_request_starts_a_run_only_where_nothing_tells_it_from_a_new_one(
    fields: dict[str, Any], after: int, came_of_it: str, in_base64: bool
) -> None:
    sim = a_sim()
    event = http_event({"job": a_job("a"), **fields}, secret=SECRET, in_base64=in_base64)
    first = call(sim, event)
    sim.finish(first[1]["run_id"])
    sim.clock.sleep(after)

    again = call(sim, event)
    if again[0] == 200:
        sim.finish(again[1]["run_id"])

    assert first[0] == 200
    if came_of_it == "a new run":
        assert (again[0], sim.worker.started) == (200, {"a": 2})
    else:
        assert sim.worker.started == {"a": 1}
        assert again[0] == 401 if came_of_it == "refused" else again == first


def test_a_body_changed_after_signing_is_401() -> None:
    sim = a_sim()
    event = http_event({"job": a_job("a")}, secret=SECRET)
    event["body"] = event["body"].replace("true", "evil")

    assert call(sim, event)[0] == 401
    assert_nothing_was_written(sim)


def test_authentication_comes_before_parsing() -> None:
    sim = a_sim()

    assert call(sim, http_event(b"{ not json", secret="wrong"))[0] == 401
    assert call(sim, http_event(b"{ not json", secret=SECRET))[0] == 400


def test_without_a_secret_nothing_is_accepted() -> None:
    sim = Sim()

    status, answer = call(sim, http_event({"job": a_job("a")}, secret=""))

    assert status == 503
    assert "secret" in answer["error"]
    assert_nothing_was_written(sim)


@pytest.mark.parametrize("value", ["", "\n", "  \n "])
def test_an_empty_secret_lets_nobody_in(value: str) -> None:
    sim = Sim(secrets={PARAMETER: value})

    assert call(sim, http_event({"job": a_job("a")}, secret=""))[0] == 503


def test_two_secrets_are_valid_while_one_replaces_the_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    sim = Sim(secrets={PARAMETER: "old\nnew\n"})

    for line, secret in enumerate(("old", "new"), 1):
        assert call(sim, http_event({"job": a_job(secret)}, secret=secret))[0] == 200
        assert f"signed with line {line} of 2 of the webhook secret" in caplog.text


def test_a_changed_secret_is_noticed_within_five_minutes() -> None:
    secrets = {PARAMETER: "old"}
    sim = Sim(platform=(platform := embedded(Stack(), secrets, clock := OwnedClock())), clock=clock)
    assert platform is sim.platform
    assert call(sim, http_event({"job": a_job("a")}, secret="old"))[0] == 200

    secrets[PARAMETER] = "new"
    sim.clock.sleep(300)

    assert call(sim, http_event({"job": a_job("b")}, secret="old"))[0] == 401
    assert call(sim, http_event({"job": a_job("b")}, secret="new"))[0] == 200


def test_while_a_secret_is_rotated_no_caller_that_follows_the_steps_is_refused() -> None:
    """Two warm processes that read the secret at different times; docs/how-to has the steps."""
    secrets, clock = {PARAMETER: "old"}, OwnedClock()
    early, late = (Sim(platform=embedded(Stack(), secrets, clock), clock=clock) for _ in range(2))
    jobs = map(str, range(100))

    def statuses(secret: str) -> set[int]:
        body = {"job": a_job(next(jobs))}
        return {call(sim, http_event(body, secret=secret))[0] for sim in (early, late)}

    assert call(early, http_event({"job": a_job("warm")}, secret="old"))[0] == 200
    clock.sleep(200)
    assert statuses("old") == {200}

    secrets[PARAMETER] = "old\nnew\n"  # 1. both are valid
    assert statuses("old") == {200}
    clock.sleep(300)  # 2. every process has read it: callers move one by one
    assert statuses("new") == statuses("old") == {200}
    secrets[PARAMETER] = "new\n"  # 3. the old one goes
    assert statuses("new") == {200}
    clock.sleep(300)
    assert statuses("new") == {200}
    assert statuses("old") == {401}


def test_the_function_url_trusts_the_platforms_authentication() -> None:
    sim = Sim()

    status, _ = call(sim, http_event({"job": a_job("a")}, name="function_url"))

    assert status == 200


@pytest.mark.parametrize(
    "authorizer", [None, "iam", {}, {"iam": None}, {"jwt": {"claims": {}}}, {"lambda": {"a": "b"}}]
)
def test_an_unauthenticated_function_url_request_needs_a_signature(authorizer: Any) -> None:
    """IAM's own authorizer alone stands for a signature."""
    sim = a_sim()
    event = http_event({"job": a_job("a")}, name="function_url")
    del event["requestContext"]["authorizer"]
    if authorizer is not None:
        event["requestContext"]["authorizer"] = authorizer

    assert call(sim, event)[0] == 401


def test_a_message_of_a_topic_runs_the_job() -> None:
    sim = Sim()

    event = sns_event({"job": a_job("a"), "run_id": "r1"})
    (answer,) = sim.world.functions[PROCESS_WEBHOOK](event, sim.world.context("sns"))

    assert answer["statusCode"] == 200
    assert sim.finish("r1").status is JobStatus.SUCCEEDED


def test_a_refused_message_is_answered_not_repeated() -> None:
    sim = Sim()

    event = sns_event({"job": {"username": "alice", "orders": []}})
    (answer,) = sim.world.functions[PROCESS_WEBHOOK](event, sim.world.context("sns"))

    assert answer["statusCode"] == 400


def test_a_message_that_cannot_be_taken_now_is_left_to_the_platform_to_repeat() -> None:
    sim = Sim()

    def throttled(*_: Any) -> None:
        raise Transient("writing: throttled")

    sim.platform.runs.accept = throttled
    with pytest.raises(Transient):
        sim.world.functions[PROCESS_WEBHOOK](sns_event({"job": a_job("a")}), sim.world.context("x"))


def test_githubs_ping_is_answered_with_pong() -> None:
    sim = a_sim()
    event = http_event(
        {"zen": "Keep it logically awesome.", "hook_id": 1},
        secret=SECRET,
        headers={"x-github-event": "ping"},
    )

    assert call(sim, event) == (200, {"message": "pong"})


def test_githubs_other_events_are_told_what_to_send() -> None:
    sim = a_sim()
    event = http_event(
        {"action": "opened", "pull_request": {}},
        secret=SECRET,
        headers={"x-github-event": "pull_request"},
    )

    status, answer = call(sim, event)

    assert status == 400
    assert "'pull_request' event is no job" in answer["details"][0]["message"]
    assert_nothing_was_written(sim)


# -- what may be asked ----------------------------------------------------------------------------


BAD_BODIES: dict[str, tuple[object, str, str]] = {
    "no json": (b"{", "body", "not valid JSON"),
    "empty": (b"", "body", "empty"),
    "no object": ([], "body", "must be a JSON object"),
    "no job": ({"run_id": "r"}, "job", "required"),
    "bad base64": ({"job_parameters_b64": "%%%"}, "job_parameters_b64", "base64"),
    "bad json in base64": (
        {"job_parameters_b64": base64.b64encode(b"{").decode()},
        "job_parameters_b64",
        "not valid JSON",
    ),
    "unknown field": ({"job": a_job("a"), "runid": "x"}, "runid", "run_id"),
    "hostile run id": ({"job": a_job("a"), "run_id": "../x"}, "run_id", "../x"),
    "no orders": ({"job": {"username": "a", "orders": []}}, "orders", "1 to 1000"),
    "timeout": ({"job": a_job({"order_name": "a", "timeout": 0})}, "orders[0].timeout", "0"),
    "cycle": (
        {"job": a_job(*({"order_name": x, "dependencies": [y]} for x, y in ("ab", "ba")))},
        "orders",
        "a -> b -> a",
    ),
    "file url": ({"job": a_job("a", git_repo="file:///etc")}, "git_repo", "file:///etc"),
    "wait over http": ({"job": a_job("a"), "wait": True}, "wait", "direct invocation"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_400_with_field_and_value_and_writes_nothing(name: str) -> None:
    body, path, message = BAD_BODIES[name]
    sim = a_sim()
    if name == "file url":
        app: Any = sim.world.functions[PROCESS_WEBHOOK]
        sim.world.functions[PROCESS_WEBHOOK] = replace(app, file_urls=False)

    status, answer = call(sim, http_event(body, secret=SECRET))

    assert status == 400
    assert answer["error"] == "job refused"
    found = [d for d in answer["details"] if d["path"].startswith(path) and message in d["message"]]
    assert found, answer
    assert_nothing_was_written(sim)


def test_every_problem_is_told_at_once() -> None:
    sim = a_sim()
    job = a_job(
        {"order_name": "_x", "timeout": -1, "cmds": []}, {"order_name": "b", "dependencies": ["c"]}
    )

    _, answer = call(sim, http_event({"job": job, "issued_at": "now"}, secret=SECRET))

    paths = {detail["path"] for detail in answer["details"]}
    assert {
        "issued_at",
        "orders[0].order_name",
        "orders[0].timeout",
        "orders[0].cmds",
        "orders[1].dependencies[0]",
    } <= paths


def test_a_body_over_the_limit_is_413() -> None:
    sim = a_sim()
    body = {"job": a_job("a"), "padding": "x" * (4 * 1024 * 1024)}

    status, answer = call(sim, http_event(body, secret=SECRET))

    assert status == 413
    assert "4194304" in answer["error"]
    assert_nothing_was_written(sim)


def test_a_direct_invocation_over_the_limit_is_413() -> None:
    sim = Sim()

    answer = sim.submit(a_job("a", env={"BIG": "x" * (4 * 1024 * 1024)}))

    assert answer["statusCode"] == 413


DEEP: Any = json.loads("[" * 500 + "]" * 500)
ODD_EVENTS: dict[str, tuple[object, str]] = {
    "a list": ([], "must be a JSON object, got a list"),
    "text": ("x", 'must be a JSON object, got "x"'),
    "nothing": (None, "must be a JSON object, got null"),
    "half a character": ({"job": {"username": "\ud800"}}, r'got "\ud800"'),
    "half a key": ({"\ud800": 1}, "is not a known field"),
    "nested": ({"job": a_job("a"), "run_id": DEEP}, "nested more than 32 levels deep"),
    "records of nobody": ({"Records": [1]}, "is not a known field"),
    "no notification": ({"Records": [{"EventSource": "aws:sns"}]}, "is not a known field"),
    "packaging of no run": ({"package_run": ""}, "is not a known field"),
    "packaging of anything": ({"package_run": ["run-1"]}, "is not a known field"),
    "a number as body": ({"requestContext": {"http": {}}, "body": 5}, "must be text"),
    "a list of headers": ({"requestContext": {"http": {}}, "headers": [1]}, "headers a map"),
}


@pytest.mark.parametrize("name", ODD_EVENTS)
def test_an_event_of_no_known_shape_is_400_and_writes_nothing(name: str) -> None:
    event, message = ODD_EVENTS[name]
    sim = a_sim()

    answer = sim.world.functions[PROCESS_WEBHOOK](event, sim.world.context("test"))

    body = json.loads(answer["body"]) if "headers" in answer else answer["body"]
    assert answer["statusCode"] == 400
    assert [d for d in body["details"] if message in d["message"]], body
    assert_nothing_was_written(sim)


def test_the_same_run_id_with_another_job_is_409() -> None:
    sim = a_sim()
    assert call(sim, http_event({"job": a_job("a"), "run_id": "r1"}, secret=SECRET))[0] == 200
    sim.finish("r1")

    status, answer = call(sim, http_event({"job": a_job("b"), "run_id": "r1"}, secret=SECRET))

    assert status == 409
    assert "r1" in answer["error"]


def test_the_same_run_id_is_compared_without_issued_at() -> None:
    sim = a_sim()
    body = {"job": a_job("a"), "run_id": "r1", "issued_at": NOW // 1000}
    first = call(sim, http_event(body, secret=SECRET))
    sim.clock.sleep(60)

    again = call(sim, http_event({**body, "issued_at": NOW // 1000 + 60}, secret=SECRET))

    assert again == first


def test_the_same_body_gets_the_first_answer_and_starts_nothing_for_90_days() -> None:
    sim = a_sim()
    event = http_event({"job": a_job("a"), "run_id": "r1"}, secret=SECRET)
    first = call(sim, event)
    sim.finish("r1")
    sim.clock.sleep(89 * 24 * 3600)

    assert call(sim, event) == first
    sim.settle()
    assert sim.worker.started == {"a": 1}


@pytest.mark.parametrize(
    ("age", "status"), [(0, 200), (899, 200), (901, 401), (-119, 200), (-121, 401)]
)
def test_a_request_older_than_a_quarter_of_an_hour_is_401(age: int, status: int) -> None:
    sim = a_sim()
    body = {"job": a_job("a"), "issued_at": NOW // 1000 - age}

    assert call(sim, http_event(body, secret=SECRET))[0] == status


@pytest.mark.parametrize("ahead", [0, 100])
def test_a_request_that_says_when_it_was_issued_cannot_be_replayed_at_all(ahead: int) -> None:
    sim = a_sim(Stack(require_freshness=True))
    event = http_event({"job": a_job("a"), "issued_at": NOW // 1000 + ahead}, secret=SECRET)
    first = call(sim, event)
    later = []
    for _ in range(20):
        sim.clock.sleep(60)
        later.append(call(sim, event))

    assert first[0] == 200
    assert {status for status, _ in later} == {200, 401}
    assert all(answer == first for answer in later if answer[0] == 200)


def test_an_answer_names_nothing_of_what_lies_behind_it() -> None:
    sim = a_sim()

    def denied(*_: Any) -> None:
        raise Permanent("writing k: arn:aws:iam::123456789012:role/x may not")

    sim.platform.runs.accept = denied
    status, answer = call(sim, http_event({"job": a_job("a")}, secret=SECRET))

    assert status == 500
    assert "arn" not in json.dumps(answer)


DENIED = "writing k: AccessDenied"


@pytest.mark.parametrize(
    ("port", "method", "fields"),
    [
        ("secrets", "ssm", {"ssm_paths": ["/a/secret"]}),
        ("secrets", "secretsmanager", {"secret_manager_paths": ["a-secret"]}),
        ("code", "get", {"s3_location": "s3://bucket/code.zip"}),
        ("runs", "add_orders", {}),
        ("workers", "start", {}),
    ],
)
def test_a_run_tells_nothing_of_what_lies_behind_it(
    port: str, method: str, fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Its reason stands in the comment on a pull request, which anybody may read."""
    sim = a_sim()
    behind = "arn:aws:sts::123456789012:assumed-role/x is not authorized"

    def denied(*_: Any) -> None:
        raise Permanent(f"{DENIED}: {behind}", DENIED)

    setattr(getattr(sim.adapters, port), method, denied)
    run, _ = sim.run_to_end(a_job({"order_name": "a", **fields}))

    assert run.status is JobStatus.FAILED
    stores: Any = (sim.adapters.runs, sim.adapters.internal, sim.adapters.done)
    told = repr([store.everything() for store in stores])
    assert DENIED in told
    assert "arn:" not in told
    assert behind in caplog.text  # where an operator finds it


@pytest.mark.parametrize(
    ("fields", "status"), [({}, 401), ({"run_id": "r"}, 200), ({"issued_at": NOW // 1000}, 200)]
)
def test_the_strict_setting_wants_something_that_tells_a_replay(
    fields: dict[str, Any], status: int
) -> None:
    sim = a_sim(Stack(require_freshness=True))

    assert call(sim, http_event({"job": a_job("a"), **fields}, secret=SECRET))[0] == status


def test_ids_that_the_caller_gives_are_kept() -> None:
    sim = a_sim()
    body = {"job": a_job("a"), "run_id": "r1", "trace_id": "cafebabe", "done_endpt": "https://me/x"}

    _, answer = call(sim, http_event(body, secret=SECRET))

    assert answer["run_id"] == "r1"
    assert answer["trace_id"] == "cafebabe"
    assert answer["done_endpt"] == "https://me/x"


def test_the_job_may_come_as_base64() -> None:
    sim = a_sim()
    encoded = base64.b64encode(json.dumps(a_job("a")).encode()).decode()

    status, answer = call(sim, http_event({"job_parameters_b64": encoded}, secret=SECRET))

    assert status == 200
    assert answer["orders"] == {"a": "0001"}


# -- waiting for packaging ------------------------------------------------------------------------


def while_it_waits(sim: Sim) -> None:
    """Let the rest of the world go on whenever the handler sleeps."""
    nap = sim.clock.sleep

    def sleep(seconds: float) -> None:
        nap(seconds)
        sim.settle()

    sim.clock.sleep = sleep  # type: ignore[method-assign]


def test_a_direct_invocation_may_wait_for_packaging() -> None:
    sim = Sim()
    while_it_waits(sim)

    answer = sim.submit(a_job("a"), run_id="r1", wait=True)

    assert answer["statusCode"] == 200
    assert sim.adapters.internal.get(keys.result_key("r1", keys.PACKAGING)) is not None
    assert sim.finish("r1").status is JobStatus.SUCCEEDED


def test_a_waiting_caller_is_told_what_packaging_found() -> None:
    sim = Sim()
    while_it_waits(sim)
    job = a_job({"order_name": "a", "ssm_paths": ["/iac-ci/absent"]})

    answer = sim.submit(job, run_id="r1", wait=True)

    assert answer["statusCode"] == 400
    (detail,) = answer["body"]["details"]
    assert detail["path"] == "orders[0].ssm_paths[0]"
    assert "/iac-ci/absent" in detail["message"]
    assert sim.adapters.internal.get(keys.bundle_key("r1", "0001")) is None
    assert sim.rows(sim.run("r1")) == {}


def test_problems_of_packaging_end_the_run_with_their_reasons_and_nothing_runs() -> None:
    sim = Sim()
    job = a_job(
        {"order_name": "a", "ssm_paths": ["/iac-ci/absent"]},
        {"order_name": "b", "secret_manager_paths": {"TOKEN": "gone"}},
    )

    run, rows = sim.run_to_end(job, run_id="r1")

    assert run.status is JobStatus.FAILED
    assert run.reason is not None
    assert "orders[0].ssm_paths[0]" in run.reason
    assert "orders[1].secret_manager_paths" in run.reason
    assert sim.worker.started == {}
    assert {name: row.status for name, row in rows.items()} == {"a": "skipped", "b": "skipped"}
    assert {o["status"] for o in sim.done("r1")["orders"].values()} == {"skipped"}
    assert not [key for key in sim.adapters.internal.everything() if key.startswith(keys.EXEC)]
