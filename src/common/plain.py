"""The plain-dict form of frozen records: what is stored and sent, whatever stores or sends it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, Self

VERSION: Final = 1  # of rows and payloads; a reader refuses what is newer than itself


class Record:
    """Plain-dict form of a frozen dataclass: absent means None, tuples are lists."""

    __slots__ = ()

    def to_item(self) -> dict[str, Any]:
        """Return the fields that are set."""
        item: dict[str, Any] = {}
        for spec in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, spec.name)
            if value is not None:
                item[spec.name] = _plain(value)
        return item

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Return the record in `item`; what it does not know is left out."""
        names = _field_names(cls)
        return cls(**{name: item[name] for name in names if name in item})


_NAMES: dict[type, tuple[str, ...]] = {}


def _field_names(cls: type) -> tuple[str, ...]:
    if cls not in _NAMES:
        _NAMES[cls] = tuple(spec.name for spec in dataclasses.fields(cls))
    return _NAMES[cls]


def _plain(value: Any) -> Any:
    match value:
        case bool() | int():
            return value
        case str():
            return str(value)
        case tuple() | list():
            return [_plain(entry) for entry in value]
        case Mapping():
            return {str(key): _plain(entry) for key, entry in value.items()}
        case _:
            return value
