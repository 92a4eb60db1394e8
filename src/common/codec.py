"""JSON as it lies in buckets and travels to builds: plain values in and out. Knows no record."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any


def encode(item: Mapping[str, Any]) -> bytes:
    """Return compact UTF-8 JSON."""
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"), default=str).encode()


def decode(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`.

    Raises:
        ValueError: it is no JSON object.
    """
    try:
        item = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(item, dict):
        raise ValueError(  # noqa: TRY004 - of the text, not of an argument
            f"expected a JSON object, got {type(item).__name__}"
        )
    return item


def pack(item: Mapping[str, Any]) -> str:
    """Return JSON for an environment variable, compressed: CodeBuild bounds the sum of a build's.

    Three presigned URLs repeat one session token of a kilobyte, which compression makes one.
    """
    return base64.b64encode(zlib.compress(encode(item), 9)).decode()


def unpack(text: str) -> dict[str, Any]:
    """Return what `pack` packed, or plain JSON as a person would write it.

    Raises:
        ValueError: it is neither.
    """
    if text.lstrip().startswith("{"):
        return decode(text.encode())
    try:
        return decode(zlib.decompress(base64.b64decode(text, validate=True)))
    except zlib.error as error:
        raise ValueError(f"is neither JSON nor compressed JSON: {error}") from None
