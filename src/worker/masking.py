"""Hiding secret values in a stream of text, wherever the stream is cut.

Pure text in, masked text out. What could be the beginning of a secret is held back until more
comes, so a value is found across chunk borders and in lines of any length.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "***"
SHORTEST: Final = 4  # a shorter value would mask half of any log
_SHORTEST_CORE: Final = 6  # of base64 text cut at both ends
_BASE64_LINE: Final = 76  # where base64(1) breaks lines


def forms(value: str) -> set[str]:
    """Return the texts under which a secret value may show up, itself first of all.

    Each line of its own, as JSON, URL-encoded, and base64 with any neighbours (`user:<value>` or a
    trailing newline change the characters at the ends only) and line breaks.
    """
    wholes = {text for text in (value, value.strip()) if len(text) >= SHORTEST}
    lines = {line.strip() for whole in wholes for line in whole.splitlines()}
    found = wholes | {line for line in lines if len(line) >= SHORTEST}
    found |= {json.dumps(one, ensure_ascii=only)[1:-1] for one in found for only in (True, False)}
    for whole in wholes:
        raw = whole.encode(errors="replace")
        url = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
        found |= url | {_lower_escapes(one) for one in url}
        for encoded in _base64(raw):
            found |= {encoded, encoded.replace("+", "-").replace("/", "_")}
    return found


def parts(value: str) -> set[str]:
    """Return a value and, where it is a JSON list or object, every text and number in it.

    A command takes such a value apart: `jq -r .password` prints what is secret by itself.
    """
    found = {value}
    if not value.lstrip().startswith(("{", "[")):
        return found
    try:
        todo = [json.loads(value, parse_int=str, parse_float=str)]  # as they are written
    except (ValueError, RecursionError):
        return found
    while todo:
        match todo.pop():
            case dict() as entries:
                todo.extend(entries.values())
            case list() as entries:
                todo.extend(entries)
            case str() as text:
                found.add(text)
    return found


class Masker:
    """Masks the given values in a stream: `feed` it text, `flush` it at the end."""

    def __init__(self, values: Iterable[str]) -> None:
        every = {part for value in values for part in parts(value)}
        self._forms = tuple({form for part in every for form in forms(part)})
        self._held = ""
        self._covered = 0  # leading characters of `_held` that are masked already

    def feed(self, text: str) -> str:
        """Return what can be told by now, masked."""
        buffer = self._held + text
        return self._advance(buffer, len(buffer) - self._open_tail(buffer))

    def flush(self) -> str:
        """Return the rest, masked."""
        return self._advance(self._held, len(self._held))

    def _advance(self, buffer: str, cut: int) -> str:
        spans = self._matches(buffer)
        if self._covered:
            spans.append((0, self._covered))
        parts: list[str] = []
        at = 0
        for start, end in _merged(spans):
            told = start < self._covered  # this mask is out already and goes on
            if start >= cut and not told:
                break
            parts += buffer[at:start], "" if told else MASK
            at = end
        parts.append(buffer[at:cut])
        self._held, self._covered = buffer[cut:], max(0, at - cut)
        return "".join(parts)

    def _matches(self, text: str) -> list[tuple[int, int]]:
        found = []
        for form in self._forms:
            at = text.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = text.find(form, at + 1)
        return found

    def _open_tail(self, text: str) -> int:
        """Return the length of the longest ending that a form could begin with."""
        longest = 0
        for form in self._forms:
            at = text.find(form[0], max(0, len(text) - len(form) + 1))
            while 0 <= at < len(text) - longest:
                if form.startswith(text[at:]):
                    longest = len(text) - at
                at = text.find(form[0], at + 1)
        return longest


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the spans in order, overlapping ones as one."""
    spans.sort()
    at = 0
    while at < len(spans):
        start, end = spans[at]
        at += 1
        while at < len(spans) and spans[at][0] < end:
            end = max(end, spans[at][1])
            at += 1
        yield start, end


def _base64(raw: bytes) -> Iterator[str]:
    """Yield the encoding of `raw`, its lines, and its part in the encoding of any larger text."""
    whole = base64.b64encode(raw).decode()
    yield whole
    lines = [whole[at : at + _BASE64_LINE] for at in range(0, len(whole), _BASE64_LINE)]
    yield from (line for line in lines if len(line) >= _SHORTEST_CORE)
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw).decode()
        core = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        if len(core) >= _SHORTEST_CORE:
            yield core


def _lower_escapes(url: str) -> str:
    head, *rest = url.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)
