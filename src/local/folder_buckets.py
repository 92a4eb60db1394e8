"""Buckets of a local run: each is a folder of this machine, read and never written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from src.common.errors import Permanent
from src.common.limits import check_packed


class FolderBuckets:
    """CodeStore on folders by bucket name; a key is the path of a file below the folder."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = {name: folder.resolve() for name, folder in folders.items()}

    def get(self, bucket: str, key: str) -> bytes:
        """Return the object; Permanent when it is missing, too large or may not be read."""
        folder = self._folders.get(bucket)
        if folder is None:
            raise Permanent(f"no folder stands for the bucket: --bucket {bucket}=DIR names one")
        path = folder / key
        try:
            # As S3 knows no links and no "..": nothing outside is an object of this bucket.
            if not (path.is_file() and path.resolve().is_relative_to(folder)):
                raise Permanent(f"there is no file {key} in {folder}")
            check_packed(path.stat().st_size, f"reading {path}")
            return path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a key that holds a NUL
            raise Permanent(f"reading {path}: {getattr(error, 'strerror', error)}") from None
