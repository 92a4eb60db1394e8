"""The script that writes a stage's backend, run for real with terraforms of several versions."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[2] / "scripts/generate_backend.sh"
GIVEN = ("my-state", "eu-west-1")


class Checkout:
    """A folder with the script, empty stages and a terraform that only tells its version."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        for folder in ("bin", "scripts", "infra/00-bootstrap", "infra/01-ecr", "infra/02-deploy"):
            (root / folder).mkdir(parents=True)
        shutil.copy(SCRIPT, root / "scripts")

    def terraform(self, says: str) -> None:
        program = self.bin / "terraform"
        program.write_text(f"#!/bin/sh\ncat <<'EOF'\n{says}\nEOF\n")
        program.chmod(0o755)

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "scripts/generate_backend.sh", *args],
            env={"PATH": f"{self.bin}{os.pathsep}/usr/bin{os.pathsep}/bin"},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def backend(self, stage: str) -> Path:
        return self.root / "infra" / stage / "backend.tf"

    def written(self) -> list[Path]:
        return list(self.root.glob("infra/*/*"))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path)
    made.terraform("Terraform v1.11.4\non linux_amd64\n+ provider hashicorp/aws v5.100.0")
    return made


@pytest.mark.parametrize("stage", ["01-ecr", "02-deploy"])
def test_the_state_lies_in_the_bucket_under_the_stages_name(checkout: Checkout, stage: str) -> None:
    result = checkout.run(stage, *GIVEN)

    assert result.returncode == 0, result.stderr
    assert checkout.written() == [checkout.backend(stage)]
    assert checkout.backend(stage).read_text() == (
        "terraform {\n"
        '  backend "s3" {\n'
        '    bucket  = "my-state"\n'
        f'    key     = "iac-ci/{stage}/terraform.tfstate"\n'
        '    region  = "eu-west-1"\n'
        "    encrypt = true\n"
        "\n"
        "    use_lockfile = true\n"
        "  }\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("says", "locks"),
    [
        ("Terraform v1.5.7", False),
        ("Terraform v1.9.8", False),
        ("Terraform v1.10.0", True),
        ("Terraform v1.15.0-rc1", True),
        ("Terraform v2.0.0", True),
    ],
)
def test_the_lock_file_is_used_where_terraform_knows_it(
    checkout: Checkout, says: str, *, locks: bool
) -> None:
    checkout.terraform(says)

    result = checkout.run("02-deploy", *GIVEN)

    assert result.returncode == 0, result.stderr
    assert ("use_lockfile = true" in checkout.backend("02-deploy").read_text()) is locks


def test_a_backend_that_is_there_stays(checkout: Checkout) -> None:
    checkout.backend("02-deploy").write_text("mine")

    result = checkout.run("02-deploy", *GIVEN)

    assert result.returncode == 1
    assert "infra/02-deploy/backend.tf exists" in result.stderr
    assert checkout.backend("02-deploy").read_text() == "mine"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("00-bootstrap", *GIVEN), "its state stays local"),
        (("03-more", *GIVEN), "unknown stage '03-more'"),
        (("../02-deploy", *GIVEN), "unknown stage"),
        (("02-deploy", 'x"\n}', "eu-west-1"), "no name of a bucket"),
        (("02-deploy", "my-state", "Europe"), "no code of a region"),
    ],
)
def test_what_makes_no_backend_is_refused(
    checkout: Checkout, args: tuple[str, ...], reason: str
) -> None:
    result = checkout.run(*args)

    assert result.returncode == 1
    assert reason in result.stderr
    assert checkout.written() == []


@pytest.mark.parametrize("args", [(), ("02-deploy",), ("02-deploy", "b"), ("1", "2", "3", "4")])
def test_missing_arguments_get_the_usage(checkout: Checkout, args: tuple[str, ...]) -> None:
    result = checkout.run(*args)

    assert result.returncode == 2
    assert "usage: scripts/generate_backend.sh STAGE BUCKET REGION" in result.stderr
    assert checkout.written() == []


def test_without_a_terraform_nothing_is_guessed(checkout: Checkout) -> None:
    checkout.terraform("command not found")

    result = checkout.run("02-deploy", *GIVEN)

    assert result.returncode == 1
    assert "no terraform" in result.stderr
    assert checkout.written() == []
