"""Problems as `FILE:LINE: field: message`, the form that editors and CI turn into links."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from src.cli.text import clean
from src.common.errors import JobRefused, Problem

if TYPE_CHECKING:
    from src.common.jobfile import Lines

_LINE: Final = re.compile(r"line (\d+)(?:, column \d+)?: ")


class FileRefused(JobRefused):
    """A file cannot be used; `shown` says so line by line, in the order of the file."""

    def __init__(self, file: Path, problems: Iterable[Problem], lines: Lines | None = None) -> None:
        super().__init__(problems)
        located = [_located(file, problem, lines) for problem in self.problems]
        self.shown = tuple(text for _, text in sorted(located, key=lambda entry: entry[0]))


def _located(file: Path, problem: Problem, lines: Lines | None) -> tuple[int, str]:
    message = problem.message.removeprefix(f"{file} ")
    line = lines.of(problem.path) if lines is not None else None
    if given := _LINE.match(message):  # found before there were fields to look up
        line, message = int(given[1]), message[given.end() :]
    where = f"{file}:{line}" if line else str(file)
    return line or 0, clean(f"{where}: {Problem(problem.path, message)}")
