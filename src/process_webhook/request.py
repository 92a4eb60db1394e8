"""The envelope of a job: the body that callers post, send by SNS or hand to a direct invocation.

Reads it, checks it and says by which digests it is recognised. Knows nothing of signatures (they
come before), clocks (`issued_at` is judged by the caller) or storage.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from src.common import jsontext, keys
from src.common.errors import JobRefused, Problem, bounded
from src.common.fieldpath import key, shown
from src.common.job import Job, digest, parse_job
from src.common.validation_rules import Nearest
from src.process_webhook import carried

FIELDS: Final = (
    "job",
    "job_parameters_b64",
    "run_id",
    "trace_id",
    "done_endpt",
    "issued_at",
    "wait",
    "rerun_of",
    "carried",
)
_LATEST: Final = 2**40  # seconds; more is milliseconds by mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that can run.

    `job_digest` tells jobs apart: the same run_id with another digest is a conflict. It covers what
    runs, what is carried over instead, and where the end is told, not ids and times.
    `idempotency_digest` recognises the same request sent again: by its run_id, or by the whole body
    where it names none.
    """

    job: Job
    raw_job: Mapping[str, Any]
    job_digest: str
    idempotency_digest: str
    run_id: str | None = None
    trace_id: str | None = None
    done_endpt: str | None = None
    issued_at: int | None = None  # epoch seconds
    rerun_of: str | None = None  # an earlier run of the same job
    carried: frozenset[str] = frozenset()  # numbers of orders that succeeded there
    wait: bool = False  # a direct invocation that wants packaging done before the answer


def parse_body(body: bytes | str) -> Mapping[str, Any]:
    """Return the JSON object in a request's body.

    Raises:
        JobRefused: it is no JSON object.
    """
    if not body.strip():
        raise JobRefused([Problem("body", "is empty; send a JSON object")])
    return as_object(jsontext.load(body, "body"))


def as_object(body: object) -> Mapping[str, Any]:
    """Return a body that is a JSON object.

    Raises:
        JobRefused: it is none, or nested too deeply.
    """
    if not isinstance(body, dict):
        raise JobRefused([Problem("body", f"must be a JSON object, got {shown(body)}")])
    if jsontext.depth(body) > jsontext.MAX_DEPTH:
        raise JobRefused([Problem("body", jsontext.TOO_DEEP)])
    return body


def parse_request(
    body: Mapping[str, Any],
    *,
    direct: bool = False,
    file_urls: bool = False,
    code_buckets: Collection[str] | None = None,
) -> Request:
    """Return the request in a body; `direct` admits `wait`, the others are `parse_job`'s.

    Raises:
        JobRefused: with every problem of envelope and job; a job's paths are relative to the job.
    """
    problems = [*bounded(_envelope_problems(body, direct=direct)), *carried.problems(body)]
    try:
        raw_job = _raw_job(body)
        job = parse_job(raw_job, file_urls=file_urls, code_buckets=code_buckets)
    except JobRefused as refused:
        raise JobRefused([*problems, *refused.problems]) from None
    names = body.get("carried") or ()
    if problems or (problems := list(bounded(carried.problems_in(job, names)))):
        raise JobRefused(problems)
    what = {"job": digest(raw_job), "done_endpt": body.get("done_endpt")}
    if body.get("rerun_of") is not None:
        what |= {"rerun_of": body["rerun_of"], "carried": sorted(set(names))}
    run_id = body.get("run_id")
    whole = {**what, "trace_id": body.get("trace_id"), "issued_at": body.get("issued_at")}
    return Request(
        job=job,
        raw_job=raw_job,
        job_digest=jsontext.sha256(what),
        idempotency_digest=jsontext.sha256({"run_id": run_id} if run_id else whole),
        run_id=run_id,
        trace_id=body.get("trace_id"),
        done_endpt=body.get("done_endpt"),
        issued_at=body.get("issued_at"),
        rerun_of=body.get("rerun_of"),
        carried=frozenset(job.numbers[name] for name in names),
        wait=bool(body.get("wait", False)),
    )


def _raw_job(body: Mapping[str, Any]) -> Any:
    """Return the job as given; base64 and object are alike from here on."""
    has_object, has_base64 = body.get("job") is not None, body.get("job_parameters_b64") is not None
    if has_object and has_base64:
        raise JobRefused([Problem("job", "is given beside job_parameters_b64; send one of them")])
    if not has_object and not has_base64:
        message = "is required: the job as an object, or job_parameters_b64, the base64 of its JSON"
        raise JobRefused([Problem("job", message)])
    if has_object:
        if jsontext.depth(body["job"]) > jsontext.MAX_DEPTH:
            raise JobRefused([Problem("job", jsontext.TOO_DEEP)])
        return body["job"]
    field, text = "job_parameters_b64", body["job_parameters_b64"]
    if not isinstance(text, str):
        raise JobRefused([Problem(field, f"must be text, got {shown(text)}")])
    try:
        # Tools wrap base64 at 76 columns; anything else outside the alphabet is damage.
        decoded = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise JobRefused([Problem(field, f"is not valid base64: {error}")]) from None
    return jsontext.load(decoded, field)


def _envelope_problems(body: Mapping[str, Any], *, direct: bool) -> Iterator[Problem]:
    nearest = Nearest(2_000)
    for name in body:
        if name not in FIELDS:
            hint = nearest.hint(str(name), FIELDS)
            yield Problem(key("", str(name)), f"is not a known field{hint}")
    run_id, trace_id = body.get("run_id"), body.get("trace_id")
    if run_id is not None and not (isinstance(run_id, str) and keys.RUN_ID.fullmatch(run_id)):
        message = f"must be 1 to 64 of the characters A-Z a-z 0-9 -, got {shown(run_id)}"
        yield Problem("run_id", message)
    if trace_id is not None and not (
        isinstance(trace_id, str) and keys.TRACE_ID.fullmatch(trace_id)
    ):
        yield Problem("trace_id", f"must be 8 to 64 hex digits, got {shown(trace_id)}")
    done_endpt = body.get("done_endpt")
    if done_endpt is not None and not _is_endpoint(done_endpt):
        message = f"must be 1 to 1024 printable characters, got {shown(done_endpt)}"
        yield Problem("done_endpt", message)
    issued_at = body.get("issued_at")
    if issued_at is not None and not (type(issued_at) is int and 0 < issued_at < _LATEST):
        message = f"must be a whole number of epoch seconds, got {shown(issued_at)}"
        yield Problem("issued_at", message)
    wait = body.get("wait", False)
    if not isinstance(wait, bool):
        yield Problem("wait", f"must be true or false, got {shown(wait)}")
    elif wait and not direct:
        yield Problem("wait", "works in a direct invocation only, got true")


def _is_endpoint(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 1024 and value.isprintable()
