"""The log of an order: bytes of any size in, lines out while it runs, a bounded text at the end.

Keeps head and tail of what was masked before, so no cut can uncover a secret. Knows nothing of
processes or results.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Final

from src.worker.masking import Masker

HEAD: Final = 64 * 1024  # bytes
TAIL: Final = 192 * 1024
_LONGEST_LINE: Final = 64 * 1024  # characters; a longer line goes out in pieces
_DECODER: Final = codecs.getincrementaldecoder("utf-8")


class HeadTail:
    """The first and the last bytes of a text of any length."""

    def __init__(self, head: int = HEAD, tail: int = TAIL) -> None:
        self._head, self._tail = bytearray(), bytearray()
        self._head_size, self._tail_size = head, tail
        self._left_out = 0

    def add(self, text: str) -> None:
        """Append."""
        data = text.encode(errors="replace")
        room = self._head_size - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._tail_size:
            self._trim()

    def text(self) -> tuple[str, bool]:
        """Return the text with a line that names the bytes left out, and whether any were."""
        self._trim()
        if not self._left_out:
            return (self._head + self._tail).decode(errors="replace"), False
        # The cuts may fall into a character.
        head, tail = self._head.decode(errors="ignore"), self._tail.decode(errors="ignore")
        return f"{head}\n[... {self._left_out} bytes left out ...]\n{tail}", True

    def _trim(self) -> None:
        surplus = max(0, len(self._tail) - self._tail_size)
        del self._tail[:surplus]
        self._left_out += surplus


class Log:
    """Decodes, masks, prints and keeps the output of an order.

    `out` gets one or more complete masked lines at a time, joined by newlines, none at the end.
    """

    def __init__(self, masker: Masker, out: Callable[[str], None], kept: HeadTail) -> None:
        self._masker, self._out, self._kept = masker, out, kept
        self._decoder = _DECODER("replace")
        self._line = ""  # begun, not yet printed
        self._fresh = True  # the next character begins a line

    def write(self, data: bytes) -> None:
        """Take output of a command."""
        self._take(self._decoder.decode(data))

    def note(self, line: str) -> None:
        """Add a line of our own."""
        self._take(self._decoder.decode(b"", final=True))
        self._decoder.reset()
        text = line.encode(
            errors="replace"
        ).decode()  # JSON knows halves of characters, UTF-8 does not
        self._take(text + "\n" if self._fresh else f"\n{text}\n")

    def close(self) -> tuple[str, bool]:
        """Return the log and whether something was left out."""
        self._take(self._decoder.decode(b"", final=True))
        self._emit(self._masker.flush())
        if self._line:
            self._out(self._line)
            self._line = ""
        return self._kept.text()

    def _take(self, text: str) -> None:
        if text:
            self._fresh = text.endswith("\n")
            self._emit(self._masker.feed(text))

    def _emit(self, masked: str) -> None:
        if not masked:
            return
        self._kept.add(masked)
        lines, newline, rest = masked.rpartition("\n")
        if newline:
            self._out(self._line + lines)
            self._line = rest
        else:
            self._line += rest
        if len(self._line) > _LONGEST_LINE:
            self._out(self._line)
            self._line = ""
