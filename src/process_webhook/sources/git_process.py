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

from src.common.errors import Permanent, Transient
from src.common.git_names import git_endpoint
from src.common.public_hosts import public_addresses

TIMEOUT_S: Final = 120
_LOOK_S: Final = 0.2  # between two looks whether to stop
STALLED_S: Final = 30  # below a thousand bytes per second for so long: given up
_TOLD: Final = 400  # characters of git's own words in a message

_INHERITED: Final = (
    *("PATH", "TMPDIR", "SSH_AUTH_SOCK"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"),
    *("HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "https_proxy", "no_proxy", "all_proxy"),
)
_PROXIES: Final = ("HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy")
_REDIRECTED: Final = re.compile(r"returned error: 30[1278]")
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
        local: bool = False,
        timeout_s: float = TIMEOUT_S,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._work, self._token, self._timeout_s = work, token, timeout_s
        self._local, self._stopped = local, stopped
        self._hidden = [secret for secret in (token, ssh_key) if secret]
        self._environ = {name: environ[name] for name in _INHERITED if name in environ}
        self._environ |= {
            "HOME": str(work),
            "LC_ALL": "C",
            "GIT_CEILING_DIRECTORIES": str(work.parent),
            "GIT_ALLOW_PROTOCOL": "https:ssh:file" if local else "https:ssh",
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
            GitError: it failed, took too long (it is ended then, with all it started), or the host
                is none of the public internet.
        """
        environ = self._environ | self._contacting(repo)
        try:
            process = subprocess.Popen(
                ["git", *arguments],
                cwd=folder or self._work,
                env=environ,
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

    def _contacting(self, repo: str | None) -> dict[str, str]:
        """Return what git's environment holds for this repository alone."""
        scheme, host, port = git_endpoint(repo) if repo is not None else ("", "", 0)
        proxied = scheme == "https" and not self._environ.keys().isdisjoint(_PROXIES)
        if not host or self._local or proxied:  # a proxy resolves names by itself
            return dict(self._configuration(repo, {}))
        try:
            addresses = public_addresses(host, port)
        except Permanent as error:
            raise GitError(str(error)) from None
        if scheme == "ssh":
            pinned = f"-o 'HostName={addresses[0]}' -o 'HostKeyAlias={host}'"
            command = f"{self._environ['GIT_SSH_COMMAND']} {pinned}"
            return {"GIT_SSH_COMMAND": command, **dict(self._configuration(repo, {}))}
        bracketed = (f"[{address}]" if ":" in address else address for address in addresses)
        pins = {"http.curloptResolve": f"{host}:{port}:{','.join(bracketed)}"}
        return dict(self._configuration(repo, pins))

    def _configuration(
        self, repo: str | None, pins: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        settings = {
            **pins,
            "core.hooksPath": os.devnull,
            "core.askPass": "",
            "credential.helper": "",
            "fetch.recurseSubmodules": "false",
            "gc.auto": "0",
            "http.followRedirects": "false",  # to hosts that nobody looked at
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
        if _REDIRECTED.search(text):
            text += "; redirects are not followed: name the address that the repository has now"
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
