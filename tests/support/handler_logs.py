"""What the handlers log, as it goes to CloudWatch."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from src.common import log


@contextmanager
def handler_logs(service: str = "process_webhook") -> Iterator[io.StringIO]:
    """Have `src` log as a function on AWS does; yields what is written meanwhile."""
    root = logging.getLogger("src")
    before = (root.handlers[:], root.level, root.propagate)
    log.set_up(service)
    written = io.StringIO()
    for handler in root.handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(written)
    try:
        yield written
    finally:
        root.handlers[:], root.level, root.propagate = before


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    """Return the objects of the lines that were written."""
    return [json.loads(line) for line in written.getvalue().splitlines()]
