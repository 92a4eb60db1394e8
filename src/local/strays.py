"""Ending what a worker process left behind. Knows processes alone, as `src.worker.kin` does."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Final

from src.worker import kin

_TURN_S: Final = 0.002
_PATIENCE_S: Final = 5.0


def end_strays(spared: frozenset[int]) -> None:
    """End commands whose worker died: ours by adoption, and in sessions of their own."""
    own = os.getsid(0)
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        strays = [one for one in kin.descendants(spared) if one.session != own]
        for one in strays:
            with contextlib.suppress(OSError):
                if not one.zombie:
                    os.kill(one.pid, signal.SIGKILL)
                elif one.parent == os.getpid():
                    os.waitpid(one.pid, os.WNOHANG)
        if not strays:
            return
        time.sleep(_TURN_S)
