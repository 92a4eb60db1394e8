"""Who the commands run as.

A worker that runs as root (CodeBuild's container) hands its commands to `nobody`: a process of the
same user, and root all the more, may signal the worker, trace it and read what it knows. On Lambda
there is one user alone, and nothing to hand them to.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NOBODY: Final = "nobody"
_FALLBACK: Final = 65534  # the overflow id of the kernel, for an image without such a name


@dataclass(frozen=True, slots=True)
class User:
    """A user and its group, by their ids."""

    uid: int
    gid: int


def unprivileged() -> User | None:
    """Return who shall run commands instead of us, None where this process is not root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_NOBODY)
    except KeyError:
        return User(_FALLBACK, _FALLBACK)
    return User(entry.pw_uid, entry.pw_gid)


def give(folder: Path, user: User) -> None:
    """Make `user` the owner of a folder and of all that lies in it; links are not followed."""
    os.lchown(folder, user.uid, user.gid)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.lchown(os.path.join(parent, name), user.uid, user.gid)  # noqa: PTH118 - hot
