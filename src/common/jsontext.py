"""JSON from strangers, read strictly: what two readers could understand differently is refused.

Python's own reader takes NaN, lets the last of two equal keys win and dies of deep nesting; here
each of these is a problem that names the field. Also the digests that tell requests apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

from src.common import fieldpath
from src.common.errors import MOST_PROBLEMS, JobRefused, Problem

MAX_DEPTH: Final = 32  # of maps and lists within each other; a job needs five
LONG_NUMBER: Final = "holds a whole number of thousands of digits"
TOO_DEEP: Final = f"is nested more than {MAX_DEPTH} levels deep"


def load(text: str | bytes, field: str) -> Any:
    """Return the value in JSON `text`; `field` is what problems name (`""` is the whole document).

    Raises:
        JobRefused: it is not UTF-8, not JSON, nested too deeply, or holds NaN or a key twice.
    """
    twins: list[tuple[dict[str, Any], str]] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen and len(twins) <= MOST_PROBLEMS:
                    twins.append((made, name))
                seen.add(name)
        return made

    value = _parsed(_decoded(text, field), field, unique)
    if depth(value) > MAX_DEPTH:
        raise _refused(field, TOO_DEEP)
    if twins:
        raise JobRefused(_twin_problems(value, twins, field))
    return value


def depth(value: Any) -> int:
    """Return how many maps and lists lie within each other, found level by level (no recursion)."""
    level, found = [value], 0
    while level := [child for entry in level for child in _children(entry)]:
        found += 1
        if found > MAX_DEPTH:
            break
    return found


def canonical(value: Any) -> str:
    """Return the one JSON text that equal values share (keys sorted, no spaces, ASCII)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def sha256(value: Any) -> str:
    """Return the hex SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _parsed(text: str, field: str, from_pairs: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    def no_number(name: str) -> NoReturn:
        raise _refused(field, f"is not valid JSON: {name} is no JSON number")

    try:
        return json.loads(text, object_pairs_hook=from_pairs, parse_constant=no_number)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _refused(field, f"is not valid JSON: {error.msg} ({where})") from None
    except ValueError:
        raise _refused(field, LONG_NUMBER) from None
    except RecursionError:
        raise _refused(field, TOO_DEEP) from None


def _decoded(data: str | bytes, field: str) -> str:
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(field, f"is not UTF-8 (byte {error.start})") from None


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _refused(field: str, message: str) -> JobRefused:
    return JobRefused([Problem(field, message)])


def _twin_problems(
    value: Any, twins: list[tuple[dict[str, Any], str]], field: str
) -> Iterator[Problem]:
    owners = {id(owner) for owner, _ in twins}
    paths = {id(entry): path for path, entry in _walk(value, field) if id(entry) in owners}
    for owner, name in twins:
        # A map that a later equal key replaced is in the tree no more; then its key alone is named.
        path = paths.get(id(owner), field)
        yield Problem(fieldpath.key(path, name), "is given twice in one map")


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    todo = [(path, value)]
    while todo:
        here, entry = todo.pop()
        yield here, entry
        if isinstance(entry, dict):
            todo.extend((fieldpath.key(here, name), child) for name, child in entry.items())
        elif isinstance(entry, list):
            todo.extend((fieldpath.item(here, index), child) for index, child in enumerate(entry))
