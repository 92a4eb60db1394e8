"""Code that is given in the job itself."""

from __future__ import annotations

import io
from collections.abc import Mapping

from src.common.codezip import CodeZip


def packed(files: Mapping[str, str]) -> bytes:
    """Return a code zip of path -> text.

    Raises:
        BundleError: the files are too large.
    """
    with CodeZip("the inline files") as code:
        for name, text in sorted(files.items()):
            data = text.encode()
            # A script given inline is meant to be run, and its mode cannot be given.
            code.file(name, io.BytesIO(data), len(data), executable=text.startswith("#!"))
    return code.data
