"""One function that starts git: its environment, its limits, and what may be told of its failures.

git gets an environment made from nothing, so that no configuration, hook, helper or prompt of the
machine takes part. A token travels as configuration in that environment, a key as a file of mode
0600 in the work folder: never in arguments, which every user of a machine can read.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from src.common.errors import Transient

TIMEOUT_S: Final = 120
_LOOK_S: Final = 0.2  # between two looks whether to stop
STALLED_S: Final = 30  # below a thousand bytes per second for so long: given up
_TOLD: Final = 400  # characters of git's own words in a message

_INHERITED: Final = (
    *("PATH", "TMPDIR", "SSH_AUTH_SOCK"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"),
    *("HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "https_proxy", "no_proxy", "all_proxy"),
)
_WORTH_TELLING: Final = re.compile(r"^(?:fatal|error|remote|ssh):|denied|not found", re.IGNORECASE)


class GitError(Exception):
    """git could not do it; the message is git's own and holds no credential."""


class Git:
    """Starts git for repositories that may see a job's credentials, or for those that may not."""

    def __init__(
        self,
        work: Path,
        *,
        environ: Mapping[str, str],
        token: str | None = None,
        ssh_key: str | None = None,
        file_urls: bool = False,
        timeout_s: float = TIMEOUT_S,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._work, self._token, self._timeout_s = work, token, timeout_s
        self._stopped = stopped
        self._hidden = [secret for secret in (token, ssh_key) if secret]
        self._environ = {name: environ[name] for name in _INHERITED if name in environ}
        self._environ |= {
            "HOME": str(work),
            "LC_ALL": "C",
            "GIT_CEILING_DIRECTORIES": str(work.parent),
            "GIT_ALLOW_PROTOCOL": "https:ssh:file" if file_urls else "https:ssh",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_SSH_COMMAND": _ssh_command(work, ssh_key),
            "GIT_TERMINAL_PROMPT": "0",
        }

    def run(self, repo: str | None, *arguments: str, folder: Path | None = None) -> str:
        """Run git to its end and return its output; `repo` is what it may contact.

        Raises:
            GitError: it failed, or took too long (it is ended then, with all it started).
        """
        try:
            process = subprocess.Popen(
                ["git", *arguments],
                cwd=folder or self._work,
                env=self._environ | dict(self._configuration(repo)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise GitError(f"git cannot be started: {error}") from None
        try:
            output, errors = self._ended(process, arguments[0])
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        if process.returncode:
            raise GitError(
                self._told(errors.decode(errors="replace")) or f"git {arguments[0]} failed"
            )
        return output.decode(errors="replace")

    def _ended(self, process: subprocess.Popen[bytes], what: str) -> tuple[bytes, bytes]:
        until = time.monotonic() + self._timeout_s
        while True:
            try:
                return process.communicate(timeout=_LOOK_S)
            except subprocess.TimeoutExpired:
                if self._stopped():
                    raise Transient(f"git {what} was stopped") from None
                if time.monotonic() >= until:
                    raise GitError(f"git {what} took over {self._timeout_s:g} s") from None

    def _configuration(self, repo: str | None) -> Iterator[tuple[str, str]]:
        settings = {
            "core.hooksPath": os.devnull,
            "core.askPass": "",
            "credential.helper": "",
            "fetch.recurseSubmodules": "false",
            "gc.auto": "0",
            "http.lowSpeedLimit": "1000",
            "http.lowSpeedTime": str(STALLED_S),
            "maintenance.auto": "false",
            "protocol.ext.allow": "never",
            "submodule.recurse": "false",
        }
        if self._token is not None and repo is not None and repo.startswith("https://"):
            # For this host alone; user names beside tokens are a formality that most hosts ignore.
            user = self._token if ":" in self._token else f"x-access-token:{self._token}"
            basic = base64.b64encode(user.encode()).decode()
            parts = urlsplit(repo)
            settings[f"http.https://{parts.netloc}/.extraHeader"] = f"Authorization: Basic {basic}"
        yield "GIT_CONFIG_COUNT", str(len(settings))
        for at, (name, value) in enumerate(settings.items()):
            yield f"GIT_CONFIG_KEY_{at}", name
            yield f"GIT_CONFIG_VALUE_{at}", value

    def _told(self, errors: str) -> str:
        """Return what is worth telling of git's complaints, in one line."""
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        told = [line for line in lines if _WORTH_TELLING.search(line)] or lines
        text = "; ".join(dict.fromkeys(told))
        for secret in self._hidden:
            text = text.replace(secret, "***")
        return "".join(c if c.isprintable() else " " for c in text)[:_TOLD]


def _ssh_command(work: Path, key: str | None) -> str:
    options = [
        "BatchMode=yes",
        "ConnectTimeout=20",
        f"ServerAliveInterval={STALLED_S}",
        "ServerAliveCountMax=2",
        # A fresh machine knows no hosts: the first key is taken, a changed one is not.
        "StrictHostKeyChecking=accept-new",
        f"UserKnownHostsFile={work / 'known_hosts'}",
    ]
    command = "ssh -F none"
    if key is not None:
        path = work / "ssh_key"
        path.touch(mode=0o600)
        path.write_text(key.replace("\r\n", "\n").rstrip("\n") + "\n")
        command += f" -i '{path}' -o IdentitiesOnly=yes"
    return command + "".join(f" -o '{option}'" for option in options)
