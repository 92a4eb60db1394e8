"""The plain-dict form of frozen records: what is stored and sent, whatever stores or sends it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, Self

from src.common.errors import VersionRefused

# Of rows and payloads, all together (docs/adr/0008). Raise VERSION with every change that a release
# before it would misread or lose: it writes rows back whole, without what it does not know.
VERSION: Final = 1
OLDEST: Final = 1  # still read; raise it when no run of that version can be left


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
        """Return the record in `item`; what it does not know is left out.

        Raises:
            VersionRefused: the item says a version that this release cannot read.
        """
        names = _field_names(cls)
        if "version" in names:
            check_version(item, cls.__name__)
        return cls(**{name: item[name] for name in names if name in item})


def check_version(item: Mapping[str, Any], what: str) -> None:
    """Refuse an item of a version that this release cannot read; one that says none is the oldest.

    Raises:
        VersionRefused: naming the item and what can be read.
    """
    version = item.get("version", OLDEST)
    if type(version) is int and OLDEST <= version <= VERSION:
        return
    name = ":".join(str(item[key]) for key in ("run_id", "num") if key in item)
    readable = f"{OLDEST} to {VERSION}" if OLDEST < VERSION else str(VERSION)
    raise VersionRefused(
        f"{what} of {name or 'nobody'}: version {version!r}, this release reads {readable};"
        " it waits for the release that wrote it"
    )


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
