"""Every way in, from the request to the done object, and every request that is turned away."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError

from src.common import keys
from tests.support.deployed.account import user
from tests.support.deployed.endpoint import EndpointSite
from tests.support.deployed.site import Answer, Finished, Site, job, order, request

pytestmark = pytest.mark.integration


def run_of(answer: Answer) -> str:
    assert answer.status == 200, answer
    return str(answer.body["run_id"])


def ran(finished: Finished, says: str) -> None:
    assert finished.status == "succeeded", finished.done
    assert says in finished.printed("0001")


def left_nothing(site: Site, body: bytes) -> bool:
    return site.adapters.runs.run(json.loads(body)["run_id"]) is None


# -- in -------------------------------------------------------------------------------------------


def test_a_signed_webhook_becomes_a_done_object_and_all_that_a_run_leaves(site: Site) -> None:
    body = request(job(order("only", "echo done by $((6 * 7))")))

    run_id = run_of(site.api(body, site.signature(body)))
    finished = site.finished(run_id)

    ran(finished, "done by 42")
    assert finished.done["counts"] == {"succeeded": 1}
    assert finished.orders["only"]["num"] == "0001"
    run = site.adapters.runs.run(run_id)
    assert run is not None
    assert str(run.status) == "succeeded"
    events = [(event.order_name, event.event) for event in site.adapters.runs.events(run.trace_id)]
    assert events[0] == ("_job", "accepted")
    assert ("only", "succeeded") in events
    assert ("_job", "finished") in events
    lock = site.adapters.locks.get(run_id)
    assert lock is not None
    assert lock.completed
    assert site.adapters.internal.get(keys.ack_key(run_id, "0001")) is not None


@pytest.mark.needs("logs")
def test_every_function_logs_its_leg_of_a_trace(site: Site) -> None:
    trace = uuid.uuid4().hex
    site.finished(site.submit(job(order("only")), trace_id=trace))

    for function in site.stack.functions:
        site.until(lambda function=function: f'"trace_leg": "{trace}:' in site.log(function))


@pytest.mark.needs("time")
def test_every_watchdog_of_a_run_ends_once_it_is_over(site: Site) -> None:
    finished = site.run(job(order("a"), order("b", after=["a"])))
    watched = {keys.execution_name(finished.run_id, num) for num in ("0000", "0001", "0002")}
    arn = site.stack.state_machine_arn

    def statuses() -> dict[str, str] | None:
        pages = site.clients.stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=arn
        )
        found = {
            each["name"]: each["status"]
            for page in pages
            for each in page["executions"]
            if each["name"] in watched
        }
        return found if "RUNNING" not in found.values() else None

    assert site.until(statuses) == dict.fromkeys(watched, "SUCCEEDED")


def test_a_request_to_the_function_url_runs(site: Site) -> None:
    body = request(job(order("only")))

    ran(site.finished(run_of(site.url(body))), "this is only")


def test_a_direct_invocation_runs(site: Site) -> None:
    run_id = run_of(site.invoke(json.loads(request(job(order("only"))))))

    ran(site.finished(run_id), "this is only")


@pytest.mark.needs("concurrency")
def test_a_direct_invocation_may_wait_for_packaging(site: Site) -> None:
    body = json.loads(request(job(order("only"))))

    run_id = run_of(site.invoke({**body, "wait": True}))

    assert site.adapters.internal.get(keys.bundle_key(run_id, "0001")) is not None
    ran(site.finished(run_id), "this is only")


def test_githubs_ping_is_answered(site: Site) -> None:
    body = b'{"zen": "Keep it logically awesome."}'

    answer = site.api(body, {**site.signature(body), "X-GitHub-Event": "ping"})

    assert (answer.status, answer.body) == (200, {"message": "pong"})


# -- turned away ----------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", [None, "sha256=" + "0" * 64, "of another body"])
def test_a_request_that_is_not_signed_with_the_secret_is_401(
    site: Site, signature: str | None
) -> None:
    body = request(job(order("only")))
    headers = {} if signature is None else {"X-Hub-Signature-256": signature}
    if signature == "of another body":
        headers = site.signature(body + b" ")

    answer = site.api(body, headers)

    assert answer.status == 401
    assert left_nothing(site, body)


def test_a_replayed_request_gets_the_first_answer_and_starts_nothing(site: Site) -> None:
    body = request(job(order("only")))

    first = site.api(body, site.signature(body))
    finished = site.finished(run_of(first))
    claim = site.adapters.internal.get(keys.claim_key(finished.run_id, "0001"))
    again = site.api(body, site.signature(body))

    assert again == first
    assert site.finished(finished.run_id).done == finished.done
    assert site.adapters.internal.get(keys.claim_key(finished.run_id, "0001")) == claim


def test_the_same_run_id_with_another_job_is_409(site: Site) -> None:
    run_id = site.submit(job(order("only")))
    other = json.dumps({"run_id": run_id, "job": job(order("other"))}).encode()

    assert site.api(other, site.signature(other)).status == 409
    assert list(site.finished(run_id).orders) == ["only"]


@pytest.mark.parametrize("way", ["api", "url"])
def test_a_request_over_four_megabytes_is_413(site: Site, way: str) -> None:
    body = request(job(order("only", "#" * (4 * 1024 * 1024))))

    answer = site.api(body, site.signature(body)) if way == "api" else site.url(body)

    assert answer.status == 413
    assert left_nothing(site, body)


def test_every_problem_of_a_job_is_told(site: Site) -> None:
    body = request(job(order("a", after=["b"]), order("b", after=["a"], timeout=-1)))

    answer = site.api(body, site.signature(body))

    assert answer.status == 400
    told = json.dumps(answer.body["details"])
    assert "timeout" in told
    assert "cycle" in told
    assert left_nothing(site, body)


@pytest.mark.needs("iam")
def test_an_anonymous_request_to_the_function_url_is_403(site: Site) -> None:
    body = request(job(order("only")))

    answer = site.url(body, signed=False)

    assert answer.status == 403
    assert left_nothing(site, body)


@pytest.mark.needs("iam")
def test_somebody_without_a_grant_may_use_neither_url_nor_function_nor_bucket(site: Site) -> None:
    assert isinstance(site, EndpointSite)
    body = request(job(order("only")))
    bucket = site.stack.buckets["internal"].name

    with user(site.account) as who:
        by_url = site.url_as(body, who)
        lambda_, s3 = (
            site.account.client_as(service, who.access_key, who.secret_key)
            for service in ("lambda", "s3")
        )
        with pytest.raises(ClientError, match="AccessDenied"):
            site.invoke_as(json.loads(body), lambda_)
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=bucket, Key=keys.cancel_key("run"), Body=b"")

    assert by_url.status == 403
    assert left_nothing(site, body)
