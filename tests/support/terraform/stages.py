"""The stages and the cases they are planned in: what a deployer might set, as small as it gets."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.terraform.responder import ACCOUNT

ROOT: Final = Path(__file__).parents[3]
INFRA: Final = ROOT / "infra"

BOOTSTRAP: Final = "00-bootstrap"
ECR: Final = "01-ecr"
DEPLOY: Final = "02-deploy"
STAGES: Final = (BOOTSTRAP, ECR, DEPLOY)
PLAIN: Final = "plain"  # the case with what a deployer has to set and no more

# What a deployer's own work leaves in a stage's folder; it has no part in the tests.
_OWN: Final = (
    ".terraform*", "*.tfstate*", "*.tfvars", "*.tfvars.json", "backend.tf", "*.tfplan", "*.md",
)  # fmt: skip

# A stage's copy has its state in its own folder, and reaches S3 by path, as emulators want it.
_OVERRIDE: Final = """\
terraform {
  backend "local" {}
}

provider "aws" {
  s3_use_path_style = true
}
"""


@dataclass(frozen=True)
class Case:
    """A stage with variables, in a workspace and a region."""

    stage: str
    name: str
    variables: Mapping[str, Any] = field(hash=False)
    workspace: str = "default"

    @property
    def region(self) -> str:
        """The region that it deploys to."""
        return str(self.variables["aws_region"])

    @property
    def salt(self) -> str:
        """What enters its names beside workspace and region."""
        return str(self.variables.get("salt", ""))

    def to_see_it(self, infra: Path) -> str:
        """Return the command that shows this case's plan of the stages in a folder."""
        command = f"make plan-one STAGE={self.stage}"
        named = "" if self.name == PLAIN else f" CASE={self.name}"
        return command + named + ("" if infra == INFRA else f" ARGS=--infra={infra}")

    def __str__(self) -> str:
        return f"{self.stage} ({self.name})"


def _image(region: str, repository: str = "iac-ci") -> dict[str, str]:
    host = f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com"
    return {"aws_region": region, "ecr_repo": f"{host}/{repository}", "image_tag": "v1.2.3"}


TOPIC: Final = f"arn:aws-us-gov:sns:us-gov-west-1:{ACCOUNT}:jobs"
ALARMS: Final = f"arn:aws-us-gov:sns:us-gov-west-1:{ACCOUNT}:alarms"
CODE_BUCKETS: Final = ["arn:aws-us-gov:s3:::some-code", "arn:aws-us-gov:s3:::more.code"]
BOUNDARY: Final = f"arn:aws-us-gov:iam::{ACCOUNT}:policy/boundary"

CASES: Final = (
    Case(BOOTSTRAP, PLAIN, {"state_bucket_name": "some-state", "aws_region": "eu-west-1"}),
    Case(ECR, PLAIN, {"aws_region": "eu-west-1"}),
    Case(DEPLOY, PLAIN, _image("eu-west-1")),
    Case(
        DEPLOY,
        "everything",  # every variable has another value, in another workspace and partition
        {
            **_image("us-gov-west-1", "team/iac-ci"),
            "alarm_topic_arn": ALARMS,
            "code_bucket_arns": CODE_BUCKETS,
            "log_retention_days": 30,
            "permissions_boundary": BOUNDARY,
            "require_freshness": True,
            "salt": "pepper",
            "secret_path_prefix": "team/",
            "sns_topic_arns": [TOPIC],
            "webhook_secret_parameter": "/other/place/secret",
            "worker_ephemeral_storage_mb": 4096,
        },
        workspace="prod",
    ),
    Case(
        DEPLOY,
        "prod",  # another workspace, and one of what lists may hold several of
        {**_image("eu-west-1"), "code_bucket_arns": ["arn:aws:s3:::one-code"]},
        workspace="prod",
    ),
)


def case(stage: str, name: str = PLAIN) -> Case:
    """Return the case of that name."""
    return next(each for each in CASES if (each.stage, each.name) == (stage, name))


def sources(folder: Path) -> dict[str, str]:
    """Return the text of every file that makes up a stage, by path within it."""
    ignored = shutil.ignore_patterns(*_OWN)
    names = [path.name for path in folder.iterdir() if path.is_file()]
    left_out = ignored(str(folder), names)
    return {name: (folder / name).read_text() for name in sorted({*names} - left_out)}


def copy_stage(files: Mapping[str, str], to: Path) -> None:
    """Write a stage's files to a folder of the test's, with a backend that is local."""
    for name, text in files.items():
        (to / name).write_text(text)
    (to / "zz_override.tf").write_text(_OVERRIDE)


def requirements(files: Mapping[str, str]) -> list[str]:
    """Return the lines that decide what `init` fetches."""
    text = "\n".join(files.values())
    return re.findall(r"^\s*(?:source|version|required_version)\s*=.*$", text, re.MULTILINE)
