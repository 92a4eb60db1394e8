"""`make aws-up` and `make aws-down`: an embedded AWS to work with by hand."""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import Final

from tests.support.embedded_aws.embedded import (
    END_S,
    EmbeddedAws,
    EmbeddedAwsError,
    Running,
    remove,
    running_in,
)
from tests.support.embedded_aws.options import ROOT, Options

FOLDER: Final = ROOT / ".embedded-aws"
PORT: Final = 4566


def main(arguments: list[str] | None = None) -> int:
    """Start or end it; return the exit code."""
    given = _parser().parse_args(arguments)
    options = Options(
        folder=given.folder,
        port=given.port,
        keep=given.keep,
        tied=False,
        wait_scale=given.wait_scale,
        access_log=given.access_log,
    ).absolute()
    return {"up": _up, "down": _down}[given.do](options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("make aws-up ARGS='...'", description=__doc__)
    parser.add_argument("do", choices=("up", "down"))
    parser.add_argument("--port", type=int, default=PORT, help=f"0: any; default {PORT}")
    parser.add_argument("--keep", action="store_true", help="keep what it stores for the next time")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where its files lie")
    parser.add_argument(
        "--wait-scale", type=float, default=1.0, help="real seconds for a state machine's one"
    )
    parser.add_argument("--access-log", type=Path, help="a file for every call, as lines of JSON")
    return parser


def _up(options: Options) -> int:
    if _locked(options):
        found = running_in(options)
        print("It runs already.", _told(found) if found else "")
        return 0
    try:
        running = EmbeddedAws(options).start()
    except EmbeddedAwsError as error:
        print(error, file=sys.stderr)
        return 1
    print(_told(running))
    return 0


def _down(options: Options) -> int:
    if not _locked(options):
        remove(options)
        print("No embedded AWS runs.")
        return 0
    found = running_in(options)
    if found is None:
        print(f"it is starting; try again (its files: {options.folder})", file=sys.stderr)
        return 1
    os.kill(found.pid, signal.SIGTERM)
    until = time.monotonic() + END_S
    while _locked(options):
        if time.monotonic() > until:
            print(f"process {found.pid} does not end", file=sys.stderr)
            return 1
        time.sleep(0.05)
    keeps = options.files.state.exists()
    remove(options if not keeps else Options(folder=options.folder, keep=True))
    print("The embedded AWS ended" + (f"; {options.folder} keeps its state." if keeps else "."))
    return 0


def _locked(options: Options) -> bool:
    """Return whether a server runs: it holds the lock as long as it lives."""
    try:
        with options.files.lock.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _told(running: Running) -> str:
    variables = {**running.environment, "CURL_CA_BUNDLE": str(running.ca)}  # for the HTTP API
    exports = " ".join(f"{key}={shlex.quote(to)}" for key, to in variables.items())
    return (
        f"An embedded AWS runs at {running.endpoint} (process {running.pid}). To use it:\n\n"
        f"  export {exports}\n\n"
        "Terraform's provider needs `s3_use_path_style = true` too. make aws-down ends it."
    )


if __name__ == "__main__":
    sys.exit(main())
