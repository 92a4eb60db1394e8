"""The files beside the job: secrets for a local run and plain variables.

Messages name file, line and key, never a value: both kinds of file may hold secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from src.cli import dotenv
from src.common import fieldpath
from src.common.errors import JobRefused, Problem

MAX_BYTES: Final = 4 * 1024 * 1024


def read_env(path: Path) -> dict[str, str]:
    """Return the variables of an environment file.

    Raises:
        JobRefused: the file cannot be read, or naming each line that is no assignment.
    """
    return dotenv.parse(_text(path), str(path))


def read_secrets(path: Path) -> dict[str, str]:
    """Return path (or name) -> secret from a YAML or JSON map; maps and lists become JSON.

    Raises:
        JobRefused: the file cannot be read, is no such map, or naming each value that is no text.
    """
    from src.common import jobfile

    raw, lines = jobfile.load(path)
    if not isinstance(raw, Mapping):
        raise JobRefused([Problem(str(path), "expected a map of path -> value")])
    problems = []
    for where, message in _wrong(raw):
        line = lines.of(where)
        problems.append(Problem(f"{path}:{line}" if line else f"{path}: {where}", message))
    if problems:
        raise JobRefused(problems)
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in raw.items()
    }


def _wrong(raw: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for name, value in raw.items():
        where = fieldpath.key("", str(name))
        if not isinstance(name, str):
            yield where, f"the path {fieldpath.shown(name)} is no text, put it in quotes"
        elif not isinstance(value, str | Mapping | list):
            kind = "empty" if value is None else f"a {type(value).__name__}, not text"
            yield where, f"the value of {fieldpath.shown(name)} is {kind}, put it in quotes"


def _text(path: Path) -> str:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise JobRefused([Problem(str(path), f"reading it: {error.strerror}")]) from None
    if len(body) > MAX_BYTES:
        raise JobRefused([Problem(str(path), f"is larger than {MAX_BYTES:,} bytes")])
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JobRefused([Problem(str(path), f"is not UTF-8 (byte {error.start})")]) from None
