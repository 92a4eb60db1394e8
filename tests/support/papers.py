"""The project's Markdown as values: links, anchors, and the blocks of code in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
FOLDERS = ("*.md", ".github/**/*.md", "docs/**/*.md", "examples/**/*.md", "infra/*/README.md")
TEST = re.compile(r"^def (test_\w+)\(", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of code: its language, what comes after that word, and its text."""

    language: str
    info: str
    text: str
    line: int


def papers() -> list[Path]:
    """Return every Markdown file of the project."""
    return sorted(path for folder in FOLDERS for path in ROOT.glob(folder))


def name(path: Path) -> str:
    """Return the path as messages and test ids say it."""
    return path.relative_to(ROOT).as_posix()


def names_of_tests(pattern: str) -> set[str]:
    """Return the names of the tests in the files that match a pattern below the project's root."""
    files = ROOT.glob(pattern)
    return {test for file in files for test in TEST.findall(file.read_text())}


@cache
def tokens(path: Path) -> list[Token]:
    """Return the tokens of a file."""
    return MarkdownIt("commonmark").enable("table").parse(path.read_text())


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a file, in order; those within lists too."""
    return [
        Block(*_split(token.info), token.content, (token.map or [0])[0] + 1)
        for token in tokens(path)
        if token.type == "fence"
    ]


def scripts(path: Path) -> list[str]:
    """Return the blocks of shell commands of a file."""
    return [block.text for block in blocks(path) if block.language == "sh"]


def script(path: Path, part: str) -> str:
    """Return the one block of commands that holds `part`."""
    (found,) = [text for text in scripts(path) if part in text]
    return found


def links(path: Path) -> Iterator[str]:
    """Yield the targets of links and images, those written in HTML too."""
    for token in tokens(path):
        if token.type == "html_block":
            yield from _html(token.content)
        for child in token.children or ():
            if child.type in {"link_open", "image"}:
                yield str(child.attrs.get("href") or child.attrs.get("src"))
            elif child.type == "html_inline":
                yield from _html(child.content)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a file's headings, as GitHub makes them."""
    found: Counter[str] = Counter()
    anchors: set[str] = set()
    inside = tokens(path)
    for opening, heading in pairwise(inside):
        if opening.type == "heading_open":
            text = "".join(child.content for child in heading.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            anchors.add(f"{slug}-{found[slug]}" if found[slug] else slug)
            found[slug] += 1
    return anchors


def _split(info: str) -> tuple[str, str]:
    language, _, rest = info.partition(" ")
    return language, rest.strip()


def _html(text: str) -> list[str]:
    return re.findall(r'(?:src|href|srcset)="([^"]+)"', text)
