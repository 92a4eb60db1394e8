"""What a process and all that descends from it hold in memory at once (Linux: /proc)."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_LOOK_S = 0.05  # between two looks: what lives shorter may be missed


def peak_mb(command: Sequence[str]) -> float | None:
    """Run a command; return the most MB that its processes held together, None without /proc.

    Proportional set size: a page that processes share counts once.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        most = 0.0
        while process.poll() is None:
            most = max(most, sum(_held_mb(pid) for pid in _family(process.pid)))
            time.sleep(_LOOK_S)
    return most


def _family(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - bare names
        line = _text(f"/proc/{name}/stat")
        if line:  # "pid (name) state parent ...", where the name may hold blanks and brackets
            parent = int(line[line.rindex(")") + 2 :].split()[1])
            children.setdefault(parent, []).append(int(name))
    found = [root]
    for pid in found:  # grows while it goes
        found += children.get(pid, [])
    return found


def _held_mb(pid: int) -> float:
    lines = _text(f"/proc/{pid}/smaps_rollup").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # it ended meanwhile
        return ""
