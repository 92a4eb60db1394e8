r"""Environment files: `KEY=VALUE` lines as shells and other tools write them, nothing expanded.

    # a comment
    export REGION=eu-west-1     # unquoted: up to ` #`, trimmed
    LITERAL='$HOME stays $HOME'
    ESCAPED="line one\nline two"

Quoted values may span lines. `$` means nothing here. A later line wins over an earlier one.
"""

from __future__ import annotations

import re
from typing import Final

from src.common.errors import JobRefused, Problem

_KEY: Final = re.compile(r"[^\S\n]*(?:export[^\S\n]+)?([^\s=#'\"]+)[^\S\n]*=[^\S\n]*")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BLANK: Final = re.compile(r"[^\S\n]*(?:#[^\n]*)?(?:\n|\Z)")
_QUOTED: Final = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_PLAIN: Final = re.compile(r"(?:(?![^\S\n]#)[^\n])*")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_MEANS: Final = {"n": "\n", "r": "\r", "t": "\t", "\n": ""}


def parse(text: str) -> dict[str, str]:
    """Return the variables in `text`.

    Raises:
        JobRefused: naming every line that is no assignment (never its value, which may be secret).
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[str, str] = {}
    problems: list[Problem] = []
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = max(blank.end(), at + 1)
            continue
        line = text.count("\n", 0, at) + 1
        try:
            name, value, at = _assignment(text, at)
            found[name] = value
        except ValueError as error:
            problems.append(Problem("", f"line {line}: {error}"))
            at = _next_line(text, at)
    if problems:
        raise JobRefused(problems)
    return found


def _assignment(text: str, at: int) -> tuple[str, str, int]:
    key = _KEY.match(text, at)
    if key is None:
        raise ValueError("expected KEY=VALUE")
    name = key[1]
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:60]!r} is no name of a variable (letters, digits and _)")
    at = key.end()
    if text[at : at + 1] in {"'", '"'}:
        return name, *_quoted(text, at, name)
    plain = _PLAIN.match(text, at)
    assert plain is not None  # matches the empty text too
    value = "" if plain[0].startswith("#") else plain[0].rstrip()
    _refuse_nul(name, value)
    return name, value, _next_line(text, at)


def _quoted(text: str, at: int, name: str) -> tuple[str, int]:
    quoted = _QUOTED.match(text, at)
    if quoted is None:
        raise ValueError(f"the quote that opens the value of {name} is never closed")
    blank = _BLANK.match(text, quoted.end())
    if blank is None:
        raise ValueError(f"text follows the closing quote of {name}")
    literal, escaped = quoted.groups()
    value = literal if literal is not None else _ESCAPE.sub(_unescape, escaped)
    _refuse_nul(name, value)
    return value, blank.end()


def _unescape(match: re.Match[str]) -> str:
    return _MEANS.get(match[1], match[1] if match[1] in {'"', "\\", "$", "`"} else match[0])


def _refuse_nul(name: str, value: str) -> None:
    if "\0" in value:
        raise ValueError(f"the value of {name} holds a NUL byte")


def _next_line(text: str, at: int) -> int:
    return text.find("\n", at) + 1 or len(text)
