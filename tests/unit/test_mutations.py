"""The mutations of `make mutants` fit the stages as they are."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.support.terraform.stages import STAGES

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
MUTATIONS = runpy.run_path(str(ROOT / "scripts/mutations.py"))["MUTATIONS"]


def test_every_mutation_changes_exactly_one_place() -> None:
    found = {
        (file, old): (ROOT / "infra" / file).read_text().count(old) for file, old, _ in MUTATIONS
    }

    assert {place: count for place, count in found.items() if count != 1} == {}
    assert all(old != new for _, old, new in MUTATIONS)


def test_every_file_of_the_stages_is_mutated() -> None:
    files = {path.relative_to(ROOT / "infra").as_posix() for path in ROOT.glob("infra/*/*.tf")}

    plain = {"01-ecr/variables.tf", *(f"{stage}/backend.tf" for stage in STAGES)}
    assert files - {file for file, _, _ in MUTATIONS} <= plain
    assert len(MUTATIONS) >= 40


def test_contributors_are_told_how_many_there_are() -> None:
    told = (ROOT / "CONTRIBUTING.md").read_text()

    assert f"notice {len(MUTATIONS)} broken copies of `infra/`" in told
