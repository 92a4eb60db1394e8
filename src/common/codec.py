"""JSON as it lies in the buckets: bytes in, plain values out. Knows no record."""

from __future__ import annotations

import json
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
    item = json.loads(body)
    if not isinstance(item, dict):
        raise ValueError(f"expected a JSON object, got {type(item).__name__}")
    return item
