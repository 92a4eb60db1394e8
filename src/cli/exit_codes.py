"""What the exit code of `iac-ci` says."""

from __future__ import annotations

from typing import Final

OK: Final = 0
NOT_SUCCEEDED: Final = 1  # failed, timed out or cancelled; nobody answered, or it could not be told
REFUSED: Final = 2  # the job, a file or option beside it, or the caller
INTERRUPTED: Final = 130
