"""Programs that some tests run and that not every machine has."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from typing import Final

import pytest

_VERSION: Final = {"openssl": "version", "ssh": "-V", "unzip": "-v"}  # else --version


def need(*programs: str) -> None:
    """Skip the test that calls where one of the programs is missing."""
    missing = [program for program in programs if not works(program)]
    if missing:
        pytest.skip(f"no {', no '.join(missing)}")


@cache
def works(program: str) -> bool:
    """Return whether a program is there and starts: a shim alone (pyenv, asdf) does not."""
    if shutil.which(program) is None:
        return False
    asked = [program, _VERSION.get(program, "--version")]
    done = subprocess.run(asked, capture_output=True, timeout=60, check=False)
    return done.returncode == 0
