"""Zips of code, read as if an enemy had made them.

`entries` and `unpack` refuse what could land outside its folder or fill the disk. Knows nothing of
orders, secrets or where zips lie; `src.common.codezip` writes them.
"""

from __future__ import annotations

import io
import os
import posixpath
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from src.common.errors import BundleError

CODE: Final = "code/"
MAX_ENTRIES: Final = 50_000
MAX_BYTES: Final = 512 * 2**20  # of all files unpacked; a worker's disk holds 2 GiB
MAX_RATIO: Final = 200  # unpacked to packed, once over RATIO_FLOOR; deflate's own limit is 1,032
RATIO_FLOOR: Final = 64 * 2**20
MAX_NAME: Final = 2048  # bytes
MAX_TARGET: Final = 4096  # bytes of a symbolic link's target

_ENTRY: Final = b"PK\x01\x02"  # begins each entry of a zip's directory
_ENCRYPTED: Final = 0x1
UNIX: Final = 3
_METHODS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class Kind(Enum):
    """What an entry of a zip is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a zip; `name` is relative, without a trailing slash."""

    name: str
    kind: Kind
    executable: bool
    info: zipfile.ZipInfo


class _Packed(io.BytesIO):
    """A zip in memory that is not opened when it has too many entries.

    `zipfile` reads the directory at once, and makes half a kilobyte of each entry of 46 bytes.
    """

    opening = True

    def __init__(self, data: bytes, what: str) -> None:
        super().__init__(data)
        self._what = what

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if self.opening and (count := found.count(_ENTRY)) > MAX_ENTRIES:
            raise BundleError(f"reading {self._what}: {count} entries, over {MAX_ENTRIES}")
        return found


@contextmanager
def opened(data: bytes, what: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip in memory; `what` names it in messages.

    Raises:
        BundleError: it is no zip, truncated, has too many entries, or turns out damaged while it is
            read.
    """
    packed = _Packed(data, what)
    try:
        with zipfile.ZipFile(packed) as archive:
            packed.opening = False
            yield archive
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        UnicodeError,
        ValueError,
        OverflowError,
    ) as error:
        raise BundleError(f"reading {what}: not a sound zip ({error})") from None


def entries(archive: zipfile.ZipFile, packed: int, what: str) -> list[Entry]:
    """Return the entries of a zip of `packed` bytes, checked.

    Raises:
        BundleError: an entry escapes, appears twice, is encrypted or of an unknown kind, or all of
            them are too much.
    """
    infos = archive.infolist()
    total = sum(info.file_size for info in infos)
    if total > MAX_BYTES:
        raise BundleError(f"reading {what}: {total} bytes unpacked, over {MAX_BYTES}")
    if total > max(RATIO_FLOOR, MAX_RATIO * packed):
        raise BundleError(f"reading {what}: {total} bytes in {packed}, a zip bomb")
    found: dict[str, Entry] = {}
    for info in infos:
        entry = _entry(info, what)
        if entry.name in found:
            raise BundleError(f"reading {what}: entry {entry.name!r} appears twice")
        found[entry.name] = entry
    return list(found.values())


def _entry(info: zipfile.ZipInfo, what: str) -> Entry:
    # zipfile cuts names at a NUL; the name as stored must be free of it.
    name = info.orig_filename.removesuffix("/")
    if why := misplaced(name):
        raise BundleError(f"reading {what}: entry {info.orig_filename!r} {why}")
    if info.flag_bits & _ENCRYPTED:
        raise BundleError(f"reading {what}: entry {name!r} is encrypted")
    if info.compress_type not in _METHODS:
        raise BundleError(f"reading {what}: entry {name!r} uses compression {info.compress_type}")
    mode = info.external_attr >> 16 if info.create_system == UNIX else 0
    if info.is_dir():
        kind = Kind.FOLDER
    elif stat.S_ISLNK(mode):
        kind = Kind.LINK
    elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
        kind = Kind.FILE
    else:
        raise BundleError(f"reading {what}: entry {name!r} is neither file, folder nor link")
    return Entry(name=name, kind=kind, executable=bool(mode & 0o111), info=info)


def misplaced(name: str) -> str | None:
    """Return why a name may not be in a zip of code, None of one that stays within its folder.

    As every system understands it: what separates folders on another one is refused too.
    """
    if not is_text(name):
        return "is no UTF-8"
    if name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
        return "leads out of its folder"
    if "\\" in name or "\0" in name:
        return "holds a backslash or NUL"
    return f"is over {MAX_NAME} bytes" if len(name.encode()) > MAX_NAME else None


def is_text(name: str) -> bool:
    """Return whether a name can be encoded: of bytes that are no UTF-8 Python keeps halves."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def link_target(archive: zipfile.ZipFile, entry: Entry, what: str) -> str:
    """Return a symbolic link's target.

    Raises:
        BundleError: it is absolute, or leads out of the folder as far as names tell.
    """
    if entry.info.file_size > MAX_TARGET:
        raise BundleError(
            f"reading {what}: link {entry.name!r} has a target of over {MAX_TARGET} bytes"
        )
    target = archive.read(entry.info).decode()
    check_link(entry.name, target, what)
    return target


def check_link(name: str, target: str, what: str) -> None:
    """Refuse a link whose target lies outside the folder.

    Raises:
        BundleError: naming the link.
    """
    end = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if not is_text(target):
        raise BundleError(f"reading {what}: the target of link {name!r} is no UTF-8")
    if not target or "\0" in target or target.startswith("/") or end.split("/")[0] == "..":
        raise BundleError(f"reading {what}: link {name!r} leads out of its folder, to {target!r}")


def unpack(archive: zipfile.ZipFile, found: list[Entry], folder: Path, what: str) -> None:
    """Write entries into `folder`, which exists; their names are taken below `code/`.

    Raises:
        BundleError: a link leads out of the folder, or names exclude each other (a file as folder).
    """
    try:
        made: set[Path] = {folder}
        for entry in found:
            path = folder / entry.name.removeprefix(CODE)
            parent = path if entry.kind is Kind.FOLDER else path.parent
            if parent not in made:
                parent.mkdir(parents=True, exist_ok=True)
                made.add(parent)
            if entry.kind is Kind.FILE:
                _write(archive, entry, path)
        # Links come last, so that nothing is ever written through one.
        links = [entry for entry in found if entry.kind is Kind.LINK]
        for entry in links:
            link = folder / entry.name.removeprefix(CODE)
            link.symlink_to(link_target(archive, entry, what))
    except OSError as error:
        raise BundleError(f"unpacking {what}: {error}") from None
    # Links through links: what names do not tell, the file system does.
    root = os.path.realpath(folder)
    for entry in links:
        end = os.path.realpath(folder / entry.name.removeprefix(CODE))
        if end != root and not end.startswith(root + os.sep):
            raise BundleError(f"unpacking {what}: link {entry.name!r} leads out of its folder")


def _write(archive: zipfile.ZipFile, entry: Entry, path: Path) -> None:
    mode = 0o755 if entry.executable else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with archive.open(entry.info) as source, os.fdopen(os.open(path, flags, mode), "wb") as target:
        shutil.copyfileobj(source, target, 2**20)
