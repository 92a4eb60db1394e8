"""Real payloads, from tests/events, with what a test puts into them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from src.process_webhook.authenticate import sign

EVENTS = Path(__file__).parents[1] / "events"


def load(name: str) -> dict[str, Any]:
    """Return the payload in `tests/events/<name>.json`."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


def http_event(
    body: object,
    *,
    secret: str | None = None,
    in_base64: bool = False,
    name: str = "http_api",
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Return an HTTP request of bytes or a JSON value, signed if a secret is given."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    event = load(name)
    if secret is not None:
        event["headers"]["x-hub-signature-256"] = sign(secret, raw)
    event["headers"] |= headers or {}
    event["isBase64Encoded"] = in_base64
    event["body"] = base64.b64encode(raw).decode() if in_base64 else raw.decode("utf-8", "replace")
    return event


def sns_event(body: object) -> dict[str, Any]:
    """Return an SNS notification with `body` as its message."""
    event = load("sns")
    event["Records"][0]["Sns"]["Message"] = json.dumps(body)
    return event
