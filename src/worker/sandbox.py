"""What a sandbox of the function keeps from one order to the next: its `/tmp`, which is emptied.

A sandbox handles order after order, of any run. Each order has folders of its own, but its commands
may write beside them: what they leave there would be read by the next order's, and fill its disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

PREFIX: Final = "iac-ci-"  # of our own folders
_FUNCTION: Final = "AWS_LAMBDA_RUNTIME_API"  # set for what runs as a function, nowhere else


def scratch(environ: Mapping[str, str]) -> Path | None:
    """Return the folder that is ours alone and outlives an order, None outside a function."""
    return Path("/tmp") if _FUNCTION in environ else None  # noqa: S108 - the only one there is


@contextlib.contextmanager
def as_found(folder: Path) -> Iterator[None]:
    """Remove in the end what was put into `folder` within the block; what lay there before stays.

    But for folders of ours: those are of an order whose process died.
    """
    kept = {path for path in folder.iterdir() if not path.name.startswith(PREFIX)}
    try:
        yield
    finally:
        for path in set(folder.iterdir()) - kept:
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder, as far as we may."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
    _open(path)
    shutil.rmtree(path, ignore_errors=True)


def _open(folder: Path) -> None:
    """Give ourselves the folders that a command closed, those within too."""
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                _open(Path(entry.path))
