"""What code sources read in tests: jobs with repositories, stores in memory, zips looked into."""

from __future__ import annotations

import io
import stat
import zipfile
from typing import Any

from src.common.errors import PackagingError, Permanent
from src.common.job import Job, parse_job


class Objects(dict[str, bytes]):
    """A CodeStore: `bucket/key` -> object; it counts what is asked of it."""

    asked = 0

    def get(self, bucket: str, key: str) -> bytes:  # type: ignore[override]
        self.asked += 1
        try:
            return self[f"{bucket}/{key}"]
        except KeyError:
            raise Permanent(f"reading s3://{bucket}/{key}: missing") from None


class Vault(dict[str, str]):
    """A SecretSource: path -> value."""

    def ssm(self, path: str) -> str:
        try:
            return self[path]
        except KeyError:
            raise Permanent(f"reading {path}: missing") from None

    secretsmanager = ssm


def a_job(*orders: dict[str, Any], **fields: Any) -> Job:
    """Return a job of orders o0, o1, ... with the given sources of code."""
    base = {"cmds": ["true"], "timeout": 60}
    named = [{"order_name": f"o{at}", **base, **order} for at, order in enumerate(orders)]
    return parse_job({"username": "ada", "orders": named, **fields}, file_urls=True)


def contents(code: bytes | None) -> dict[str, str]:
    """Return path -> text of a code zip; links are ` -> target`, executables end in `*`."""
    assert code is not None
    found = {}
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            text = archive.read(info).decode()
            mode = info.external_attr >> 16
            name = info.filename.removeprefix("code/")
            assert name != info.filename
            if stat.S_ISLNK(mode):
                text = f" -> {text}"
            elif mode & 0o111 and not info.is_dir():
                name += "*"
            found[name] = text
    return found


def problems(error: PackagingError) -> dict[str, str]:
    """Return path -> message."""
    return {problem.path: problem.message for problem in error.problems}
