"""The files of a local run: the job, secrets for a local run and plain variables.

Messages name file, line and key, never a value: both kinds of file may hold secrets.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from src.cli import dotenv
from src.cli.problems import FileRefused
from src.common import fieldpath, files
from src.common.errors import JobRefused, Problem

if TYPE_CHECKING:
    from src.common.jobfile import Lines

Check = Callable[[object], Iterable[Problem]]  # what is wrong with the value in a file


def read_job(path: Path, *, file_urls: bool = True) -> tuple[object, Lines]:
    """Return the value in a job file and its lines; `file_urls` says if the job may have them.

    Raises:
        FileRefused: it cannot be read or is neither YAML nor JSON; where it gives a key twice, with
            all else that is wrong with the job.
    """

    def wrong(raw: object) -> Iterable[Problem]:
        from src.common.job import parse_job

        try:
            parse_job(raw, file_urls=file_urls)
        except JobRefused as refused:
            return refused.problems
        return ()

    return _read(path, "job file", wrong)


def _read(path: Path, what: str, check: Check) -> tuple[object, Lines]:
    from src.common import jobfile

    try:
        return jobfile.load(path, what)
    except jobfile.GivenTwice as twice:
        further = [(check(raw), lines) for raw, lines in twice.readings]
        raise FileRefused(path, twice.problems, further=further) from None
    except JobRefused as refused:
        raise FileRefused(path, refused.problems) from None


def read_env(path: Path) -> dict[str, str]:
    """Return the variables of an environment file.

    Raises:
        FileRefused: it cannot be read, or naming each line that is no assignment.
    """
    try:
        return dotenv.parse(files.text(path))
    except ValueError as error:
        raise FileRefused(path, [Problem("", str(error))]) from None
    except JobRefused as refused:
        raise FileRefused(path, refused.problems) from None


def read_secrets(path: Path) -> dict[str, str]:
    """Return path (or name) -> secret from a YAML or JSON map; maps and lists become JSON.

    Raises:
        FileRefused: it cannot be read, is no such map, or naming each value that is no text.
    """
    raw, lines = _read(path, "secrets file", _wrong)
    if problems := list(_wrong(raw)):
        raise FileRefused(path, problems, lines)
    assert isinstance(raw, Mapping)
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in raw.items()
    }


def read_buckets(options: Iterable[str]) -> dict[str, Path]:
    """Return bucket -> folder of `NAME=DIR` options.

    Raises:
        FileRefused: one has another form, names no folder, or a bucket that another has named.
    """
    found: dict[str, Path] = {}
    for option in options:
        name, equals, folder = option.partition("=")
        if not (name and equals and folder):
            raise FileRefused(Path(option), [Problem("--bucket", "expected NAME=DIR")])
        if name in found:
            raise FileRefused(Path(folder), [Problem("--bucket", f"{name} is given twice")])
        if not Path(folder).is_dir():
            raise FileRefused(Path(folder), [Problem("--bucket", "is no folder")])
        found[name] = Path(folder)
    return found


def _wrong(raw: object) -> Iterator[Problem]:
    if not isinstance(raw, Mapping):
        yield Problem("", "expected a map of path -> value")
        return
    for name, value in raw.items():
        if not isinstance(value, str | Mapping | list):
            kind = "nothing" if value is None else "no text to YAML"
            yield Problem(fieldpath.key("", name), f"must be text or a map and is {kind}: quote it")
