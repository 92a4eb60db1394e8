"""The worker as a program, for CodeBuild: the dispatch is in the environment (`codec.unpack`).

Exits 0 when the order's result was sent, or when the order was not this build's to run.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Final, NoReturn

from src.common import codec
from src.common.errors import IacCiError
from src.common.keys import PAYLOAD_VARIABLE
from src.worker.app import Invocation
from src.worker.handler import app

BUILD: Final = "CODEBUILD_BUILD_ID"


def main() -> int:
    """Run one order; return the exit code."""
    signal.signal(signal.SIGTERM, _end)
    try:
        event = codec.unpack(os.environ[PAYLOAD_VARIABLE])
    except (KeyError, ValueError) as error:
        return _refuse(f"reading the dispatch in {PAYLOAD_VARIABLE}: {error!r}")
    try:
        app()(event, Invocation(aws_request_id=os.environ.get(BUILD, "")))
    except IacCiError as error:
        return _refuse(str(error))
    return 0


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)  # noqa: T201 - a program's way to say so
    return 1


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # once: the commands' processes are being ended
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
