"""The plan under test: that of the module's stage, with what a deployer has to set and no more."""

from __future__ import annotations

import pytest

from tests.support.terraform.names import Names
from tests.support.terraform.plan import Plan
from tests.support.terraform.plugin import MakePlan
from tests.support.terraform.stages import CASES, DEPLOY


@pytest.fixture
def plan(request: pytest.FixtureRequest, make_plan: MakePlan) -> Plan:
    """The plan of the stage that the test is marked with."""
    marker = request.node.get_closest_marker("stage")
    assert marker is not None, "mark the module with the stage that it is about"
    return make_plan(marker.args[0])


@pytest.fixture(params=[case.name for case in CASES if case.stage == DEPLOY])
def deployment(request: pytest.FixtureRequest, make_plan: MakePlan) -> Plan:
    """02-deploy in each of its cases: other workspace, region, partition, every variable set."""
    return make_plan(DEPLOY, request.param)


@pytest.fixture
def names(request: pytest.FixtureRequest) -> Names:
    """The names in the plan under test."""
    name = "deployment" if "deployment" in request.fixturenames else "plan"
    return Names(request.getfixturevalue(name).case)
