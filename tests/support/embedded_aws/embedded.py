"""Starts and ends the server's process, for tests and for a person at a terminal."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.support.embedded_aws.options import KEY, ROOT, Options

START_S: Final = 60.0  # it takes one; a busy machine ten
END_S: Final = 20.0


class EmbeddedAwsError(Exception):
    """It did not start; the message has the end of its log."""


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    pid: int
    endpoint: str
    ca: Path
    region: str
    account: str

    @property
    def environment(self) -> dict[str, str]:
        """What makes AWS's tools and libraries use it, as the account's root."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.ca),
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def client(self, service: str, **credentials: str) -> Any:
        """Return a boto3 client, the account's root unless other credentials are given."""
        from boto3.session import Session
        from botocore.config import Config

        root = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}
        session = Session(**{**root, **credentials}, region_name=self.region)  # type: ignore[arg-type]
        return session.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint,
            verify=str(self.ca),
            config=Config(retries={"total_max_attempts": 2}),
        )


class EmbeddedAws:
    """A context manager; nothing of it outlives the block, or this process, but kept state."""

    def __init__(self, options: Options) -> None:
        self.options = options.absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._running: Running | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def running(self) -> Running:
        """How to reach it."""
        assert self._running is not None, "it was not started"
        return self._running

    def start(self) -> Running:
        """Start it and wait until it answers.

        Raises:
            EmbeddedAwsError: it ended instead, or did not answer in time.
        """
        files = self.options.files
        files.folder.mkdir(parents=True, exist_ok=True)
        with files.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.embedded_aws.server", self.options.as_json()],
                cwd=ROOT,
                env={name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
                stdin=subprocess.PIPE if self.options.tied else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C is for who started it
            )
        try:
            self._running = self._await()
        except BaseException:
            self.stop()
            raise
        return self._running

    def _await(self) -> Running:
        assert self._process is not None
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise EmbeddedAwsError(f"the embedded AWS did not start: {self._last_words()}")
            found = running_in(self.options)
            if found is not None and found.pid == self._process.pid and _answers(found):
                return found
            time.sleep(0.05)
        raise EmbeddedAwsError(f"no answer within {START_S:g} s: {self._last_words()}")

    def _last_words(self) -> str:
        return self.options.files.log.read_text(errors="replace").strip()[-2000:]

    def stop(self) -> None:
        """End it; remove its folder, unless its state is kept."""
        if self._process is not None:
            self._process.terminate()
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = self._running = None
        remove(self.options)


def running_in(options: Options) -> Running | None:
    """Return the server that says it runs in that folder."""
    try:
        said: dict[str, Any] = json.loads(options.files.running.read_text())
    except (OSError, ValueError):
        return None
    return Running(said["pid"], said["endpoint"], Path(said["ca"]), said["region"], said["account"])


def remove(options: Options) -> None:
    """Remove a folder of a server that ended, or all in it but the state that is kept."""
    if not options.keep:
        shutil.rmtree(options.folder, ignore_errors=True)
        return
    for path in options.folder.iterdir() if options.folder.is_dir() else ():
        if path.is_file():
            path.unlink(missing_ok=True)
    shutil.rmtree(options.files.temporary, ignore_errors=True)


def _answers(running: Running) -> bool:
    with suppress(OSError):
        trust = ssl.create_default_context(cafile=running.ca)
        url = f"{running.endpoint}/_ministack/health"
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    return False
