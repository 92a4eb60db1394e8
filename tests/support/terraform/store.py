"""Results made once: by whichever process comes first, under a lock, kept between runs by a key.

It knows nothing of terraform. A result is JSON; a failure is kept for the run only.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_KEEP_S: Final = 14 * 86_400


def digest(*parts: Any) -> str:
    """Return a key of JSON-able parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock among processes; it ends with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write(path: Path, value: Any) -> None:
    """Write JSON so that readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.new")
    draft.write_text(json.dumps(value))
    draft.replace(path)


def read(path: Path) -> Any | None:
    """Return what was written there; None: nothing, or nothing readable."""
    try:
        value = json.loads(path.read_text())
        os.utime(path)  # in use: `prune` spares it
    except (OSError, ValueError):
        return None
    return value


def make_once(path: Path, make: Callable[[], Any]) -> Any:
    """Return the stored result, made now if it is not there; the others wait for it."""
    found = read(path)
    if found is None:
        with locked(path.with_suffix(".lock")):
            found = read(path)
            if found is None:
                found = make()
                write(path, found)
    return found


def prune(folder: Path) -> None:
    """Remove results that nobody used for two weeks."""
    before = time.time() - _KEEP_S
    for path in folder.glob("*.json"):
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)
