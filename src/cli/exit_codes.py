"""What the exit code of `iac-ci` says."""

from __future__ import annotations

from typing import Final

OK: Final = 0
NOT_SUCCEEDED: Final = 1  # failed, timed out or cancelled
REFUSED: Final = 2  # the job, or a file beside it, cannot be run
INTERRUPTED: Final = 130
