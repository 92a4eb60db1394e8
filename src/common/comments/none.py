"""The port's answer where there is no pull request to report on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.common.records import Run


class NoComments:
    """Comments on nothing."""

    def opened(self, run: Run, job: Mapping[str, Any], token: str | None) -> str | None:
        """Return None: no comment was made."""
        del run, job, token
        return None

    def closed(self, run: Run, summary: Mapping[str, Any]) -> None:
        """Do nothing."""
        del run, summary
