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
    """A file cannot be used; `shown` says so line by line, in the order of the file.

    `details` say the same for programs: `{"file", "line", "path", "message"}` each, without a line
    where none is known. `further` are problems that were found by the lines of another reading.
    """

    def __init__(
        self,
        file: Path,
        problems: Iterable[Problem],
        lines: Lines | None = None,
        further: Iterable[tuple[Iterable[Problem], Lines]] = (),
    ) -> None:
        located = [_located(file, problem, lines) for problem in problems]
        for others, their_lines in further:
            located += [_located(file, problem, their_lines) for problem in others]
        located = sorted(dict.fromkeys(located), key=lambda entry: entry[0])
        super().__init__(problem for _, problem in located)
        self.shown = tuple(
            clean(f"{file}:{line}: {problem}" if line else f"{file}: {problem}")
            for line, problem in located
        )
        self.details = [
            {"file": str(file), **({"line": line} if line else {}), **problem.as_dict()}
            for line, problem in located
        ]


def _located(file: Path, problem: Problem, lines: Lines | None) -> tuple[int, Problem]:
    """Return the line of a problem (0: not known), and the problem without it in its message."""
    message = problem.message.removeprefix(f"{file} ")
    line = lines.of(problem.path) if lines is not None else None
    if given := _LINE.match(message):  # found before there were fields to look up
        line, message = int(given[1]), message[given.end() :]
    return line or 0, Problem(problem.path, message)
