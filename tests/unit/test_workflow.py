"""The workflow is the specification's, and its gates do not skip silently."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.terraform.stages import STAGES

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".github/workflows/test.yml").read_text()


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


def test_no_job_lets_a_test_be_skipped(jobs: dict[str, Any]) -> None:
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]

    tests = [run for run in runs if "make test" in run]
    assert len(tests) == 3
    assert all(run.startswith("STRICT=1 ") for run in tests)
