"""Zips of code: written the same way each time, read as if an enemy had made them.

`CodeZip` collects files under `code/`; `entries` and `unpack` read a zip and refuse what could land
outside its folder or fill the disk. Knows nothing of orders, secrets or where zips lie.
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
from typing import IO, Final

from src.common.errors import BundleError

CODE: Final = "code/"
MAX_ENTRIES: Final = 50_000
MAX_BYTES: Final = 512 * 2**20  # of all files unpacked; a worker's disk holds 2 GiB
MAX_RATIO: Final = 200  # unpacked to packed, once over RATIO_FLOOR; deflate's own limit is 1,032
RATIO_FLOOR: Final = 64 * 2**20
MAX_NAME: Final = 2048  # bytes
MAX_TARGET: Final = 4096  # bytes of a symbolic link's target

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # a zip's earliest time: equal content gives equal bytes
_ENCRYPTED: Final = 0x1
_UNIX: Final = 3
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


@contextmanager
def opened(data: bytes, what: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip in memory; `what` names it in messages.

    Raises:
        BundleError: it is no zip, truncated, or turns out damaged while it is read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
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
    if len(infos) > MAX_ENTRIES:
        raise BundleError(f"reading {what}: {len(infos)} entries, over {MAX_ENTRIES}")
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
    if not is_inside(name):
        raise BundleError(f"reading {what}: entry {info.orig_filename!r} leads out of its folder")
    if info.flag_bits & _ENCRYPTED:
        raise BundleError(f"reading {what}: entry {name!r} is encrypted")
    if info.compress_type not in _METHODS:
        raise BundleError(f"reading {what}: entry {name!r} uses compression {info.compress_type}")
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    if info.is_dir():
        kind = Kind.FOLDER
    elif stat.S_ISLNK(mode):
        kind = Kind.LINK
    elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
        kind = Kind.FILE
    else:
        raise BundleError(f"reading {what}: entry {name!r} is neither file, folder nor link")
    return Entry(name=name, kind=kind, executable=bool(mode & 0o111), info=info)


def is_inside(name: str) -> bool:
    """Return whether a name stays within its folder, as every system understands it."""
    return (
        0 < len(name.encode(errors="replace")) <= MAX_NAME
        and not name.startswith("/")
        and not any(part in ("", ".", "..") for part in name.split("/"))
        and not any(character in name for character in "\\\0")
    )


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


class CodeZip:
    """Collects code into a zip, every name under `code/`; equal input gives equal bytes."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._buffer = io.BytesIO()
        self._zip = zipfile.ZipFile(self._buffer, "w", zipfile.ZIP_DEFLATED)
        self._total = 0

    def file(self, name: str, source: IO[bytes], size: int, *, executable: bool = False) -> None:
        """Add a file of `size` bytes.

        Raises:
            BundleError: the code is too large, or the name leads out of it.
        """
        info = self._info(name, stat.S_IFREG | (0o755 if executable else 0o644), size)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.file_size = size
        with self._zip.open(info, "w") as target:
            shutil.copyfileobj(source, target, 2**20)

    def folder(self, name: str) -> None:
        """Add an empty folder."""
        self._zip.writestr(self._info(name + "/", stat.S_IFDIR | 0o755, 0), b"")

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link.

        Raises:
            BundleError: it leads out of the code.
        """
        check_link(name, target, self._what)
        encoded = target.encode()
        self._zip.writestr(self._info(name, stat.S_IFLNK | 0o777, len(encoded)), encoded)

    def close(self) -> bytes:
        """Return the zip."""
        self._zip.close()
        return self._buffer.getvalue()

    def _info(self, name: str, mode: int, size: int) -> zipfile.ZipInfo:
        if not is_inside(name.removesuffix("/")):
            raise BundleError(f"packing {self._what}: {name!r} leads out of its folder")
        self._total += size
        if self._total > MAX_BYTES:
            raise BundleError(f"packing {self._what}: over {MAX_BYTES} bytes of code")
        if len(self._zip.filelist) >= MAX_ENTRIES:
            raise BundleError(f"packing {self._what}: over {MAX_ENTRIES} files")
        info = zipfile.ZipInfo(CODE + name, _EPOCH)
        info.create_system = _UNIX
        info.external_attr = mode << 16
        return info
