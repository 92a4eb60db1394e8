"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from src.cli.problems import FileRefused
from src.common.errors import Problem


def replace(path: Path, text: str) -> None:
    """Write a file in UTF-8 beside `path` and move it there; half characters are spelled out.

    A symbolic link stays one: what it points to is replaced.

    Raises:
        OSError: it cannot be written; what lay there before still does.
    """
    place = path.resolve()
    partial = _beside(place)
    try:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def check_replaceable(path: Path, option: str, *, used: Iterable[Path] = ()) -> None:
    """Find out now whether `replace` will work, by trying: later would lose what was to be kept.

    Args:
        path: where the file is to lie.
        option: gave the path; messages name it.
        used: files that the same command reads or writes.

    Raises:
        FileRefused: it will not work, or would overwrite one of `used`.
    """
    if path.is_dir():
        raise FileRefused(path, [Problem(option, "is a folder: name a file")])
    if str(path) == "-":
        raise FileRefused(path, [Problem(option, "is no file, and no page goes to stdout")])
    if path.exists() and not path.is_file():
        raise FileRefused(path, [Problem(option, "is no plain file")])
    if not path.parent.exists():
        raise FileRefused(path, [Problem(option, f"there is no folder {path.parent}")])
    if path.resolve() in {other.resolve() for other in used}:
        raise FileRefused(path, [Problem(option, "would overwrite a file of this same command")])
    partial = _beside(path.resolve())
    try:
        partial.touch(exist_ok=False)
        partial.unlink()
    except OSError as error:
        raise FileRefused(path, [Problem(option, f"cannot be written: {error.strerror}")]) from None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep others who ask for the same folder waiting, so that what is written there fits together.

    A file system that knows no locks keeps nobody waiting.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _beside(path: Path) -> Path:
    return path.with_name(f".{uuid4().hex}.partial")
