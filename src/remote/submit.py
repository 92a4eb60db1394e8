"""Submitting a job so that a repetition of the request starts nothing twice.

The request carries a run id and when it was issued; whatever answer gets lost, the same request
sent again has the first one's answer. Knows nothing of files or terminals.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from src.common import keys
from src.common.errors import Problem, Transient
from src.remote.errors import Refused

SIGNATURE: Final = "X-Hub-Signature-256"
FUNCTION_URL: Final = ".lambda-url."  # in the host of every Lambda function URL

Answer = tuple[int, Any]
Sender = Callable[[Mapping[str, Any]], Answer]  # takes a request, returns status and body


class Post(Protocol):
    """One HTTP POST, repeated while the service is not available."""

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return status and body (decoded when it is JSON).

        Raises:
            Transient: nobody answered.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The answer 200; `orders` maps numbers to names."""

    run_id: str
    orders: Mapping[str, str]
    body: Mapping[str, Any]


def request(job: object, run_id: str, now_ms: int, **more: Any) -> dict[str, Any]:
    """Return the request for a job; `more` are fields of the envelope, None left out."""
    fields = {name: value for name, value in more.items() if value is not None}
    return {"job": job, "run_id": run_id, "issued_at": now_ms // 1000, **fields}


def submit(send: Sender, envelope: Mapping[str, Any]) -> Accepted:
    """Send a request and return what was accepted.

    Raises:
        Refused: the answer was no 200.
        Transient: there was no answer; the same request may be sent again.
    """
    status, body = send(envelope)
    if status == 200 and isinstance(body, Mapping):
        run_id, orders = body.get("run_id"), body.get("orders")
        ours = isinstance(run_id, str) and keys.RUN_ID.fullmatch(run_id)
        if ours and isinstance(orders, Mapping):
            names = {str(num): str(name) for name, num in orders.items()}
            return Accepted(run_id=str(run_id), orders=names, body=body)
    raise refusal(status, body)


def refusal(status: int, body: Any) -> Refused:
    """Return the error in an answer: ours has details, that of a gateway a message at most."""
    if not isinstance(body, Mapping):
        text = " ".join(str(body).split())[:200]
        return Refused(status, text or "no explanation was given")
    details = body.get("details")
    problems = [
        Problem(str(entry.get("path", "")), str(entry.get("message", "")))
        for entry in (details if isinstance(details, list) else ())
        if isinstance(entry, Mapping)
    ]
    told = body.get("error") or body.get("message") or body.get("Message")
    return Refused(status, str(told or "no explanation was given"), problems)


def by_webhook(
    post: Post, url: str, signed: Callable[[str, bytes, Mapping[str, str]], Mapping[str, str]]
) -> Sender:
    """Return what posts to the webhook; `signed` adds the proof of who sends it to the headers."""

    def send(envelope: Mapping[str, Any]) -> Answer:
        text = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
        body = text.encode(errors="backslashreplace")  # half a character as JSON spells it
        headers = {"content-type": "application/json"}
        return post(url, body, signed(url, body, headers))

    return send


def hmac_signed(secret: str) -> Callable[[str, bytes, Mapping[str, str]], Mapping[str, str]]:
    """Return what signs as GitHub does; of several secrets (one a line) the first counts."""
    from src.process_webhook.authenticate import secrets_of, sign

    first = next(iter(secrets_of(secret)), None)
    if first is None:
        raise Refused(401, "the webhook secret is empty")

    def signed(_url: str, body: bytes, headers: Mapping[str, str]) -> Mapping[str, str]:
        return {**headers, SIGNATURE: sign(first, body)}

    return signed


def lost(run_id: str, error: Transient) -> Transient:
    """Return the error of a request without answer, with what to do about it."""
    return Transient(
        f"{error}; run {run_id} may have been accepted: the same command with"
        f" --run-id {run_id} finds out and starts nothing twice"
    )
