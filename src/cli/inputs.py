"""The files of a local run: the job, secrets for a local run and plain variables.

Messages name file, line and key, never a value: both kinds of file may hold secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from src.cli import dotenv
from src.cli.problems import FileRefused
from src.common import fieldpath
from src.common.errors import JobRefused, Problem

if TYPE_CHECKING:
    from src.common.jobfile import Lines

MAX_BYTES: Final = 4 * 1024 * 1024


def read_job(path: Path) -> tuple[object, Lines]:
    """Return the value in a job file and its lines.

    Raises:
        FileRefused: it cannot be read or is neither YAML nor JSON.
    """
    from src.common import jobfile

    try:
        return jobfile.load(path)
    except JobRefused as refused:
        raise FileRefused(path, refused.problems) from None


def read_env(path: Path) -> dict[str, str]:
    """Return the variables of an environment file.

    Raises:
        FileRefused: it cannot be read, or naming each line that is no assignment.
    """
    try:
        return dotenv.parse(_text(path))
    except JobRefused as refused:
        raise FileRefused(path, refused.problems) from None


def read_secrets(path: Path) -> dict[str, str]:
    """Return path (or name) -> secret from a YAML or JSON map; maps and lists become JSON.

    Raises:
        FileRefused: it cannot be read, is no such map, or naming each value that is no text.
    """
    raw, lines = read_job(path)
    if not isinstance(raw, Mapping):
        raise FileRefused(path, [Problem("", "expected a map of path -> value")])
    if problems := list(_wrong(raw)):
        raise FileRefused(path, problems, lines)
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in raw.items()
    }


def _wrong(raw: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in raw.items():
        if not isinstance(value, str | Mapping | list):
            kind = "nothing" if value is None else "no text to YAML"
            yield Problem(fieldpath.key("", name), f"must be text or a map and is {kind}: quote it")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise JobRefused([Problem("", f"cannot be read: {error.strerror}")]) from None
    if len(body) > MAX_BYTES:
        raise JobRefused([Problem("", f"is over {MAX_BYTES} bytes")])
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JobRefused([Problem("", f"is not UTF-8 (byte {error.start})")]) from None
