"""Reading a file that a user named: bounded in size, never waiting for what cannot come."""

from __future__ import annotations

import os
import select
import stat
import sys
from pathlib import Path
from typing import Final

STDIN: Final = "-"  # the path that means what is piped into this program
MAX_BYTES: Final = 4 * 2**20  # as for a request's body
_PIECE: Final = 2**16
_KINDS: Final = {
    stat.S_IFDIR: "is a directory",
    stat.S_IFCHR: "is a device, no file",
    stat.S_IFBLK: "is a device, no file",
}


def read(path: Path) -> bytes:
    """Return what is in a file, or comes through a pipe (as of `<(command)`) until it is closed.

    Raises:
        ValueError: saying why it cannot be read: `cannot be read: No such file or directory`.
    """
    data = _of_stdin() if str(path) == STDIN else _of_file(path)
    if len(data) > MAX_BYTES:
        raise ValueError(f"is over {MAX_BYTES} bytes")
    return data


def _of_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise ValueError("cannot be read: nothing is piped into stdin")
    try:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


def _of_file(path: Path) -> bytes:
    try:
        # Opening a named pipe without a writer would wait for one, and so would a terminal's line.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: a path that holds a NUL
        raise ValueError(f"cannot be read: {getattr(error, 'strerror', error)}") from None
    try:
        kind = stat.S_IFMT(os.fstat(handle).st_mode)
        if kind in _KINDS:
            raise ValueError(f"cannot be read: it {_KINDS[kind]}")
        data = _drained(handle)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    finally:
        os.close(handle)
    if kind == stat.S_IFIFO and not data:
        raise ValueError("cannot be read: it is a pipe, and nobody writes to it")
    return data


def text(path: Path) -> str:
    """Return the text in a file, read as `read` does, without a byte order mark.

    Raises:
        ValueError: saying why it cannot be read, or that it is not UTF-8.
    """
    try:
        return read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 (byte {error.start})") from None


def _drained(handle: int) -> bytes:
    data = bytearray()
    while len(data) <= MAX_BYTES:
        try:
            piece = os.read(handle, _PIECE)
        except BlockingIOError:  # there is a writer, which takes its time
            select.select([handle], [], [])
            continue
        if not piece:
            break
        data += piece
    return bytes(data)
