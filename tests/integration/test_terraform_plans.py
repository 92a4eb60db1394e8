"""What the harness promises of a real terraform: clear failures, and nothing left behind."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.terraform.mirrors import PROVIDER
from tests.support.terraform.plan import Plan
from tests.support.terraform.planner import PlanFailedError, Planner
from tests.support.terraform.plugin import MakePlan
from tests.support.terraform.stages import BOOTSTRAP, DEPLOY, ECR, INFRA, ROOT, case

pytestmark = pytest.mark.integration

Broken = Callable[[str, str], Planner]


@pytest.fixture(autouse=True)
def provider(make_plan: MakePlan) -> None:
    """Skip where there is no provider: these tests tell failures of other kinds apart."""
    make_plan(ECR)


@pytest.fixture
def broken(planner: Planner, tmp_path: Path) -> Broken:
    """Plans a copy of the stages in which one text of 01-ecr/main.tf is another."""

    def change(old: str, new: str) -> Planner:
        infra = tmp_path / "infra"
        shutil.copytree(INFRA, infra)
        path = infra / ECR / "main.tf"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        return Planner(planner.toolchain, planner.cache, tmp_path / "run", infra)

    return change


def test_a_syntax_error_is_told_with_file_and_line_and_then_in_short(broken: Broken) -> None:
    planner = broken("image_tag_mutability =", "image_tag_mutability")

    with pytest.raises(PlanFailedError) as told:
        planner.plan(case(ECR))
    with pytest.raises(PlanFailedError) as again:
        planner.plan(case(ECR))

    assert "on main.tf line" in str(told.value)
    assert "make plan-one STAGE=01-ecr" in str(told.value)
    assert str(again.value).endswith("the first test that met it tells why")


def test_a_run_tells_the_cause_once_and_the_other_tests_point_to_it(
    broken: Broken, tmp_path: Path
) -> None:
    planner = broken('"MUTABLE"', '"SOMETIMES"')
    command = [sys.executable, "-m", "pytest", "-q", "-m", "plan", "-p", "no:cacheprovider"]
    options = ["--stage", ECR, f"--infra={planner.infra}", f"--basetemp={tmp_path / 'base'}"]

    done = subprocess.run(
        [*command, *options, f"--terraform={planner.toolchain.binary}"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 1
    # Below its headline pytest repeats the first failure: in short, and whole where `CI` is set.
    failures, headline, _ = done.stdout.partition("short test summary info")
    assert headline
    assert failures.count("Error: expected image_tag_mutability to be one of") == 1
    assert failures.count("the first test that met it tells why") > 10
    assert "Traceback" not in done.stdout
    assert "another exception occurred" not in done.stdout


def test_a_plan_that_fails_names_the_cause(broken: Broken) -> None:
    planner = broken('"MUTABLE"', '"SOMETIMES"')

    with pytest.raises(PlanFailedError, match="expected image_tag_mutability to be one of"):
        planner.plan(case(ECR))


def test_a_call_that_a_plan_may_not_make_is_refused_by_name(broken: Broken) -> None:
    vpcs = 'data "aws_vpcs" "all" {}\n\nresource "aws_ecr_repository"'
    planner = broken('resource "aws_ecr_repository"', vpcs)

    with pytest.raises(PlanFailedError, match=r"DescribeVpcs.* StatusCode: 400"):
        planner.plan(case(ECR))


def test_a_provider_outside_the_constraint_is_named_with_where_it_came_from(
    planner: Planner, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    for platform in ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"):
        folder = mirror / PROVIDER / "4.67.0" / platform
        folder.mkdir(parents=True)
        (folder / "terraform-provider-aws_v4.67.0_x5").touch(mode=0o755)
    old = dataclasses.replace(
        planner.toolchain,
        mirror=str(mirror), config=None, provider="4.67.0", origin=str(mirror), pin=None,
    )  # fmt: skip

    with pytest.raises(PlanFailedError) as told:
        Planner(old, tmp_path / "cache", tmp_path / "run").plan(case(ECR))

    assert "no available releases match the given constraints >= 5.100" in str(told.value)
    assert f"aws provider 4.67.0 from {mirror}" in str(told.value)


def test_an_unformatted_stage_is_noticed_though_fmt_exits_with_3(broken: Broken) -> None:
    planner = broken("image_tag_mutability =", "image_tag_mutability  =")

    changes = planner.bench.unformatted({"main.tf": (planner.infra / ECR / "main.tf").read_text()})
    assert "image_tag_mutability" in changes


def test_nothing_is_left_in_the_stages_or_the_runs_folder(broken: Broken) -> None:
    planner = broken('"iac-ci"', '"iac-ci-2"')
    before = {path: path.stat().st_mtime_ns for path in planner.infra.rglob("*")}

    planner.plan(case(ECR))

    assert {path: path.stat().st_mtime_ns for path in planner.infra.rglob("*")} == before
    assert list((planner.bench.run).glob("tf-*")) == []


def test_a_deployers_own_files_have_no_part(broken: Broken) -> None:
    planner = broken('"iac-ci"', '"iac-ci"')
    stage = planner.infra / ECR
    (stage / "backend.tf").write_text('terraform {\n  backend "s3" {}\n}\n')
    (stage / "terraform.tfvars").write_text('aws_region = "nowhere"\n')
    (stage / "terraform.tfstate").write_text("{}")

    assert planner.plan(case(ECR)).resources


def test_a_failed_comparison_says_what_where_and_how_to_see_it(make_plan: MakePlan) -> None:
    plan: Plan = make_plan(ECR)

    with pytest.raises(AssertionError) as told:
        plan.one("aws_ecr_repository").has(image_tag_mutability="IMMUTABLE")

    said = str(told.value).splitlines()
    assert said[0] == "01-ecr (plain): aws_ecr_repository.image: image_tag_mutability"
    assert said[1:3] == ["  expected    'IMMUTABLE'", "  got         'MUTABLE'"]
    assert said[3].startswith("  written in  ")
    assert "/01-ecr/main.tf:" in said[3]
    assert said[4] == "  to see it   make plan-one STAGE=01-ecr"
    assert repr(plan) == "01-ecr (plain)"  # as pytest shows it beside
    assert repr(plan.one("aws_ecr_repository")) == "aws_ecr_repository.image"


@pytest.mark.parametrize(
    ("name", "infra", "command"),
    [
        ("plain", INFRA, "make plan-one STAGE=02-deploy"),
        ("everything", INFRA, "make plan-one STAGE=02-deploy CASE=everything"),
        ("prod", Path("/a/b"), "make plan-one STAGE=02-deploy CASE=prod ARGS=--infra=/a/b"),
    ],
)
def test_the_command_to_see_it_shows_the_case_that_failed(
    name: str, infra: Path, command: str
) -> None:
    assert case(DEPLOY, name).to_see_it(infra) == command

    dry = subprocess.run(
        [*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    options = dry.stdout.split()
    assert ("--case" in options) is (name != "plain")
    assert (f"--infra={infra}" in options) is (infra != INFRA)


def test_a_case_that_a_stage_does_not_have_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--stage", ECR, "--show-plan", "--case", "everything"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 4
    assert "01-ecr has no case everything" in done.stderr


def test_missing_and_unexpected_are_told_apart(make_plan: MakePlan) -> None:
    plan: Plan = make_plan(ECR)

    with pytest.raises(AssertionError, match="  missing     b\n  unexpected  c\n"):
        plan.hold({"a", "b"}, {"a", "c"}, "letters")


def test_what_has_to_be_there_is_told_where_it_is_not(make_plan: MakePlan) -> None:
    plan: Plan = make_plan(ECR)

    plan.includes({"a"}, ["a", "b"], "letters")
    with pytest.raises(AssertionError, match=r"letters\n  missing     c\n  written in .*main.tf:"):
        plan.includes({"a", "c"}, ["a", "b"], "letters", at="aws_ecr_repository.image")


def test_cases_are_told_apart_in_the_cache(planner: Planner) -> None:
    first, second = case(ECR), dataclasses.replace(case(ECR), variables={"aws_region": "us-east-2"})

    other = Planner(planner.toolchain, planner.cache, planner.bench.run).plan(second)

    assert planner.plan(first).made["plan"]["variables"]["aws_region"]["value"] == "eu-west-1"
    assert other.made["plan"]["variables"]["aws_region"]["value"] == "us-east-2"
    assert case(BOOTSTRAP).region == "eu-west-1"
