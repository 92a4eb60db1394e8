"""Job files: YAML or JSON into plain values, and the line on which each field stands.

YAML follows the core schema of YAML 1.2: `yes` and `on` are text, `1:30` is no number of seconds,
keys are text. Tags are refused; anchors and `<<: *anchor` work. Knows nothing of what a job is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from src.common import files, jsontext
from src.common.document import MERGE, Builder, Lines, refused
from src.common.errors import JobRefused, Problem

__all__ = ["GivenTwice", "Lines", "load", "loads"]

Reading = tuple[object, Lines]

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT: Final = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:\n]|[^\s{}\[\],:"]+')


class GivenTwice(JobRefused):
    """Keys stand twice in a map. `readings` are the file with the first of them, and with the last.

    So that whoever knows what belongs into the file can tell what else is wrong with it.
    """

    def __init__(self, problems: Iterable[Problem], readings: tuple[Reading, Reading]) -> None:
        super().__init__(problems)
        self.readings = readings


def load(path: Path, what: str = "job file") -> tuple[object, Lines]:
    """Return the value in a job file and its lines; JSON is told by `.json` or its first brace.

    `what` is what messages call the file.

    Raises:
        JobRefused: it cannot be read, is empty, too large, neither JSON nor YAML; messages begin
            with the line.
        GivenTwice: it gives keys twice.
    """
    try:
        text = files.text(path)
    except ValueError as error:
        raise _refused(f"{path} {error}") from None
    return loads(text, is_json=path.suffix.lower() == ".json", what=what)


def loads(text: str, *, is_json: bool = False, what: str = "job file") -> tuple[object, Lines]:
    """Return the value in the text of a job file and its lines; raises as `load` does."""
    if not text.strip():
        raise _refused(f"the {what} is empty")
    is_json = is_json or (text.lstrip().startswith("{") and _is_json(text))
    first = _built(text, what, is_json=is_json, last_wins=False)
    if not first.problems:
        return _reading(first)
    last = _built(text, what, is_json=is_json, last_wins=True)
    raise GivenTwice(first.problems, (_reading(first), _reading(last)))


def _built(text: str, what: str, *, is_json: bool, last_wins: bool) -> Builder:
    builder = Builder(last_wins=last_wins)
    if is_json:
        _read_json(text, builder)
    else:
        _read_yaml(text, builder, what)
    return builder


def _reading(builder: Builder) -> Reading:
    return builder.root, Lines(builder.lines)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False  # `{a: b}` is YAML
    return True


def _read_json(text: str, builder: Builder) -> None:
    """Hand valid JSON to the builder, piece by piece."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise refused(error.lineno, f"not valid JSON: {error.msg} (column {error.colno})") from None
    except RecursionError:
        raise _refused(jsontext.TOO_DEEP) from None
    except ValueError:
        raise _refused(jsontext.LONG_NUMBER) from None
    for piece, line in _json_pieces(text):
        match piece[0]:
            case "{":
                builder.open({}, line)
            case "[":
                builder.open([], line)
            case "}" | "]":
                builder.close()
            case '"' if builder.wants_key:
                builder.key(json.loads(piece), line)
            case _:
                if piece in ("NaN", "Infinity", "-Infinity"):
                    raise refused(line, f"{piece} is no JSON number")
                builder.scalar(json.loads(piece), line)


def _json_pieces(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece == "\n":
            line += 1
        elif piece not in ",:":
            yield piece, line


def _read_yaml(text: str, builder: Builder, what: str) -> None:
    documents = 0
    try:
        event: Any
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise refused(line, f"a {what} holds one document, this begins another")
            _take(event, line, builder)
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        at_fault = "".join(text.split("\n")[mark.line : mark.line + 1])[mark.column :]
        tab = "a tab, where only spaces indent" if at_fault.startswith("\t") else None
        why = f"{tab or error.problem or error.context} (column {mark.column + 1})"
        raise refused(mark.line + 1, f"not valid YAML: {why}") from None
    except yaml.YAMLError as error:  # a character that YAML does not admit
        raise _refused(f"not valid YAML: {' '.join(str(error).split())}") from None
    if builder.root is None:
        raise _refused(f"the {what} is empty")


def _take(event: yaml.Event, line: int, builder: Builder) -> None:
    """Hand one event of the parser to the builder."""
    if getattr(event, "tag", None) is not None:
        raise refused(line, "tags are refused; the file holds plain values")
    match event:
        case yaml.CollectionEndEvent():
            builder.close()
        case yaml.NodeEvent() if builder.wants_key:
            _take_key(event, line, builder)
        case yaml.NodeEvent() if builder.merging:
            if not isinstance(event, yaml.AliasEvent):
                raise refused(line, "<< must be followed by *anchor")
            builder.merge(str(event.anchor), line)
        case yaml.AliasEvent():
            builder.alias(str(event.anchor), line)
        case yaml.ScalarEvent():
            value = _plain(event.value) if event.implicit[0] else event.value
            builder.scalar(value, line, event.anchor)
        case yaml.MappingStartEvent():
            builder.open({}, line, event.anchor)
        case yaml.SequenceStartEvent():
            builder.open([], line, event.anchor)


def _take_key(event: yaml.NodeEvent, line: int, builder: Builder) -> None:
    if not isinstance(event, yaml.ScalarEvent):
        raise refused(line, "a key must be text")
    if event.value == MERGE and not event.implicit[0]:
        raise refused(line, 'the key "<<" is reserved')
    builder.key(event.value, line)


def _plain(text: str) -> Any:
    """Return what unquoted text means (an overlong number is text)."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and len(text) < 100:
        return float(text)
    return text


def _refused(message: str) -> JobRefused:
    return JobRefused([Problem("", message)])
