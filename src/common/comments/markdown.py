"""Text from strangers in GitHub's Markdown: shown as it is, and able to do nothing.

What orders print and what callers name must neither mention people, link to issues, load pictures,
nor end the block that holds it. GitHub looks for mentions and references in what was rendered, and
passes over code, so all foreign text becomes code: a fence for logs, `<code>` for words.

Sizes are UTF-16 units, the strictest of the ways in which GitHub may count characters.
"""

from __future__ import annotations

import re
from typing import Final

from src.common.text import clean

LONGEST_TICKS: Final = 30  # of a run of back-ticks: else its fence would fill the comment
_TICKS: Final = re.compile("`+")
_PUNCTUATION: Final = re.compile(r"[!-,./:-@\[-`{-~]")  # a hyphen within a line means nothing


def size(text: str) -> int:
    """Return how much of the comment's limit a text takes."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def code(text: str) -> str:
    """Return a text as code within a line, a table cell or an HTML block.

    Entities hold in all three; a code span of back-ticks would not be one in an HTML block.
    """
    words = " ".join(clean(line) for line in text.splitlines()).strip()
    return f"<code>{_PUNCTUATION.sub(_entity, words)}</code>" if words else ""


def _entity(character: re.Match[str]) -> str:
    return f"&#{ord(character[0])};"


def log_text(log: str) -> str:
    """Return a log as it may stand in a fence: no escapes or controls, no endless back-ticks."""
    text = "\n".join(clean(line) for line in log.split("\n")).strip("\n")
    return _TICKS.sub(lambda run: run[0][:LONGEST_TICKS], text)


def fenced(text: str) -> str:
    """Return a block that holds `text` (of `log_text`): its fence is longer than any within."""
    longest = max((len(run) for run in _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def tail(text: str, room: int) -> str:
    """Return the end of a text that takes at most `room`, from the start of a line if it can."""
    if size(text) <= room:
        return text
    at = len(text) - max(room, 0)
    while (over := size(text[at:]) - max(room, 0)) > 0:
        at += (over + 1) // 2  # a character takes two units at most
    line = text.find("\n", at)
    return text[line + 1 :] if 0 <= line < at + (len(text) - at) // 2 else text[at:]
