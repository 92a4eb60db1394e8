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
from src.common.keys import PACKAGE_RUN, RUN_ID


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
    """The request itself, from a caller with lambda:InvokeFunction: any JSON value."""

    body: object


@dataclass(frozen=True, slots=True)
class Package:
    """Our own asynchronous invocation."""

    run_id: str


Trigger = Http | Sns | Direct | Package


def parse_trigger(event: object) -> Trigger:
    """Tell the trigger of a Lambda event; what no platform service sends is a direct invocation.

    Raises:
        JobRefused: the body says that it is base64 and is not; or it is no text.
    """
    if not isinstance(event, Mapping):
        return Direct(event)
    context = event.get("requestContext")
    if isinstance(context, Mapping) and "http" in context:
        return _http(event, context)
    if messages := _messages(event.get("Records")):
        return Sns(messages)
    run_id = event.get(PACKAGE_RUN)
    if len(event) == 1 and isinstance(run_id, str) and RUN_ID.fullmatch(run_id):
        return Package(run_id)
    return Direct(event)


def _messages(records: object) -> tuple[str, ...]:
    """Return the messages of an SNS event, none if it is not one."""
    if not isinstance(records, list):
        return ()
    try:
        of_sns = {record["EventSource"] for record in records} == {"aws:sns"}
        return tuple(str(record["Sns"]["Message"]) for record in records) if of_sns else ()
    except (KeyError, TypeError):
        return ()


def _http(event: Mapping[str, Any], context: Mapping[str, Any]) -> Http:
    text, given = event.get("body") or "", event.get("headers") or {}
    if not (isinstance(text, str) and isinstance(given, Mapping)):
        raise JobRefused([Problem("body", "of a request must be text, and its headers a map")])
    body = text.encode(errors="surrogatepass")  # JSON may name half a character: no signature fits
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise JobRefused([Problem("body", f"is not base64: {error}")]) from None
    headers = {str(name).lower(): str(value) for name, value in given.items()}
    authorizer = context.get("authorizer")
    iam = isinstance(authorizer, Mapping) and isinstance(authorizer.get("iam"), Mapping)
    return Http(body=body, headers=headers, iam=iam)
