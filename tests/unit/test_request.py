"""The envelope: two ways to carry a job, its own fields, and the digests that recognise it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.errors import JobRefused, Problem
from src.process_webhook.request import Request, parse_body, parse_request

pytestmark = pytest.mark.unit

JOB = {"username": "ada", "orders": [{"order_name": "a", "cmds": ["true"], "timeout": 60}]}


def b64(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def request(job: Any = JOB, *, direct: bool = False, **fields: Any) -> Request:
    return parse_request({"job": job, **fields}, direct=direct)


def refusals(body: dict[str, Any], **options: Any) -> dict[str, str]:
    with pytest.raises(JobRefused) as refused:
        parse_request(body, **options)
    return {problem.path: problem.message for problem in refused.value.problems}


def test_job_as_object_and_as_base64_are_alike() -> None:
    as_object = request(JOB, run_id="r-1", trace_id="00ABCDEF", issued_at=5, done_endpt="s3://d/x")
    wrapped = b64(json.dumps(JOB, indent=3))
    body = {"job_parameters_b64": wrapped[:20] + "\n" + wrapped[20:]}
    fields = {"run_id": "r-1", "trace_id": "00ABCDEF", "issued_at": 5, "done_endpt": "s3://d/x"}

    as_base64 = parse_request(body | fields)

    assert as_object == as_base64
    assert as_object.job.orders[0].num == "0001"
    assert as_object.raw_job == JOB
    assert (as_object.run_id, as_object.trace_id, as_object.issued_at) == ("r-1", "00ABCDEF", 5)
    assert as_object.done_endpt == "s3://d/x"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({**{f"x{at}": 1 for at in range(9000)}, "job": JOB}),
        json.dumps({"job": JOB, "rerun_of": "r", "carried": [f"x{at}" for at in range(9000)]}),
        '{"a": 1' + ', "a": 1' * 9000 + "}",
    ],
    ids=["unknown fields", "carried orders", "equal keys"],
)
def test_answer_is_bounded_whatever_the_envelope_holds(body: str) -> None:
    with pytest.raises(JobRefused) as refused:
        parse_request(parse_body(body))

    told = refused.value.problems
    assert len(told) == 5001
    assert told[-1] == Problem("", "there are more problems than these 5000")


def test_job_digest_tells_jobs_apart_and_nothing_else() -> None:
    first = request(run_id="r-1", issued_at=5).job_digest

    assert first == request(run_id="r-2", trace_id="0" * 8, issued_at=9).job_digest
    assert first == request(direct=True, wait=True).job_digest
    assert first != request({**JOB, "username": "bob"}).job_digest
    assert first != request(done_endpt="s3://other/x").job_digest


def test_request_with_run_id_is_recognised_by_it_whatever_else_it_says() -> None:
    first = request(run_id="r-1", issued_at=5).idempotency_digest

    assert first == request(run_id="r-1", issued_at=6).idempotency_digest
    assert first == request({**JOB, "username": "bob"}, run_id="r-1").idempotency_digest
    assert first != request(run_id="r-2", issued_at=5).idempotency_digest


def test_request_without_run_id_is_recognised_by_its_whole_body() -> None:
    first = request(issued_at=5).idempotency_digest

    assert first == request(issued_at=5).idempotency_digest
    assert first != request(issued_at=6).idempotency_digest
    assert first != request(issued_at=5, trace_id="0" * 8).idempotency_digest
    assert first != request({**JOB, "username": "bob"}, issued_at=5).idempotency_digest


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"run_id": "a/b"}, "run_id", 'must be 1 to 64 of the characters A-Z a-z 0-9 -, got "a/b"'),
        ({"run_id": "a" * 65}, "run_id", "1 to 64"),
        ({"run_id": "a\n"}, "run_id", r'got "a\n"'),
        ({"run_id": ""}, "run_id", 'got ""'),
        ({"run_id": 5}, "run_id", "got 5"),
        ({"trace_id": "abc"}, "trace_id", 'must be 8 to 64 hex digits, got "abc"'),
        ({"trace_id": "z" * 8}, "trace_id", "hex digits"),
        ({"done_endpt": ""}, "done_endpt", "printable"),
        ({"done_endpt": "a\nb"}, "done_endpt", "printable"),
        ({"issued_at": "now"}, "issued_at", 'must be a whole number of epoch seconds, got "now"'),
        ({"issued_at": True}, "issued_at", "got true"),
        ({"issued_at": 1.5}, "issued_at", "got 1.5"),
        ({"issued_at": -1}, "issued_at", "got -1"),
        ({"issued_at": 1_700_000_000_000}, "issued_at", "epoch seconds"),
        ({"wait": True}, "wait", "works in a direct invocation only"),
        ({"wait": 1}, "wait", "must be true or false, got 1"),
        ({"runid": "x"}, "runid", 'is not a known field; did you mean "run_id"?'),
        ({"job_parameters_b64": b64("{}")}, "job", "send one of them"),
    ],
)
def test_field_of_the_envelope_is_refused(fields: dict[str, Any], path: str, message: str) -> None:
    found = refusals({"job": JOB, **fields})

    assert list(found) == [path]
    assert message in found[path]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("%%%", "is not valid base64"),
        ("abc", "is not valid base64"),
        ("é", "is not valid base64"),
        (5, "must be text, got 5"),
        (b64(b"\xff"), "is not UTF-8 (byte 0)"),
        (b64("{"), "is not valid JSON"),
        (b64(""), "is not valid JSON"),
        (b64('{"a": NaN}'), "is not valid JSON: NaN is no JSON number"),
        (b64('{"a": ' + "9" * 5000 + "}"), "holds a whole number of thousands of digits"),
        (b64("[" * 100_000), "is nested more than 32 levels deep"),
        (b64("[" * 40 + "]" * 40), "is nested more than 32 levels deep"),
    ],
)
def test_what_base64_holds_is_refused(value: object, message: str) -> None:
    found = refusals({"job_parameters_b64": value})

    assert list(found) == ["job_parameters_b64"]
    assert message in found["job_parameters_b64"]


def test_key_given_twice_is_named_with_its_path() -> None:
    text = '{"username": "a", "orders": {"plan": {}, "plan": {}, "x": {"env": {"A": "", "A": ""}}}}'

    assert refusals({"job_parameters_b64": b64(text)}) == {
        "job_parameters_b64.orders.plan": "is given twice in one map",
        "job_parameters_b64.orders.x.env.A": "is given twice in one map",
    }


def test_body_without_a_job_says_what_to_send() -> None:
    assert "job_parameters_b64" in refusals({})["job"]
    assert refusals({"job": None}).keys() == {"job"}


def test_problems_of_envelope_and_job_show_together() -> None:
    found = refusals({"job": {"username": 5}, "run_id": "/", "x": 1})

    assert found.keys() == {"run_id", "x", "username", "orders"}


def test_deep_job_is_refused_before_anything_walks_it() -> None:
    deep: Any = []
    for _ in range(20_000):
        deep = [deep]

    assert "nested" in refusals({"job": {"username": deep, "orders": []}})["job"]


def test_wait_works_in_a_direct_invocation() -> None:
    assert request(direct=True, wait=True).wait
    assert not request(direct=True).wait


def test_options_reach_the_job() -> None:
    job = {**JOB, "git_repo": "file:///srv/x"}
    zipped = {**JOB, "orders": [{**JOB["orders"][0], "s3_location": "s3://bkt/k.zip"}]}  # type: ignore[dict-item]

    assert parse_request({"job": job}, file_urls=True).job.git_repo == "file:///srv/x"
    assert refusals({"job": job}).keys() == {"git_repo"}
    assert refusals({"job": zipped}, code_buckets=["a"]).keys() == {"orders[0].s3_location"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"[]", "must be a JSON object, got a list"),
        (b"null", "must be a JSON object, got null"),
        (b"\xff", "is not UTF-8"),
        (b"{", "is not valid JSON"),
    ],
)
def test_body_must_be_a_json_object(body: bytes, message: str) -> None:
    with pytest.raises(JobRefused, match="body: ") as refused:
        parse_body(body)

    assert message in refused.value.problems[0].message


def test_body_may_begin_with_a_byte_order_mark() -> None:
    assert parse_body(b'\xef\xbb\xbf{"job": 1}') == {"job": 1}


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_body_or_refused(body: bytes) -> None:
    for text in (body, b'{"job_parameters_b64": "' + base64.b64encode(body) + b'"}'):
        with pytest.raises(JobRefused):
            parse_request(parse_body(text))
