"""Puts the stack up once for a test run, when the first process asks for it, and takes it down.

It lives in the process that controls the run; the processes that test talk to it by files in a
folder of the run: `wanted` asks, `applied.json` or `failed.txt` answers. Applying goes on in a
thread, beside the tests that need no stack.
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.deployed.account import Account
from tests.support.deployed.deployer import Deployer
from tests.support.deployed.endpoint import EMBEDDED, Applied, EndpointSite
from tests.support.deployed.probes import lacking
from tests.support.embedded_aws.embedded import EmbeddedAws
from tests.support.embedded_aws.options import Options
from tests.support.leaks import out_of_place
from tests.support.stores import everything
from tests.support.terraform.stages import INFRA
from tests.support.terraform.toolchain import Toolchain
from tests.support.terraform.workbench import Workbench

AUTO: Final = "auto"
REGION: Final = "eu-west-1"
_POLL_S: Final = 0.1


@dataclass
class Host:
    """The stack of one test run.

    Args:
        endpoint: `auto` for an embedded AWS, or the URL of one that is there.
        ca: what to trust at that URL; None: the machine's CAs.
        toolchain: which terraform and provider.
        folder: of the run, empty.
        access_log: where an embedded AWS writes its calls.
        infra: the folder of the stages.
    """

    endpoint: str
    ca: Path | None
    toolchain: Toolchain
    folder: Path
    access_log: Path | None = None
    infra: Path = INFRA
    told: list[str] = field(default_factory=list)  # what became of it, for the run's summary
    problems: list[str] = field(default_factory=list)  # what fails the run

    def __post_init__(self) -> None:
        self.secrets = self.folder / "secrets.jsonl"  # what tests store as such, by any process
        self.desk = Desk(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._end = threading.Event()
        self._aws: EmbeddedAws | None = None
        self._deployer: Deployer | None = None
        self._before: dict[str, list[str]] = {}
        self._thread = threading.Thread(target=self._serve, name="deploying", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self.desk.wanted.exists():
            if self._end.wait(_POLL_S):
                return
        try:
            applied = self._put_up()
        except Exception as error:  # noqa: BLE001 - told to every test that wants the stack
            if not self._end.is_set():
                self.desk.write(self.desk.failed, f"{type(error).__name__}: {error}")
            return
        self.desk.write(self.desk.applied, applied.as_json())

    def _put_up(self) -> Applied:
        account, name = self._account()
        self._before = account.inventory()
        salt = secrets.token_hex(4)
        bench = Workbench(self.toolchain, self.folder / "cache", self.folder / "run")
        deployer = self._deployer = Deployer(
            bench, account, self.folder / "stages", salt, self.infra
        )
        outputs = deployer.apply()
        secret = secrets.token_hex()
        account.client("ssm").put_parameter(
            Name=deployer.webhook_secret_parameter, Type="SecureString", Value=secret
        )
        account.create_bucket(deployer.code_bucket)
        applied = Applied(
            name=name,
            endpoint=account.endpoint,
            ca=str(account.ca) if account.ca else None,
            region=account.region,
            account=account.client("sts").get_caller_identity()["Account"],
            salt=salt,
            webhook_secret=secret,
            outputs=outputs,
            folder=str(deployer.folder),
            toolchain=self.toolchain.as_json(),
            access_log=str(self.access_log) if self._aws and self.access_log else None,
            lacks={},
            code_bucket=deployer.code_bucket,
            secrets=str(account.secrets),
        )
        return applied.but(lacks=lacking(EndpointSite(applied)))

    def _account(self) -> tuple[Account, str]:
        if self.endpoint != AUTO:
            return Account(self.endpoint, self.ca, REGION, self.secrets), self.endpoint
        self._aws = EmbeddedAws(
            Options(folder=self.folder / "aws", region=REGION, access_log=self.access_log)
        )
        running = self._aws.start()
        at = running.endpoint, running.ca, running.region
        return Account(*at, self.secrets), EMBEDDED

    def close(self, *, hurry: bool = False) -> None:
        """Take down what was put up, and note what it left; in a hurry an embedded AWS just ends.

        Never raises: `problems` has what went wrong.
        """
        self._end.set()
        try:
            if hurry and self._aws is not None:
                self._interrupt()
            elif self.desk.wanted.exists():
                self._thread.join()
                self._take_down()
        except Exception as error:  # noqa: BLE001 - the run's last words tell it
            self.problems.append(f"taking the stack down: {type(error).__name__}: {error}")
        finally:
            if self._aws is not None:
                self._aws.stop()
            if not self.problems:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _interrupt(self) -> None:
        if self._deployer is not None:
            self._deployer.interrupt()
        self._thread.join()
        self.told.append("the embedded AWS was ended with all that it held")

    def _take_down(self) -> None:
        deployer = self._deployer
        if deployer is None:
            return
        account = deployer.account
        try:
            self._look_through(account)
        except Exception as error:  # noqa: BLE001 - the run's last words tell it
            self.problems.append(f"looking for secrets: {type(error).__name__}: {error}")
        counted = sum(deployer.resources().values())
        account.delete_parameter(deployer.webhook_secret_parameter)
        account.delete_bucket(deployer.code_bucket)
        deployer.destroy()
        left = _more(self._before, account.inventory())
        took = deployer.seconds
        self.told.append(
            f"{counted} resources applied in {took.get('apply', 0):.0f} s and destroyed in "
            f"{took['destroy']:.0f} s; left: {', '.join(left) or 'nothing'}"
        )
        if left:
            self.problems.append(f"destroying left {', '.join(left)}")

    def _look_through(self, account: Account) -> None:
        """Look for secrets in clear in all that the tests of every process left in any store."""
        began = time.monotonic()
        others = {name for names in self._before.values() for name in names}
        known = account.stored_secrets()
        texts = everything(account.client, lambda name: name not in others)
        found = out_of_place(texts, known)
        self.problems += found
        stores = {(text.kind, text.store) for text in texts}
        self.told.append(
            f"{len(texts)} texts in {len(stores)} stores searched for {len(known)} secrets in "
            f"{time.monotonic() - began:.0f} s; in clear or out of place: {len(found) or 'nothing'}"
        )


@dataclass(frozen=True)
class Desk:
    """The files by which processes ask for the stack and are answered."""

    folder: Path

    @property
    def wanted(self) -> Path:
        """Asks for it."""
        return self.folder / "wanted"

    @property
    def applied(self) -> Path:
        """Says how to reach it."""
        return self.folder / "applied.json"

    @property
    def failed(self) -> Path:
        """Says why it is not there."""
        return self.folder / "failed.txt"

    def ask(self) -> None:
        """Ask for the stack, without waiting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.wanted.touch()

    def get(self, limit_s: float, sleep: Callable[[float], None] = time.sleep) -> Applied:
        """Wait for the stack.

        Raises:
            NotAppliedError: it is not to be had.
        """
        self.ask()
        until = time.monotonic() + limit_s
        while not self.applied.exists():
            if self.failed.exists():
                raise NotAppliedError(self.failed.read_text())
            if time.monotonic() > until:
                raise NotAppliedError(f"it was not applied within {limit_s:g} s")
            sleep(_POLL_S)
        return Applied.from_json(self.applied.read_text())

    def write(self, path: Path, text: str) -> None:
        """Write a file so that readers see all of it or nothing."""
        draft = path.with_suffix(".new")
        draft.write_text(text)
        draft.replace(path)


class NotAppliedError(Exception):
    """The stack could not be applied; the message has the cause."""


def _more(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """Return what is there now and was not before."""
    return [
        f"{kind} {name}"
        for kind, names in after.items()
        for name in names
        if name not in before.get(kind, ())
    ]
