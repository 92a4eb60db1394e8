"""The names of fields in problems: `orders[2].timeout`, `orders.plan.timeout`.

One place, so that validation (which names a field) and the job file (which knows its line) agree.
A key that would garble the path is quoted as JSON: `orders["../x"].timeout`.
"""

from __future__ import annotations

import json
import re
from typing import Final

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_./-]{1,100}")
_SHOWN: Final = 60  # characters of a hostile key or of a value that a message repeats


def key(path: str, name: str) -> str:
    """Return the path of the field `name` of the map at `path` (`""` is the whole document)."""
    if not _PLAIN_KEY.fullmatch(name) or ".." in name:
        return f"{path}[{shown(name)}]"
    return f"{path}.{name}" if path else name


def item(path: str, index: int) -> str:
    """Return the path of entry `index` (from 0) of the list at `path`."""
    return f"{path}[{index}]"


def shown(value: object) -> str:
    """Return a value as messages repeat it: one line of ASCII JSON, bounded, never deep."""
    match value:
        case None:
            return "null"
        case str():
            cut = len(value) > _SHOWN
            return json.dumps(value[:_SHOWN]) + ("..." if cut else "")
        case bool():
            return "true" if value else "false"
        case int():
            return str(value) if abs(value) < 10**18 else "a very large number"
        case float():
            return repr(value)
        case dict():
            return "a map"
        case list() | tuple():
            return "a list"
        case _:
            return f"a {type(value).__name__}"
