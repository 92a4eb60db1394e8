"""Git repositories for tests, made on the fly by the real git."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ENVIRON: Final = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_NAME": "Ada" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "ada@example.org" for who in ("AUTHOR", "COMMITTER")},
}


@dataclass(frozen=True)
class Repo:
    """A repository with a working tree."""

    folder: Path

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def git(self, *arguments: str) -> str:
        options = ("-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always")
        return subprocess.run(
            ["git", *options, *arguments],
            cwd=self.folder,
            env=_ENVIRON,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def commit(self, files: dict[str, str], *, executable: tuple[str, ...] = ()) -> str:
        """Write files, commit everything, return the commit."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name in executable:
            (self.folder / name).chmod(0o755)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")


def new_repo(folder: Path, files: dict[str, str] | None = None) -> Repo:
    """Make a repository on branch `main`; with files, it has a first commit."""
    folder.mkdir(parents=True)
    repo = Repo(folder)
    repo.git("init", "--quiet")
    if files is not None:
        repo.commit(files)
    return repo
