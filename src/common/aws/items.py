"""Records as DynamoDB items: plain values to typed attribute values and back.

Strings, ints, bools, lists, maps and sets of strings are all that records hold, so numbers come
back as ints, never as Decimal. None and empty sets (which DynamoDB refuses) are left out: absent
means the field's default. Needs no boto3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def encode(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item with typed values: `{"run_id": {"S": "run-1"}}`."""
    return {name: value_of(value) for name, value in item.items() if not _absent(value)}


def decode(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item with plain values."""
    return {name: _plain(value) for name, value in item.items()}


def value_of(value: Any) -> dict[str, Any]:
    """Return one typed value.

    Raises:
        TypeError: the value is of a kind that no record holds.
    """
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(int(value))}
        case str():
            return {"S": str(value)}
        case Mapping():
            return {"M": encode(value)}
        case list() | tuple():
            return {"L": [value_of(entry) for entry in value]}
        case frozenset() | set():
            return {"SS": sorted(value)}
        case _:
            raise TypeError(f"no record holds a {type(value).__name__}: {value!r}")


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, frozenset | set) and not value)


def _plain(value: Mapping[str, Any]) -> Any:
    [(kind, content)] = value.items()
    match kind:
        case "S" | "BOOL":
            return content
        case "N":
            return int(content)
        case "M":
            return decode(content)
        case "L":
            return [_plain(entry) for entry in content]
        case "SS":
            return frozenset(content)
        case "NULL":
            return None
        case _:
            raise TypeError(f"no record holds a DynamoDB {kind}: {content!r}")
