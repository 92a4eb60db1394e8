"""Gathers the record of a local run, from the run itself or from the folder of `--log-dir`.

Both ways lead through the one object that `src.cli.record` makes, so they give the same page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from src.cli import record
from src.cli.page.model import RunRecord
from src.cli.problems import FileRefused
from src.common import graph
from src.common.errors import JobRefused, Problem

if TYPE_CHECKING:
    from src.local.report import RunReport

MAX_TOLD: Final = 20  # problems of a broken record; the first ones say what kind of file it is
_RUN: Final = TypeAdapter(RunRecord)


def from_report(report: RunReport) -> RunRecord:
    """Return the record of a run that has just ended."""
    return from_object(record.as_dict(report), [event.to_item() for event in report.events])


def from_folder(folder: Path) -> RunRecord:
    """Return the record that lies in the folder of a `--log-dir`.

    Raises:
        FileRefused: there is none, or it is broken; names the file and what is wrong with it.
    """
    path = folder / record.RUN
    if not path.exists():
        why = f"holds no {record.RUN}, which `iac-ci run --log-dir` writes"
        raise FileRefused(folder, [Problem("LOG_DIR", why if folder.is_dir() else "is no folder")])
    try:
        raw = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise FileRefused(path, [Problem("", f"is no JSON: {error}")]) from None
    events = _events(folder / record.EVENTS)
    try:
        if events is not None and isinstance(raw, Mapping):
            events = [event for event in events if _belongs(event, raw)]
        return from_object(raw, events)
    except JobRefused as refused:
        raise FileRefused(path, refused.problems) from None


def from_object(raw: object, events: Sequence[object] | None) -> RunRecord:
    """Return the record in the object of `--json` and its events.

    Raises:
        JobRefused: it is no record of a run; says field by field why.
    """
    if not isinstance(raw, Mapping):
        raise JobRefused([Problem("", "is no record of a run: expected an object")])
    orders = raw.get("orders")
    if not isinstance(orders, Mapping):
        why = f": {raw['error']}" if "error" in raw else ""
        raise JobRefused([Problem("orders", f"expected a map of name -> order{why}")])
    listed = [
        {**order, "name": name} if isinstance(order, Mapping) else order
        for name, order in orders.items()
    ]
    try:
        found = _RUN.validate_python(_encodable({**raw, "orders": listed, "events": events}))
    except ValidationError as error:
        raise JobRefused(_problems(error, list(orders))) from None
    if problems := list(_tangles(found)):
        raise JobRefused(problems[:MAX_TOLD])
    return found


def _events(path: Path) -> list[object] | None:
    """Return the events in a file, one per line; None when it was not kept."""
    if not path.exists():
        return None
    found = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        try:
            found.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            problem = Problem("", f"line {number}: is no JSON: {error}")
            raise FileRefused(path, [problem]) from None
    return found


def _belongs(event: object, run: Mapping[str, Any]) -> bool:
    """Tell events of the run from those of a later one that died before it wrote its own record."""
    return not isinstance(event, Mapping) or event.get("run_id") in (None, run.get("run_id"))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise FileRefused(path, [Problem("", f"cannot be read: {error.strerror}")]) from None


def _encodable(value: Any) -> Any:
    """Return a value without half characters, which JSON can say and UTF-8 cannot."""
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case Mapping():
            return {_encodable(key): _encodable(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_encodable(entry) for entry in value]
        case _:
            return value


def _problems(error: ValidationError, names: Sequence[str]) -> Iterator[Problem]:
    for found in error.errors(include_url=False, include_context=False)[:MAX_TOLD]:
        where = list(found["loc"])
        if where[:1] == ["orders"] and len(where) > 1:
            where[1] = names[int(where[1])]
        yield Problem(".".join(map(str, where)), found["msg"])


def _tangles(run: RunRecord) -> Iterator[Problem]:
    """Yield what no graph can have: unknown names and cycles."""
    needs = {order.name: order.dependencies for order in run.orders}
    unknown = {
        name: missing for name in needs if (missing := [n for n in needs[name] if n not in needs])
    }
    for name, missing in unknown.items():
        yield Problem(f"orders.{name}.dependencies", f"no such order: {', '.join(missing)}")
    if not unknown:
        for loop in graph.cycles(needs):
            yield Problem("orders", f"wait for each other: {' -> '.join(loop)}")
