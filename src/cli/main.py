"""Entry point of `iac-ci`. Imports next to nothing, so that Ctrl-C is understood from the start."""

from __future__ import annotations

import sys

from src.cli.exit_codes import INTERRUPTED, NOT_SUCCEEDED


def main() -> None:
    """Run the command line."""
    try:
        from src.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        from src.cli.say import answer_lost

        if end.code or not answer_lost():
            raise
        sys.exit(NOT_SUCCEEDED)
