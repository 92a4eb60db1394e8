"""The Dockerfile as a value: the one source of what the image holds, for the check and the tests.

Reads as much of the language as our own file uses: stages, ARG defaults, COPY and a CMD in JSON.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

_REFERENCE: Final = re.compile(r"\$\{(\w+)\}|\$(\w+)")


@dataclass(frozen=True)
class Copy:
    """A COPY out of the build context: file or folder there -> place in the image."""

    source: str
    target: str


@dataclass
class Stage:
    """One FROM and what follows it."""

    base: str
    name: str | None
    arguments: dict[str, str] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    taken: list[Copy] = field(default_factory=list)  # COPY --from: of other stages
    runs: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Dockerfile:
    """Stages by order; the last one becomes the image."""

    arguments: dict[str, str]  # before the first FROM
    stages: list[Stage]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            ValueError: an instruction that this reader does not know.
        """
        arguments: dict[str, str] = {}
        stages: list[Stage] = []
        for word, rest in _instructions(path.read_text()):
            if word == "FROM":
                base, _, name = rest.partition(" AS ")
                stages.append(Stage(_filled(base, arguments), name or None))
            elif word == "ARG":
                given = stages[-1].arguments if stages else arguments
                given |= dict(part.partition("=")[::2] for part in shlex.split(rest))
            else:
                _take(stages[-1], word, rest)
        return cls(arguments, stages)

    @property
    def image(self) -> Stage:
        """The stage that becomes the image."""
        return self.stages[-1]

    @property
    def python(self) -> str:
        """The base image's Python, such as `3.13`."""
        return self.arguments["PYTHON"]

    def stage(self, name: str) -> Stage:
        """Return the stage of a name."""
        return next(stage for stage in self.stages if stage.name == name)


def _take(stage: Stage, word: str, rest: str) -> None:
    match word:
        case "COPY":
            options, places = [], []
            for part in rest.split():
                (options if part.startswith("--") else places).append(part)
            *sources, target = places
            copies = [Copy(source, target) for source in sources]
            (stage.taken if options else stage.copies).extend(copies)
        case "RUN":
            stage.runs.append(rest)
        case "CMD":
            stage.command = json.loads(rest)
        case "LABEL":
            pass
        case _:
            raise ValueError(f"an instruction {word}: {rest}")


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, rest = line.partition(" ")
        yield word.upper(), rest.strip()


def _filled(text: str, arguments: dict[str, str]) -> str:
    return _REFERENCE.sub(lambda found: arguments[found[1] or found[2]], text)
