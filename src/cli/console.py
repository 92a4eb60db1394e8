"""Consoles that survive what terminals and pipes do: odd encodings, readers that go away."""

from __future__ import annotations

import os
import sys
from typing import Final, TextIO

from rich.console import Console

WIDTH: Final = 80  # columns, where COLUMNS=0 says that nobody knows them


class SteadyConsole(Console):
    """A console whose reader may leave: a run goes on when the pager that shows it was closed."""

    def on_broken_pipe(self) -> None:
        """Go silent instead of ending the program."""
        self.quiet = True
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device, not a path of ours
            os.dup2(nowhere.fileno(), self.file.fileno())


def console(stream: TextIO) -> SteadyConsole:
    """Return a console on `stream`; characters that its encoding lacks are shown as `?`."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
    made = SteadyConsole(
        file=stream, highlight=False, markup=False, emoji=False, soft_wrap=False, log_path=False
    )
    if not made.width:
        made.width = WIDTH
    return made


def can_redraw(target: Console) -> bool:
    """Return whether lines that were shown can be replaced."""
    return target.is_terminal and not target.is_dumb_terminal


def is_ascii(target: Console) -> bool:
    """Return whether signs beyond ASCII would come out as `?`."""
    return target.options.ascii_only


def silence(stream: TextIO) -> None:
    """Point a stream whose reader went away to nowhere, so that closing it raises nothing."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - as above
        os.dup2(nowhere.fileno(), stream.fileno())


def out() -> SteadyConsole:
    """Return the console of standard output."""
    return console(sys.stdout)


def err() -> SteadyConsole:
    """Return the console of standard error."""
    return console(sys.stderr)
