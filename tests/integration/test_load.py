"""Several runs at once on a server of its own, calm and in trouble; `make load` has many more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cloud.cloud import Cloud
from tests.support.cloud.load import Load, drive

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud(seed=1) as running:
        yield running


def test_runs_at_once_all_end_and_none_mix(cloud: Cloud) -> None:
    load = Load(runs=4, layers=2, width=2)

    outcome = drive(cloud, load)

    assert outcome.wrong == []
    assert outcome.statuses == {"succeeded": load.runs * load.orders}
    assert len(outcome.delays_s) == load.runs * load.width


def test_faults_of_aws_late_and_doubled_events_change_nothing(cloud: Cloud) -> None:
    """Each call goes through the SDK's and our own attempts, over HTTP."""
    load = Load(runs=4, layers=2, width=2, fault_rate=0.06, late_s=1.0, doubled=0.3)

    outcome = drive(cloud, load)

    assert outcome.wrong == []
    assert outcome.statuses["succeeded"] >= load.runs * load.orders - 2
    assert len(outcome.faults) > 5
