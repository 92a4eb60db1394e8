"""`make deploy-plan` says what is missing before terraform makes a state in the wrong place."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

MAKEFILE = Path(__file__).parents[2] / "Makefile"
URL = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/iac-ci"
GIVEN = ("TAG=v1", "REGION=eu-west-1")


class Checkout:
    """A folder with the Makefile, empty stages and a terraform that notes its command lines."""

    def __init__(self, root: Path) -> None:
        self.root, self.notes = root, root / "notes"
        for folder in ("bin", "infra/01-ecr", "infra/02-deploy"):
            (root / folder).mkdir(parents=True)
        shutil.copy(MAKEFILE, root)
        (root / "infra/02-deploy/backend.tf").touch()
        self.output(URL)

    def output(self, text: str) -> None:
        program = self.root / "bin/terraform"
        program.write_text(
            f'#!/bin/sh\necho "$@" >>"{self.notes}"\n'
            f"case $* in *output*) printf '%s' '{text}' ;; esac\n"
        )
        program.chmod(0o755)

    def make(self, *args: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.root / "bin"), "/usr/bin", "/bin"])
        return subprocess.run(
            ["make", "deploy-plan", *args],
            cwd=self.root, env={"PATH": path}, capture_output=True, text=True, timeout=30,
            check=False,
        )  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_plan_is_of_the_image_that_01_ecr_names(checkout: Checkout) -> None:
    result = checkout.make(*GIVEN)

    assert result.returncode == 0, result.stderr
    _, init, plan = checkout.notes.read_text().splitlines()
    assert init == "-chdir=infra/02-deploy init -input=false"
    assert plan == (
        "-chdir=infra/02-deploy plan -input=false -out=deploy.tfplan "
        f"-var ecr_repo={URL} -var image_tag=v1 -var aws_region=eu-west-1"
    )


@pytest.mark.parametrize("given", [(), GIVEN[:1], GIVEN[1:]])
def test_tag_and_region_are_asked_for(checkout: Checkout, given: tuple[str, ...]) -> None:
    result = checkout.make(*given)

    assert result.returncode == 2
    assert "give both: make deploy-plan TAG=v1 REGION=eu-west-1" in result.stderr
    assert not checkout.notes.exists()


def test_without_a_backend_no_state_is_begun(checkout: Checkout) -> None:
    (checkout.root / "infra/02-deploy/backend.tf").unlink()

    result = checkout.make(*GIVEN)

    assert result.returncode == 2
    assert "run scripts/generate_backend.sh 02-deploy BUCKET REGION first" in result.stderr
    assert not checkout.notes.exists()


def test_the_warning_that_terraform_prints_for_an_output_is_no_repository(
    checkout: Checkout,
) -> None:
    checkout.output("Warning: No outputs found")  # and exits with 0

    result = checkout.make(*GIVEN)

    assert result.returncode == 2
    assert "01-ecr has no output ecr_repo_url here: apply it first" in result.stderr
    assert "02-deploy" not in checkout.notes.read_text()
