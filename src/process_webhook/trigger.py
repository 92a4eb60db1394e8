"""Who called: one Lambda event, told apart into what process_webhook can be asked.

Pure. It decodes nothing of the request but base64, since nothing is parsed before it is
authenticated.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.common.errors import JobRefused, Problem
from src.common.keys import PACKAGE_RUN


@dataclass(frozen=True, slots=True)
class Http:
    """A request of payload 2.0 through the HTTP API or the function URL.

    `iam` tells that the platform itself authenticated the caller (function URL with AWS_IAM): the
    authorizer context is the platform's, no caller can write it.
    """

    body: bytes
    headers: Mapping[str, str]
    iam: bool


@dataclass(frozen=True, slots=True)
class Sns:
    """Messages of a topic that may invoke this function."""

    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Direct:
    """The request itself, from a caller with lambda:InvokeFunction."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Package:
    """Our own asynchronous invocation."""

    run_id: str


Trigger = Http | Sns | Direct | Package


def parse_trigger(event: Mapping[str, Any]) -> Trigger:
    """Tell the trigger of a Lambda event.

    Raises:
        JobRefused: the body says that it is base64 and is not.
    """
    context = event.get("requestContext")
    if isinstance(context, Mapping) and "http" in context:
        return _http(event, context)
    records = event.get("Records")
    if isinstance(records, list) and records and records[0].get("EventSource") == "aws:sns":
        return Sns(tuple(str(record["Sns"]["Message"]) for record in records))
    if set(event) == {PACKAGE_RUN}:
        return Package(str(event[PACKAGE_RUN]))
    return Direct(event)


def _http(event: Mapping[str, Any], context: Mapping[str, Any]) -> Http:
    text = event.get("body") or ""
    body = text.encode(errors="surrogatepass")  # JSON may name half a character: no signature fits
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise JobRefused([Problem("body", f"is not base64: {error}")]) from None
    headers = {
        str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()
    }
    authorizer = context.get("authorizer")
    iam = isinstance(authorizer, Mapping) and isinstance(authorizer.get("iam"), Mapping)
    return Http(body=body, headers=headers, iam=iam)
