"""Runs terraform on copies of a stage, in temporary folders and an environment of its own.

What it leaves is one cached folder per `init`; the stage's own folder and the user's configuration
are only read. It knows nothing of tests.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.support.terraform import store
from tests.support.terraform.command import Terraform, TerraformFailedError, explain
from tests.support.terraform.mirrors import PROVIDER
from tests.support.terraform.responder import responder
from tests.support.terraform.stages import Case, copy_stage, requirements
from tests.support.terraform.toolchain import CONFIG_VARIABLE, Toolchain, cli_config

LOCK_FILE: Final = ".terraform.lock.hcl"
# A plan of seconds ends before its garbage matters: collecting it is half of the CPU's work. Both
# programs, terraform and the provider, take half a gigabyte so; above this limit they collect.
_MEMORY: Final = {"GOGC": "off", "GOMEMLIMIT": "1GiB"}
_FOR_DOWNLOADS: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Workbench:
    """Terraform for tests.

    Args:
        toolchain: which terraform and provider.
        cache: a folder that outlives the run.
        run: a folder of this run, for temporary ones.
    """

    def __init__(self, toolchain: Toolchain, cache: Path, run: Path) -> None:
        self.toolchain, self.cache, self.run = toolchain, cache, run

    def initialised(self, stage: str, files: Mapping[str, str]) -> Path:
        """Return a folder with what `terraform init` makes in the stage; made once.

        Raises:
            TerraformFailedError: terraform refuses the stage, or does not get the provider.
        """
        key = store.digest(harness(), self.toolchain.as_json(), stage, requirements(files))
        done = self.cache / f"init-{key}"
        if not _usable(done):
            with store.locked(self.cache / "init.lock"):  # a plugin cache bears one init at a time
                if not _usable(done):
                    self._init(files, done)
        return done

    def _init(self, files: Mapping[str, str], done: Path) -> None:
        env = {name: os.environ[name] for name in _FOR_DOWNLOADS if name in os.environ}
        if self.toolchain.mirror is None and self.toolchain.config is None:
            plugins = self.cache / "plugins"
            plugins.mkdir(exist_ok=True)
            env["TF_PLUGIN_CACHE_DIR"] = str(plugins)
            env["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"
        with self._folder() as folder:
            copy_stage(files, folder)
            if self.toolchain.pin:
                (folder / LOCK_FILE).write_text(
                    f'provider "{PROVIDER}" {{\n  version = "{self.toolchain.pin}"\n}}\n'
                )
            self.terraform_in(folder, env).init()
            _forget_hashes(folder / LOCK_FILE)
            shutil.rmtree(done, ignore_errors=True)
            done.mkdir(parents=True)
            shutil.move(folder / ".terraform", done)
            shutil.move(folder / LOCK_FILE, done)  # last: `_usable` looks for it

    def make_plan(self, case: Case, files: Mapping[str, str], init: Path) -> dict[str, Any]:
        """Plan a case; return terraform's text and the plan's JSON.

        Raises:
            TerraformFailedError: terraform refuses the stage.
        """
        with self._folder() as folder, responder() as endpoint:
            copy_stage(files, folder)
            shutil.copytree(init, folder, symlinks=True, dirs_exist_ok=True)
            env = {"AWS_ENDPOINT_URL": endpoint, "TF_WORKSPACE": case.workspace}
            text, plan = self.terraform_in(folder, env).plan_file(case.variables)
        return {"text": text, "plan": plan}

    def refusal(self, files: Mapping[str, str], variables: Mapping[str, Any]) -> str:
        """Return with which words terraform refuses variables; empty: it takes them.

        Args:
            files: the stage's file of variables: without a provider, a plan takes no time.
            variables: what a deployer sets.
        """
        with self._folder() as folder:
            _write(files, folder)
            try:
                self.terraform_in(folder).plan_file(variables)
            except TerraformFailedError as error:
                return error.text
        return ""

    def unformatted(self, files: Mapping[str, str]) -> str:
        """Return what `terraform fmt -check` would change; its exit code is 3 then, not 1."""
        with self._folder() as folder:
            _write(files, folder)
            code, out, err = self.terraform_in(folder).run("fmt", "-check", "-diff", "-no-color")
        return "" if code == 0 else explain(out or err) or f"fmt ended with {code}"

    def terraform_in(
        self, folder: Path, env: Mapping[str, str] | None = None, limit_s: float | None = None
    ) -> Terraform:
        """Return terraform in a folder of the caller's, in a clean environment and the given."""
        given = {**self._clean(folder), **(env or {})}
        return Terraform(folder, self.toolchain.binary, given, limit_s)

    def _clean(self, folder: Path) -> dict[str, str]:
        """Return an environment that has nothing of the user's but where programs lie."""
        home = folder / ".home"
        home.mkdir(exist_ok=True)
        config = self.toolchain.config
        if config is None:
            config = str(home / "cli.tfrc")
            Path(config).write_text(cli_config(self.toolchain.mirror))
        return {
            **_MEMORY,
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            # The provider's socket lies there, and a socket's path may have 107 bytes at most.
            "TMPDIR": tempfile.gettempdir(),
            CONFIG_VARIABLE: config,
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "AWS_ACCESS_KEY_ID": "plan",
            "AWS_SECRET_ACCESS_KEY": "plan",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_MAX_ATTEMPTS": "2",
        }

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        self.run.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.run, prefix="tf-") as folder:
            yield Path(folder)


@cache
def harness() -> str:
    """Return a key of what makes plans here: what another version of it cached is made again."""
    makers = ("command", "responder", "stages", "toolchain", "workbench")
    files = [Path(__file__).with_name(f"{name}.py") for name in makers]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _forget_hashes(lock: Path) -> None:
    """Spare every later command hashing the provider, 700 MB that init has just verified."""
    lock.write_text(re.sub(r"\n  hashes = \[.*?\n  \]", "", lock.read_text(), flags=re.DOTALL))


def _usable(done: Path) -> bool:
    providers = (done / ".terraform/providers").glob("*/*/*/*/*")
    return (done / LOCK_FILE).exists() and all(path.exists() for path in providers)


def _write(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)
