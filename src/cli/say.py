"""The two streams: answers on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass
class _Answers:
    lost: bool = False


_answers = _Answers()


def answer_lost() -> bool:
    """Return whether an answer could not be written: no exit code may say that all is well then."""
    return _answers.lost


def say(text: str) -> None:
    """Print an answer on stdout, whatever its encoding, its disk or its reader make of it."""
    from src.cli import console

    try:
        print(text, flush=True)  # noqa: T201 - the command's answer
    except BrokenPipeError:
        console.silence(sys.stdout)
    except UnicodeEncodeError:
        print(text.encode("ascii", "replace").decode(), flush=True)  # noqa: T201
    except OSError as error:  # a full disk
        console.silence(sys.stdout)
        _answers.lost = True
        complain(f"writing the answer: {error.strerror}")


def complain(text: str) -> None:
    """Print a message on stderr; where that is full too, the exit code has to say it."""
    from src.cli import console

    try:
        print(text.encode("utf-8", "replace").decode(), file=sys.stderr, flush=True)  # noqa: T201
    except OSError:  # what is in the buffer would fail again at the end, with a code of its own
        console.silence(sys.stderr)


def settle() -> None:
    """Let go of what stdout does not take, so that the end of the program does not try again."""
    from src.cli import console

    try:
        sys.stdout.flush()
    except OSError:
        console.silence(sys.stdout)
