"""The HCL as it is written: blocks with file and line, for what a plan does not show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


class HclError(Exception):
    """A file is no HCL; the message names the place, what stands there and who tells more."""


@dataclass(frozen=True)
class Block:
    """A top-level block; `body` is python-hcl2's, strings without their quotes."""

    path: Path
    line: int
    kind: str
    labels: tuple[str, ...]
    body: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its last label; blocks such as terraform have none."""
        return self.labels[-1] if self.labels else ""

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.path.parent.name}/{self.path.name}:{self.line}"

    def children(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the nested blocks of a kind."""
        return list(self.body.get(kind, []))


@cache
def blocks(folder: Path) -> tuple[Block, ...]:
    """Return every top-level block of a stage, file by file; a deployer's backend.tf is no part.

    Raises:
        HclError: a file has a syntax error.
    """
    paths = [path for path in sorted(folder.glob("*.tf")) if path.name != "backend.tf"]
    return tuple(block for path in paths for block in _blocks(path))


def of_kind(folder: Path, kind: str) -> list[Block]:
    """Return a stage's blocks of a kind: resource, variable, output, ..."""
    return [block for block in blocks(folder) if block.kind == kind]


def _blocks(path: Path) -> Iterator[Block]:
    import hcl2  # only when it is asked for: it compiles a grammar
    from hcl2.rules.base import BlockRule
    from lark.exceptions import UnexpectedInput

    options = hcl2.SerializationOptions(with_comments=False, strip_string_quotes=True)
    text = path.read_text()
    try:
        rules = hcl2.parses(text).body.children
    except UnexpectedInput as error:
        place = f"{path.parent.name}/{path.name}:{error.line}"
        what = f"syntax error at or before {error.get_context(text).splitlines()[0].strip()!r}"
        remedy = f"terraform fmt {path} says what it expects"
        raise HclError(f"{place}: {what}; {remedy}") from None
    for rule in rules:
        if isinstance(rule, BlockRule):
            kind, *labels = (str(label.serialize(options)).strip('"') for label in rule.labels)
            body = rule.body.serialize(options)
            yield Block(path, rule._meta.line, kind, tuple(labels), body)


def strings(value: Any) -> Iterator[str]:
    """Yield every string in a body, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from strings(each)
