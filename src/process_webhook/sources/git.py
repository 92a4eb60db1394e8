"""Code from repositories, by the real git: nothing asked, nothing trusted, nothing left behind.

A commit is fetched into a bare repository and read with `git archive`: no checkout, hence no hooks,
filters or submodules. Credentials reach git by its environment alone. Knows no job.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from src.common.codezip import CodeZip
from src.common.git_names import COMMIT
from src.process_webhook.sources.git_process import Git, GitError

# Files of a commit as they are: `export-ignore` would leave some out, `export-subst` change others.
_ATTRIBUTES: Final = "* -export-ignore -export-subst\n"


def refs(git: Git, repo: str, wanted: Iterable[str]) -> dict[str, str | None]:
    """Return the commit that each branch, tag or full ref name stands for now, None if unknown.

    A branch goes before a tag of the same name. A full commit is its own answer, without a look.

    Raises:
        GitError: the repository cannot be read.
    """
    names = list(dict.fromkeys(wanted))
    asked = [name for name in names if not COMMIT.fullmatch(name)]
    found: dict[str, str] = {}
    if asked:
        patterns = [pattern for name in asked for pattern in _candidates(name)]
        for line in git.run(repo, "ls-remote", "--quiet", "--", repo, *patterns).splitlines():
            commit, _, ref = line.partition("\t")
            found[ref] = commit
    answer: dict[str, str | None] = {}
    for name in names:
        hits = [found[ref] for ref in _candidates(name) if ref in found]
        answer[name] = name if COMMIT.fullmatch(name) else next(iter(hits), None)
    return answer


def _candidates(name: str) -> list[str]:
    """Return the full refs that a name may mean, best first; `^{}` is a tag's commit."""
    full = [name] if name == "HEAD" or name.startswith("refs/") else []
    full += [f"refs/heads/{name}", f"refs/tags/{name}", f"refs/{name}"]
    return [ref for base in full for ref in (base + "^{}", base)]


class Commit:
    """One commit of a repository, fetched once; its folders are read from there."""

    def __init__(self, git: Git, repo: str, commit: str, work: Path) -> None:
        """Fetch the commit into a folder below `work`.

        Raises:
            GitError: the repository cannot be read or has no such commit.
        """
        self._git, self._repo, self._commit = git, repo, commit
        name = hashlib.sha256(f"{repo} {commit}".encode()).hexdigest()[:24]
        self._folder = work / f"{name}.git"
        kind = "sha256" if len(commit) == 64 else "sha1"
        options = ("--bare", "--quiet", "--template=", f"--object-format={kind}")
        git.run(None, "init", *options, str(self._folder))
        (self._folder / "info").mkdir(exist_ok=True)
        (self._folder / "info" / "attributes").write_text(_ATTRIBUTES)
        self._fetch()

    def _fetch(self) -> None:
        try:
            self._run("fetch", "--depth=1", *_QUIET, "--", self._repo, self._commit)
        except GitError:
            # Some servers hand out only what a ref points at now: take all that refs lead to.
            everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            self._run("fetch", *_QUIET, "--", self._repo, *everything)
        if not self._has_commit():
            raise GitError(f"the repository has no commit {self._commit}")

    def _has_commit(self) -> bool:
        return self._is(f"{self._commit}^{{commit}}", "commit")

    def has_folder(self, folder: str) -> bool:
        """Return whether the commit has such a folder."""
        return folder == "." or self._is(f"{self._commit}:{folder}", "tree")

    def _is(self, name: str, kind: str) -> bool:
        try:
            return self._run("cat-file", "-t", name).strip() == kind
        except GitError:
            return False

    def packed(self, what: str, room: int) -> bytes:
        """Return a code zip of the commit's files, of at most `room` bytes; `what` names them.

        Raises:
            BundleError: they are too large, or a link leads out of the repository.
            GitError: git could not read it.
        """
        tar = self._folder / "code.tar"
        # Of its tree: the archive of a commit begins with a header, and where no file follows (an
        # empty repository) tarfile takes it for none.
        self._run("archive", "--format=tar", f"--output={tar}", f"{self._commit}^{{tree}}")
        try:
            with tarfile.open(tar) as archive, CodeZip(what, room) as code:
                for member in archive:
                    if member.issym():
                        code.link(member.name, member.linkname)
                    elif member.isreg() and (source := archive.extractfile(member)) is not None:
                        executable = bool(member.mode & 0o111)
                        code.file(member.name, source, member.size, executable=executable)
        finally:
            tar.unlink(missing_ok=True)
        return code.data

    def _run(self, *arguments: str) -> str:
        return self._git.run(self._repo, *arguments, folder=self._folder)


_QUIET: Final = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
