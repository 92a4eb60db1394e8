"""Applies the three stages as docs/DEPLOY.md says, from copies, to whatever answers at an endpoint.

00-bootstrap keeps its state beside itself; the others keep theirs in the bucket that it makes. What
was begun is destroyed in reverse, however far it came. Every name is this deployment's own, so that
an account that has others is no matter; the image repository alone has a fixed name, and is left
alone where it exists already.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.deployed.account import Account
from tests.support.terraform.command import Terraform, TerraformFailedError
from tests.support.terraform.stages import BOOTSTRAP, DEPLOY, ECR, INFRA, sources
from tests.support.terraform.workbench import Workbench

LIMIT_S: Final = 420.0  # of one command
IMAGE_TAG: Final = "deployed"
_PATH_STYLE: Final = 'provider "aws" {\n  s3_use_path_style = true\n}\n'
_OPTIONS: Final = ("-input=false", "-no-color")


@dataclass
class Deployer:
    """One deployment.

    Args:
        bench: terraform, ready to run.
        account: where to.
        folder: holds copies of the stages, with the state of the first.
        salt: what makes its names unique.
    """

    bench: Workbench
    account: Account
    folder: Path
    salt: str
    infra: Path = INFRA
    seconds: dict[str, float] = field(default_factory=dict)
    _running: Terraform | None = None
    _interrupted: bool = False

    @property
    def state_bucket(self) -> str:
        """The bucket of the states."""
        return f"iac-ci-state-{self.salt}"

    @property
    def webhook_secret_parameter(self) -> str:
        """The name of the webhook secret's parameter."""
        return f"/iac-ci/{self.salt}/webhook_secret"

    def apply(self) -> dict[str, Any]:
        """Apply every stage; return the outputs of the last.

        Raises:
            TerraformFailedError: a stage was refused.
        """
        with self._timed("apply"):
            self._apply(BOOTSTRAP, state_bucket_name=self.state_bucket)
            if self.account.has_repository():
                repository = self.account.repository_url()
            else:
                repository = self._apply(ECR)["ecr_repo_url"]
            return self._apply(
                DEPLOY,
                ecr_repo=repository,
                image_tag=IMAGE_TAG,
                salt=self.salt,
                secret_path_prefix=f"iac-ci/{self.salt}/",
                webhook_secret_parameter=self.webhook_secret_parameter,
                code_bucket_arns=[f"arn:aws:s3:::{self.code_bucket}"],
            )

    @property
    def code_bucket(self) -> str:
        """A bucket that jobs may name; the tests make it."""
        return f"iac-ci-code-{self.salt}"

    def has(self, stage: str) -> bool:
        """Return whether a stage was begun."""
        return (self.folder / stage / ".terraform").is_dir()

    def plan_again(self, stage: str) -> str:
        """Return what another plan would change; empty: nothing.

        Raises:
            TerraformFailedError: it cannot be planned.
        """
        code, out, err = self._terraform(stage).run(
            "plan", *_OPTIONS, "-lock=false", "-detailed-exitcode"
        )
        if code not in (0, 2):
            raise TerraformFailedError("plan", err or out)
        return out if code == 2 else ""

    def destroy(self) -> None:
        """Destroy every stage that was begun, the last one first.

        Raises:
            TerraformFailedError: something could not be destroyed; its state is still there.
        """
        with self._timed("destroy"):
            for stage in (DEPLOY, ECR, BOOTSTRAP):
                if not self.has(stage):
                    continue
                if stage == BOOTSTRAP:
                    self.account.empty_bucket(self.state_bucket)
                self._terraform(stage).execute_command("destroy", *_OPTIONS, "-auto-approve")

    def resources(self) -> dict[str, int]:
        """Return how many resources each stage has; a stage that was only begun has no state."""
        begun = [stage for stage in (BOOTSTRAP, ECR, DEPLOY) if self.has(stage)]
        listed = {stage: self._terraform(stage).run("state", "list") for stage in begun}
        return {
            stage: len(out.splitlines()) if code == 0 else 0
            for stage, (code, out, _) in listed.items()
        }

    def _apply(self, stage: str, **variables: Any) -> dict[str, Any]:
        folder = self.folder / stage
        folder.mkdir(parents=True)
        for name, text in sources(self.infra / stage).items():
            (folder / name).write_text(text)
        (folder / "zz_override.tf").write_text(self._override(stage))
        given = {"aws_region": self.account.region, **variables}
        (folder / "deployed.auto.tfvars.json").write_text(json.dumps(given))
        terraform = self._terraform(stage)
        with self._timed(f"init {stage}"):
            terraform.execute_command("init", *_OPTIONS)
        with self._timed(f"apply {stage}"):
            terraform.execute_command("apply", *_OPTIONS, "-auto-approve")
        shown = json.loads(terraform.execute_command("output", "-json").out)
        return {name: output["value"] for name, output in shown.items()}

    def _override(self, stage: str) -> str:
        if stage == BOOTSTRAP:
            return _PATH_STYLE
        settings = {
            "bucket": self.state_bucket,
            "key": f"iac-ci/{stage}/terraform.tfstate",
            "region": self.account.region,
            "encrypt": True,
            "use_path_style": True,
        }
        lines = "".join(f"    {key} = {json.dumps(value)}\n" for key, value in settings.items())
        return f'{_PATH_STYLE}\nterraform {{\n  backend "s3" {{\n{lines}  }}\n}}\n'

    def interrupt(self) -> None:
        """Kill the command that runs, and begin no other."""
        self._interrupted = True
        if self._running is not None:
            self._running.kill()

    def _terraform(self, stage: str) -> Terraform:
        env = {**self.account.environment, "AWS_MAX_ATTEMPTS": "5"}
        self._running = self.bench.terraform_in(self.folder / stage, env, LIMIT_S)
        if self._interrupted:
            raise TerraformFailedError("(none)", "interrupted")
        return self._running

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - began
