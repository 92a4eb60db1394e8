"""Entry point of `iac-ci`. Imports nothing at all, so that Ctrl-C is understood from the start."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        _run()
    except KeyboardInterrupt:
        from src.cli.exit_codes import INTERRUPTED

        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)


def _run() -> None:
    """Run the command line; who interrupts it gets to the caller.

    What the system has no room for is no fault of the program: it is told in a line.
    """
    from src.cli.app import app
    from src.cli.exit_codes import NOT_SUCCEEDED
    from src.cli.say import answer_lost, complain, settle

    try:
        app()
    except OSError as error:
        complain(str(error))
        settle()
        sys.exit(NOT_SUCCEEDED)
    except SystemExit as end:
        if end.code or not answer_lost():
            raise
        sys.exit(NOT_SUCCEEDED)
