"""What one may choose about an embedded AWS, and where its files lie."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

ROOT: Final = Path(__file__).parents[3]
HOST: Final = "127.0.0.1"
KEY: Final = "test"  # of the account's root: its secret is not checked


@dataclass(frozen=True, kw_only=True)
class Options:
    """An embedded AWS.

    Args:
        folder: holds all its files; goes with it, or keeps its state.
        port: to listen on; 0: any that is free.
        keep: whether what it stores outlives it.
        tied: whether it ends with the process that started it.
        code: the source tree that stands for every image's /var/task.
        wait_scale: a state machine's second in real seconds.
        retry_s: before the first repetition of a failed asynchronous invocation.
        at_once: how many processes a function may have; further events wait.
        warm_s: how long a function's surplus process waits for work.
        access_log: a file for every authorised or refused call, as lines of JSON.
    """

    folder: Path
    port: int = 0
    keep: bool = False
    tied: bool = True
    code: Path = ROOT
    wait_scale: float = 0.02
    retry_s: float = 1.0
    at_once: int = 6
    warm_s: int = 60
    access_log: Path | None = None
    region: str = "eu-west-1"
    account: str = "123456789012"

    def absolute(self) -> Self:
        """Return it with paths that hold in any folder."""
        return replace(
            self,
            folder=self.folder.absolute(),
            code=self.code.absolute(),
            access_log=self.access_log and self.access_log.absolute(),
        )

    @property
    def files(self) -> Files:
        """Where its files lie."""
        return Files(self.folder)

    def as_json(self) -> str:
        """Pack it for the server's process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Unpack what `as_json` packed."""
        given: dict[str, Any] = json.loads(text)
        paths = {
            name: Path(given[name]) for name in ("folder", "code", "access_log") if given[name]
        }
        return cls(**{**given, **paths})


@dataclass(frozen=True)
class Files:
    """The files of an embedded AWS in its folder."""

    folder: Path

    @property
    def lock(self) -> Path:
        """Locked while the server runs."""
        return self.folder / "lock"

    @property
    def running(self) -> Path:
        """What a running server says of itself."""
        return self.folder / "running.json"

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self.folder / "server.log"

    @property
    def ca(self) -> Path:
        """The certificate that clients have to trust."""
        return self.folder / "ca.pem"

    @property
    def bundle(self) -> Path:
        """That certificate and the machine's own."""
        return self.folder / "ca-bundle.pem"

    @property
    def certificate(self) -> Path:
        """The server's certificate and key."""
        return self.folder / "server.pem"

    @property
    def temporary(self) -> Path:
        """Everything that goes when the server ends."""
        return self.folder / "tmp"

    @property
    def state(self) -> Path:
        """What is stored, while it does not run."""
        return self.folder / "state"
