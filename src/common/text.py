"""Text from strangers, made harmless for whoever reads it: on a terminal, a page, a pull request.

What orders print comes from strangers: it must not move the cursor, change colours or title, or
hide text from whoever reads the log.
"""

from __future__ import annotations

import re
from typing import Final

ESCAPES: Final = re.compile(
    r"\x1b[PX^_\]].*?(?:\x07|\x1b\\|\x9c|$)"  # strings: titles, links, device control
    r"|[\x1b]\[[0-?]*[ -/]*[@-~]?"  # colours, cursor
    r"|\x9b[0-?]*[ -/]*[@-~]?"  # the same, introduced by one byte
    r"|\x1b[ -/]*[0-~]?",  # the rest: resets, character sets
    re.DOTALL,
)
# Controls, separators of lines and paragraphs, and what reorders or hides text.
CONTROLS: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff]"
)
MARK: Final = "\N{REPLACEMENT CHARACTER}"


def clean(line: str) -> str:
    """Return one line as it may be shown: without escapes, controls marked, tabs expanded.

    Of a line overwritten in place (progress bars) the last state is left, as on a terminal.
    """
    if line.isascii() and line.isprintable():
        return line
    line = ESCAPES.sub("", line).rstrip("\r\n").rpartition("\r")[2]
    return CONTROLS.sub(MARK, line.expandtabs(8))


def duration(ms: int) -> str:
    """Return a time span for people: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 03 min`."""
    seconds = max(ms, 0) / 1000
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: int, noun: str) -> str:
    """Return `1 order`, `2 orders`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def word(status: str) -> str:
    """Return a status as people write it: `timed out`."""
    return status.replace("_", " ")
