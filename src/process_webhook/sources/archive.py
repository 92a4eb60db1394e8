"""Code from a zip that a user put in a bucket: checked as hostile, then packed anew."""

from __future__ import annotations

from src.common import zips
from src.common.codezip import CodeZip


def rerooted(data: bytes, what: str, room: int) -> bytes:
    """Return a code zip of the same files, every byte of them read and its checksum compared.

    It takes `room` bytes at most.

    Raises:
        BundleError: it is corrupt, hostile or too large; `what` names it.
    """
    with zips.opened(data, what) as archive, CodeZip(what, room) as code:
        for entry in zips.entries(archive, len(data), what):
            match entry.kind:
                case zips.Kind.FOLDER:
                    code.folder(entry.name)
                case zips.Kind.LINK:
                    code.link(entry.name, zips.link_target(archive, entry, what))
                case zips.Kind.FILE:
                    with archive.open(entry.info) as source:
                        code.file(
                            entry.name, source, entry.info.file_size, executable=entry.executable
                        )
    return code.data
