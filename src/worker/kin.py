"""The processes that descend from this one, and how to keep hold of them.

A command may leave its process group or session and lose its parent. On Linux such orphans come
back to us (child subreaper) and are found by walking /proc; elsewhere there is nothing of the kind
and the callers fall back to process groups. Knows processes alone: no orders, no signals sent.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

# linux/prctl.h
_PDEATHSIG: Final = 1
_DUMPABLE: Final = 4
_CHILD_SUBREAPER: Final = 36
_LOOKS: Final = 3


class Kin(NamedTuple):
    """One line of the process table; `zombie` has ended and waits for its parent."""

    pid: int
    parent: int
    session: int
    zombie: bool


def adopt_orphans(*, enabled: bool = True) -> bool:
    """Make descendants that lose their parent our children; False where the system cannot."""
    return _prctl(_CHILD_SUBREAPER, int(enabled))


def end_with_parent() -> None:
    """Have SIGTERM sent to this process when its parent dies (Linux only)."""
    _prctl(_PDEATHSIG, signal.SIGTERM)


def shield() -> None:
    """Keep other processes of the same user from reading our memory and initial environment.

    Without it a command finds the worker's credentials in /proc/<parent>/environ (proc(5),
    PR_SET_DUMPABLE in prctl(2)). A command that runs as root may still be able to.
    """
    _prctl(_DUMPABLE, 0)


def childless() -> bool:
    """Return whether this process has no child, running or ended: one cheap system call."""
    return ended_child() is None


def ended_child() -> int | None:
    """Return a child that has ended and was not waited for, 0 if all run, None without children.

    None as well where children cannot be looked at: outside Linux.
    """
    if sys.platform != "linux":
        return None
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return ended.si_pid if ended else 0


def children() -> list[Kin]:
    """Return the direct children of this process."""
    if childless():
        return []
    own = os.getpid()
    return [kin for kin in _table() if kin.parent == own]


def descendants(spared: frozenset[int]) -> list[Kin]:
    """Return what descends from this process, without the direct children in `spared` and theirs.

    Parents come before their children.

    The process table is not read in one instant: an orphan may show the parent that it had while
    that one is gone already, and so belong to nobody. Nothing is believed to be left only when
    several looks find nothing.
    """
    found: list[Kin] = []
    for _ in range(_LOOKS):
        if found or childless():
            break
        families: dict[int, list[Kin]] = {}
        for kin in _table():
            families.setdefault(kin.parent, []).append(kin)
        found = [kin for kin in families.get(os.getpid(), ()) if kin.pid not in spared]
        for kin in found:  # grows while it goes
            found.extend(families.get(kin.pid, ()))
    return found


def _table() -> Iterator[Kin]:
    for name in os.listdir("/proc") if sys.platform == "linux" else ():  # noqa: PTH208 - bare names
        if not name.isdigit():
            continue
        try:
            line = Path(f"/proc/{name}/stat").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        # "pid (name) state parent group session ...", where the name may hold blanks and brackets
        state, parent, _, session = line[line.rindex(b")") + 2 :].split(None, 4)[:4]
        yield Kin(int(name), int(parent), int(session), state in b"ZX")


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    import ctypes  # 10 ms that only those pay who need it

    zero = ctypes.c_ulong(0)
    prctl = ctypes.CDLL(None).prctl
    return bool(prctl(option, ctypes.c_ulong(value), zero, zero, zero) == 0)
