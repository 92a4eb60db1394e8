"""Removing what commands left, whatever it is: strangers made it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path
from typing import Final

# For what Python gives up on: closed folders, and trees deeper than its stack. They follow no link.
_TOOLS: Final = (("chmod", "-R", "u+rwX", "--"), ("rm", "-rf", "--"))


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all in it, as far as we may; never raises for it."""
    with contextlib.suppress(OSError, RecursionError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)
        return
    if path.is_symlink():
        return
    for tool in _TOOLS:
        with contextlib.suppress(OSError):
            subprocess.run(
                [*tool, str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
