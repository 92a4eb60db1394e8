"""Code as a zip, written the same way each time: equal files give equal bytes.

Every name lies under `code/`, as a bundle wants it. Knows nothing of where code comes from.
"""

from __future__ import annotations

import io
import shutil
import stat
import zipfile
from types import TracebackType
from typing import IO, Any, Final, Self

from src.common.errors import BundleError
from src.common.limits import PACKED_CODE
from src.common.zips import CODE, MAX_BYTES, MAX_ENTRIES, UNIX, check_link, misplaced

EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can say


class CodeZip:
    """Collects the files of one source within a `with` block; `data` is the zip after it.

    `what` names the source in messages; `room` is how many bytes the zip may take.
    """

    def __init__(self, what: str, room: int = PACKED_CODE) -> None:
        self._what = what
        self._buffer = _Bounded(room, what)
        self._zip = zipfile.ZipFile(self._buffer, "w", zipfile.ZIP_DEFLATED)
        self._total = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    @property
    def data(self) -> bytes:
        """The zip, complete once the block has ended."""
        return self._buffer.getvalue()

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

    def _info(self, name: str, mode: int, size: int) -> zipfile.ZipInfo:
        if why := misplaced(name.removesuffix("/")):
            raise BundleError(f"packing {self._what}: {name!r} {why}")
        self._total += size
        if self._total > MAX_BYTES:
            raise BundleError(f"packing {self._what}: over {MAX_BYTES} bytes of code")
        if len(self._zip.filelist) >= MAX_ENTRIES:
            raise BundleError(f"packing {self._what}: over {MAX_ENTRIES} files")
        info = zipfile.ZipInfo(CODE + name, EPOCH)
        info.create_system = UNIX
        info.external_attr = mode << 16
        return info


class _Bounded(io.BytesIO):
    """Memory with an end."""

    def __init__(self, room: int, what: str) -> None:
        super().__init__()
        self._room, self._what, self._full = room, what, False

    def write(self, data: Any) -> int:
        """Append, once too much: raise; after that nothing is kept, so that closing does not."""
        size = memoryview(data).nbytes
        if self._full:
            return size
        if self.tell() + size > self._room:
            self._full = True
            raise BundleError(
                f"packing {self._what}: over the {self._room} bytes that are left of the"
                f" {PACKED_CODE} which all code of a job may take packed"
            )
        return super().write(data)
