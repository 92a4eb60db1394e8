"""The code of a job's orders: each distinct source is fetched once, for all orders that share it.

`CodeSources` turns every failure into a problem that names the order's field. Knows nothing of
bundles; what it returns are zips with all files under `code/`.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Final, Self, TypeVar

from src.common.errors import BundleError, PackagingError, Permanent, Problem
from src.common.fieldpath import key as field
from src.common.fieldpath import shown
from src.common.git_names import COMMIT
from src.common.job import GitCode, InlineCode, Job, OrderSpec, S3Code
from src.common.limits import PACKED_CODE
from src.common.ports import CodeStore, SecretSource
from src.common.threads import map_at_once
from src.process_webhook.secrets import credential
from src.process_webhook.sources import archive, git, inline
from src.process_webhook.sources.git_process import TIMEOUT_S, Git, GitError

log = logging.getLogger(__name__)

REPOSITORIES_AT_ONCE: Final = 8

_T = TypeVar("_T")


class CodeSources:
    """The sources of one job; a context manager whose end removes clones and keys."""

    def __init__(
        self,
        job: Job,
        *,
        code_store: CodeStore,
        secrets: SecretSource,
        local: bool = False,
        work: Path | None = None,
        environ: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """`work` is where a folder for clones is made; `environ` gives git its PATH and proxies.

        `local` admits file URLs, and repositories on hosts outside the public internet.
        """
        self._job, self._code_store, self._secrets = job, code_store, secrets
        self._local, self._timeout_s, self._stopped = local, timeout_s, stopped
        self._environ = os.environ if environ is None else environ
        self._parent = work
        self._made: dict[object, object] = {}
        self._lock = RLock()

    def __enter__(self) -> Self:
        self._work = Path(tempfile.mkdtemp(prefix="iac-ci-code-", dir=self._parent))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._work, ignore_errors=True)

    def pin(self, job: Job) -> dict[str, str]:
        """Return the commit of each `<repository> <ref>` that orders of the job name.

        Raises:
            PackagingError: with every repository that cannot be read and every ref that is unknown.
        """
        users: dict[str, dict[str, OrderSpec]] = {}
        for order in job.orders:
            if isinstance(order.code, GitCode):
                users.setdefault(order.code.repo, {}).setdefault(order.code.ref, order)

        def look(repo: str) -> dict[str, str | None] | GitError:
            trusted = any(_git_code(order).trusted for order in users[repo].values())
            try:
                return git.refs(self._git(trusted=trusted), repo, users[repo])
            except GitError as error:
                return error

        commits: dict[str, str] = {}
        problems: list[Problem] = []
        for repo, found in zip(users, map_at_once(look, users, REPOSITORIES_AT_ONCE), strict=True):
            orders = users[repo]
            if isinstance(found, GitError):
                problems.append(_unreachable(next(iter(orders.values())), repo, found))
                continue
            for ref, commit in found.items():
                if commit is None:
                    problems.append(_unknown_ref(orders[ref], repo, ref))
                else:
                    commits[f"{repo} {ref}"] = commit
        if problems:
            raise PackagingError(problems)
        return commits

    def code(self, order: OrderSpec, commits: Mapping[str, str]) -> bytes | None:
        """Return an order's code as a zip with its files under `code/`, None for an empty folder.

        `commits` is what `pin` returned, now or in an earlier attempt.

        Raises:
            PackagingError: it cannot be had; the same one for every order of the same source.
        """
        match order.code:
            case None:
                return None
            case InlineCode(files):
                return _packing(field(order.path, "inline"), lambda: inline.packed(files))
            case S3Code() as zipped:
                return self._once(zipped, lambda: self._zip(order, zipped))
            case GitCode() as source:
                commit = commits[source.pin_key]
                self._check_folder(order, source, commit)
                key = (source.repo, commit, "code")
                return self._once(key, lambda: self._repository(order, source, commit))

    def _zip(self, order: OrderSpec, source: S3Code) -> bytes:
        at, what = field(order.path, "s3_location"), f"s3://{source.bucket}/{source.key}"
        try:
            data = self._code_store.get(source.bucket, source.key)
        except Permanent as error:
            log.warning("%s: %s", at, error)
            raise PackagingError([Problem(at, f"{what} cannot be read: {error.told}")]) from None
        return _packing(at, lambda: archive.rerooted(data, what, self._room))

    def _fetched(self, order: OrderSpec, source: GitCode, commit: str) -> git.Commit:
        def fetch() -> git.Commit:
            runner = self._git(trusted=source.trusted)
            try:
                return git.Commit(runner, source.repo, commit, self._work)
            except GitError as error:
                if COMMIT.fullmatch(source.ref):
                    raise PackagingError([_unfetched(order, source, error)]) from None
                raise PackagingError([_unreachable(order, source.repo, error)]) from None

        return self._once((source.repo, commit), fetch)

    def _check_folder(self, order: OrderSpec, source: GitCode, commit: str) -> None:
        def look() -> bool:
            return self._fetched(order, source, commit).has_folder(source.folder)

        if not self._once((source.repo, commit, "folder", source.folder), look):
            what = f"{source.repo} has no folder {shown(source.folder)}"
            message = f"{what} at {source.ref} ({commit})"
            raise PackagingError([Problem(field(order.path, "git_folder"), message)])

    def _repository(self, order: OrderSpec, source: GitCode, commit: str) -> bytes:
        """Pack all of it: `../modules` beside the order's folder belongs to the code."""
        fetched = self._fetched(order, source, commit)
        at = field(order.path, "git_repo") if order.git_repo is not None else "git_repo"
        return _packing(at, lambda: fetched.packed(f"{source.repo} at {source.ref}", self._room))

    @property
    def _room(self) -> int:
        """How many bytes the code that is still to be packed may take."""
        packed = (len(made) for made in self._made.values() if isinstance(made, bytes))
        return PACKED_CODE - sum(packed)

    def _git(self, *, trusted: bool) -> Git:
        """Return git as it may contact a repository: with the job's credentials or without."""

        def make() -> Git:
            folder = self._work / ("trusted" if trusted else "plain")
            folder.mkdir()
            given = self._job.credential_locations if trusted else {}
            found = {name: credential(at, self._secrets, name) for name, at in given.items()}
            return Git(
                folder,
                environ=self._environ,
                token=found.get("git_token_location"),
                ssh_key=found.get("git_ssh_key_location"),
                local=self._local,
                timeout_s=self._timeout_s,
                stopped=self._stopped,
            )

        return self._once(f"git {trusted}", make)

    def _once(self, key: object, make: Callable[[], _T]) -> _T:
        """Return what `make` returned, or raise what it raised, the first time it was asked for."""
        with self._lock:
            made = self._made.get(key)
            if made is None:
                try:
                    made = make()
                except PackagingError as error:
                    made = error
                self._made[key] = made
        if isinstance(made, PackagingError):
            raise made
        return made  # type: ignore[return-value]


def _git_code(order: OrderSpec) -> GitCode:
    assert isinstance(order.code, GitCode)
    return order.code


def _packing(at: str, pack: Callable[[], bytes]) -> bytes:
    try:
        return pack()
    except (BundleError, GitError) as error:
        raise PackagingError([Problem(at, str(error))]) from None


def _unreachable(order: OrderSpec, repo: str, error: GitError) -> Problem:
    at = field(order.path, "git_repo") if order.git_repo is not None else "git_repo"
    return Problem(at, f"{repo} cannot be read: {error}")


def _ref_field(order: OrderSpec) -> str:
    return field(order.path, "git_ref") if order.git_ref is not None else "git_ref"


def _unknown_ref(order: OrderSpec, repo: str, ref: str) -> Problem:
    hint = ""
    if 7 <= len(ref) < 40 and all(digit in "0123456789abcdef" for digit in ref):
        hint = "; a commit needs all of its 40 digits"
    return Problem(_ref_field(order), f"{repo} has no branch or tag {shown(ref)}{hint}")


def _unfetched(order: OrderSpec, source: GitCode, error: GitError) -> Problem:
    message = f"commit {source.ref} of {source.repo} cannot be read: {error}"
    return Problem(_ref_field(order), message)
