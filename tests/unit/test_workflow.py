"""The workflows: the specification's job word for word, gates that do not skip, least rights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.dockerfile import Dockerfile
from tests.support.terraform.stages import STAGES

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
EXAMPLE = ROOT / "examples/github-action/iac-ci.yml"
TEXT = (ROOT / ".github/workflows/test.yml").read_text()


def specified_lines() -> range:
    """Return the lines of test.yml that are the specification's."""
    before, _, after = TEXT.partition("  phase4-terraform:\n")
    first = before.count("\n") + 1
    return range(first, first + re.split(r"\n\n", after)[0].count("\n") + 2)


@pytest.fixture
def jobs() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(TEXT)["jobs"]
    return found


def test_the_workflow_has_the_specified_terraform_job() -> None:
    specification = (ROOT / "docs/SPECIFICATION.md").read_text()

    job = re.search(r"^  phase4-terraform:\n(?:    .*\n)+", specification, re.MULTILINE)
    assert job is not None
    assert job[0] in TEXT


def test_the_plan_job_is_a_matrix_per_stage_terraform_and_provider(jobs: dict[str, Any]) -> None:
    plan = jobs["plan"]

    matrix = plan["strategy"]["matrix"]
    assert matrix["stage"] == list(STAGES)
    assert matrix["terraform"] == ["1.5", "latest"]
    assert matrix["provider"] == ["5.100.0", "newest"]
    setup = next(step for step in plan["steps"] if "setup-terraform" in step.get("uses", ""))
    assert setup["with"]["terraform_wrapper"] is False
    assert plan["needs"] == "phase4-terraform"


def test_phases_follow_each_other(jobs: dict[str, Any]) -> None:
    needs = {name: job.get("needs") for name, job in jobs.items() if name.startswith("phase")}

    assert needs == {
        "phase1-common": None,
        "phase2-handlers": "phase1-common",
        "phase3-docker": "phase2-handlers",
        "phase4-terraform": "phase3-docker",
    }


def test_what_zizmor_is_told_to_leave_alone_is_the_specifications() -> None:
    config = yaml.safe_load((ROOT / ".github/zizmor.yml").read_text())

    ignored = [place for rule in config["rules"].values() for place in rule["ignore"]]
    assert ignored
    for place in ignored:
        file, _, line = place.partition(":")
        assert file == "test.yml"
        assert int(line) in specified_lines()
        assert "uses:" in TEXT.splitlines()[int(line) - 1]


@pytest.mark.parametrize("path", [*WORKFLOWS, EXAMPLE], ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_name_their_version(path: Path) -> None:
    lines = {
        number: line
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.match(r"\s*(- )?uses:", line)
        and not (path.name == "test.yml" and number in specified_lines())
    }

    assert lines
    pinned = re.compile(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
    assert {number for number, line in lines.items() if not pinned.search(line)} == set()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_read_the_code_and_nothing_else(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())

    assert workflow["permissions"] == {"contents": "read"}
    wider = {
        name: job["permissions"]
        for name, job in workflow["jobs"].items()
        if job.get("permissions", {"contents": "read"}) != {"contents": "read"}
    }
    oidc = {"contents": "read", "id-token": "write"}
    assert wider == ({"image": oidc} if path.name == "release.yml" else {})


def test_a_newer_push_cancels_the_tests_and_never_a_release() -> None:
    cancels = {
        path.name: yaml.safe_load(path.read_text())["concurrency"]["cancel-in-progress"]
        for path in WORKFLOWS
    }

    assert cancels == {"release.yml": False, "test.yml": True}


def test_images_are_built_alike_in_test_release_and_on_paper() -> None:
    papers = [TEXT, (ROOT / ".github/workflows/release.yml").read_text()]
    papers.append((ROOT / "docs/DEPLOY.md").read_text())

    for paper in papers:
        (build,) = re.findall(r"docker build ((?:.*\\\n)*.*)", paper)
        assert build.startswith("--platform linux/amd64 --provenance=false ")
        assert re.search(r"--tag \S+ \.$", build)
        assert "scripts/try_image.sh" in paper


def test_a_released_image_has_the_tools_that_its_settings_name() -> None:
    (job,) = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"].values()
    (build,) = [step["run"] for step in job["steps"] if "docker build" in step.get("run", "")]
    how_to = (ROOT / "docs/how-to/release-an-image.md").read_text()

    tools = Dockerfile.read(ROOT / "Dockerfile").stage("tools").arguments
    assert len(tools) == 4
    for name in tools:
        assert job["env"][name] == f"${{{{ vars.{name} }}}}"
        assert re.search(rf"--build-arg {name}\s", build)
        assert f"`{name}`" in how_to


def test_no_job_lets_a_test_be_skipped_but_on_localstack(jobs: dict[str, Any]) -> None:
    """What LocalStack lacks is skipped by name; nobody could see yet what that is."""
    tests = [
        (name, step["run"])
        for name, job in jobs.items()
        for step in job["steps"]
        if "make test" in step.get("run", "")
    ]

    assert len(tests) == 6
    assert [name for name, run in tests if not run.startswith("STRICT=1 ")] == ["localstack"]


def test_the_applied_stack_is_tested_here_and_on_localstack_with_its_token(
    jobs: dict[str, Any],
) -> None:
    runs = {
        name: step["run"]
        for name in ("deployed", "localstack")
        for step in jobs[name]["steps"]
        if "make test" in step.get("run", "")
    }
    steps = jobs["localstack"]["steps"]

    assert "ENDPOINT=auto" in runs["deployed"]
    assert "ENDPOINT=http://127.0.0.1:4566" in runs["localstack"]
    assert all("steps.token.outputs.set" in step["if"] for step in steps[1:])


def test_what_is_applied_is_applied_by_the_provider_that_development_had(
    jobs: dict[str, Any],
) -> None:
    """An applied stack was never seen with another; `plan` tries what is newer."""
    runs = [step.get("run", "") for job in jobs.values() for step in job["steps"]]

    assert yaml.safe_load(TEXT)["env"] == {"PROVIDER": "5.100.0"}
    applied = [run for run in runs if "-m integration" in run]
    assert len(applied) == 3
    assert [run for run in applied if "-m integration --provider $PROVIDER" not in run] == []


def test_jobs_that_install_different_packages_keep_different_caches(jobs: dict[str, Any]) -> None:
    """The first to end saves a cache; the others with its key would find their packages missing."""
    locks = {
        name: step["with"]["cache-dependency-path"]
        for name, job in jobs.items()
        for step in job["steps"]
        if "setup-python" in step.get("uses", "")
    }

    assert locks.pop("audit") == "requirements/*.lock"
    assert {*locks.values()} == {"requirements/dev.lock"}


def test_units_are_tested_on_every_python_that_the_handlers_are(jobs: dict[str, Any]) -> None:
    """What Python itself says of bad input is not the same in all of them."""
    runs = [step.get("run", "") for step in jobs["phase2-handlers"]["steps"]]

    assert [run for run in runs if "-m unit" in run] == ['STRICT=1 make test ARGS="-m unit"']


def test_the_token_is_told_to_the_steps_that_need_it_alone(jobs: dict[str, Any]) -> None:
    told = [
        step["name"]
        for job in jobs.values()
        for step in job["steps"]
        if "secrets." in str(step.get("env", ""))
    ]

    assert told == ["Look for the token", "Start LocalStack"]
    assert TEXT.count("secrets.LOCALSTACK_AUTH_TOKEN") == len(told)
