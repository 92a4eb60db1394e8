"""What a sandbox of the function keeps from one order to the next: its `/tmp`, which is emptied.

A sandbox handles order after order, of any run. Each order has folders of its own, but its commands
may write beside them: what they leave there would be read by the next order's, and fill its disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from src.worker.remove import remove

PREFIX: Final = "iac-ci-"  # of our own folders
_FUNCTION: Final = "AWS_LAMBDA_RUNTIME_API"  # set for what runs as a function, nowhere else


def scratch(environ: Mapping[str, str]) -> Path | None:
    """Return the folder that is ours alone and outlives an order, None outside a function."""
    return Path("/tmp") if _FUNCTION in environ else None  # noqa: S108 - the only one there is


@contextlib.contextmanager
def as_found(folder: Path) -> Iterator[None]:
    """Remove in the end what was put into `folder` within the block; what lay there before stays.

    But for folders of ours: those are of an order whose process died, and are none of the next
    one's business, so they go first.
    """
    for path in folder.glob(f"{PREFIX}*"):
        remove(path)
    kept = set(folder.iterdir())
    try:
        yield
    finally:
        for path in set(folder.iterdir()) - kept:
            remove(path)
