"""Writes down every call that was authorised or refused: who, what, on which resource, the outcome.

One line of JSON for each action that IAM was asked about, such as

    {"time": 1767225600000, "principal": "arn:aws:sts::123456789012:assumed-role/r/f",
     "role": "r", "service": "s3", "action": "s3:GetObject",
     "resource": "arn:aws:s3:::b/k", "decision": "allowed", "status": 404, "conditions": {}}

`role` is null for callers that are no role; `decision` is allowed, denied (implicitly or not) or
the code of a failed authentication; `status` is the HTTP status of the answer, null for requests to
an API or a function URL. What AWS does between its services (S3 and Step Functions invoking
functions)
asks no IAM here and has no line. Bodies of requests are left out: they hold secrets.
"""

from __future__ import annotations

import json
import threading
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from tests.support.embedded_aws.principals import principal

Entry = dict[str, Any]


class AccessLog:
    """Listens to ministack's authorisation and appends to a file."""

    def __init__(self, path: Path) -> None:
        from ministack import app
        from ministack.core import iam_evaluator

        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self._request: ContextVar[list[Entry] | None] = ContextVar("entries", default=None)
        self._enforce = iam_evaluator.enforce
        self._dispatch = app._dispatch_service_request
        iam_evaluator.enforce = self.enforce
        app._dispatch_service_request = self.dispatch

    async def dispatch(self, *request: Any) -> Any:
        """Serve a request; then write what it asked for, with its status."""
        entries: list[Entry] = []
        token = self._request.set(entries)
        status = None
        try:
            answer = await self._dispatch(*request)
            status = answer[0]
            return answer
        finally:
            self._request.reset(token)
            self._write({**entry, "status": status} for entry in entries)

    def enforce(
        self, access_key_id: str, iam_action: str, service: str, region: str, **more: Any
    ) -> Any:
        """Decide as ministack does, and note it."""
        result = self._enforce(access_key_id, iam_action, service, region, **more)
        who = principal(access_key_id)
        entry = {
            "time": time.time_ns() // 1_000_000,
            "principal": who,
            "role": who.split("/")[1] if ":assumed-role/" in who else None,
            "service": service,
            "action": iam_action,
            "resource": more.get("resource_arn", "*"),
            "decision": _decision(result),
            "conditions": more.get("service_context") or {},
        }
        entries = self._request.get()
        if entries is None:
            self._write([{**entry, "status": None}])
        else:
            entries.append(entry)
        return result

    def _write(self, entries: Any) -> None:
        with self._lock:
            for entry in entries:
                self._file.write(json.dumps(entry, default=str) + "\n")


def _decision(result: Any) -> str:
    if result is None:
        return "allowed"
    return "denied" if hasattr(result, "decision") else str(result.code)
