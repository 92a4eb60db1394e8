"""Faults of AWS, in front of a server that has none: a WSGI layer that answers in its place.

`Before` the effect a request is refused as the service refuses one; `after` it the answer is
replaced or the connection is closed without one, so that the caller cannot know what became of it.
"""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_SCOPE: Final = re.compile(
    r"(?:Credential=|Credential%3D|Credential=)[^/&]+?(?:/|%2F)\d{8}(?:/|%2F)[a-z0-9-]+(?:/|%2F)([a-z0-9]+)"
)
THROTTLED: Final = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "lambda": "TooManyRequestsException",
    "states": "ThrottlingException",
    "codebuild": "AccountLimitExceededException",
    "ssm": "ThrottlingException",
    "secretsmanager": "ThrottlingException",
    "s3": "SlowDown",
}
KINDS: Final = ("throttled", "unavailable", "conflict", "slow", "error_after", "lost_after")


def service_of(environ: dict[str, Any]) -> str:
    """Return the service that a request is signed for, empty if it is not signed."""
    signed = environ.get("HTTP_AUTHORIZATION", "") + "&" + environ.get("QUERY_STRING", "")
    found = _SCOPE.search(signed)
    return found[1] if found else ""


@dataclass
class Faults:
    """Meets each request with probability `rate`, by a generator of its own; counts what it did."""

    app: Wsgi
    rate: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        service = service_of(environ)
        kind = self._kind(service)
        if kind is None:
            return self.app(environ, start)
        if kind == "conflict" and not (service == "s3" and environ.get("HTTP_IF_NONE_MATCH")):
            kind = "throttled"
        with self._lock:
            self.done[f"{service} {kind}"] += 1
        if kind == "throttled":
            return refuse(start, service, THROTTLED[service])
        if kind == "unavailable":
            return refuse(start, service, "ServiceUnavailable", status=503)
        if kind == "conflict":
            return refuse(start, service, "ConditionalRequestConflict", status=409)
        if kind == "slow":
            time.sleep(self.rng.uniform(0.05, 0.5))
            return self.app(environ, start)
        for _ in self.app(environ, lambda *_args, **_named: lambda _: None):
            pass  # the effect
        if kind == "error_after":
            return refuse(start, service, "InternalError", status=500)
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return refuse(start, service, "InternalError", status=500)  # nobody is there to read it

    def _kind(self, service: str) -> str | None:
        if service not in THROTTLED:
            return None
        with self._lock:
            return self.rng.choice(KINDS) if self.rng.random() < self.rate else None


def refuse(
    start: Callable[..., Any], service: str, code: str, status: int = 400
) -> Iterable[bytes]:
    """Answer with an error as the service's protocol has it."""
    if service == "s3":
        status = 503 if status == 400 else status
        body = f"<Error><Code>{code}</Code><Message>not now</Message></Error>".encode()
        kind = "application/xml"
    else:
        status = 429 if service == "lambda" and status == 400 else status
        body = json.dumps({"__type": code, "message": "not now"}).encode()
        kind = "application/x-amz-json-1.0"
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("x-amzn-errortype", code),
    ]
    start(f"{status} Refused", headers)
    return [body]
