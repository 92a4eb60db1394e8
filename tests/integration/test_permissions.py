"""What the handlers call and what the plan grants them are the same, both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.local.moto_world import MotoWorld
from tests.support.iam.needs import may_pass_roles
from tests.support.iam.recorder import Call, Recorder
from tests.support.iam.report import Report
from tests.support.iam.tour import tour
from tests.support.sim import OwnedClock
from tests.support.terraform.plugin import MakePlan
from tests.support.terraform.stages import DEPLOY

README = Path(__file__).parents[2] / "README.md"

pytestmark = pytest.mark.integration


def test_every_call_is_granted_and_every_grant_is_needed_or_listed_with_the_reason(
    moto: MotoWorld, moto_clock: OwnedClock, recorder: Recorder, make_plan: MakePlan
) -> None:
    plan = make_plan(DEPLOY)
    calls: set[Call] = set()

    with recorder.told_to(calls.add):
        tour(moto, moto_clock)

    report = Report.of(plan, calls)
    assert len(calls) > 50
    looked = {call.resource.rpartition("/")[2] for call in calls if call.handler == "worker"}
    assert looked == {"exec.zip", "cancel"}, "what a worker reads"
    assert may_pass_roles(calls) == []
    assert not report.findings, "\n" + "\n".join(map(report.line, report.findings))
    assert report.table in README.read_text(), f"README.md shows another table:\n{report.table}"
