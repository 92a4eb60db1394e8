"""Which tests the summary takes for scenarios, and where they ran."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.support.deployed.plugin import place_of, ran_elsewhere

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("ids", "place"),
    [
        ("in-process", "in-process"),
        ("endpoint", "endpoint"),
        ("endpoint-build", "endpoint"),
        ("build-in-process", "in-process"),
        ("plain-process_webhook", None),
        ("lambda", None),
    ],
    ids=map(str, range(6)),  # its own ids would count as places
)
def test_a_scenario_is_known_by_a_whole_parameter(ids: str, place: str | None) -> None:
    assert place_of(f"tests/integration/test_a.py::test_b[{ids}]") == place


def test_a_test_without_parameters_is_no_scenario() -> None:
    assert place_of("tests/integration/in-process/endpoint.py::test_endpoint") is None


def test_only_a_scenario_that_ran_in_the_other_place_is_no_gap() -> None:
    def reports(*nodeids: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(nodeid=nodeid) for nodeid in nodeids]

    skipped = reports("test_a[endpoint]", "test_b[endpoint]", "test_c[plain-process_webhook]")
    passed = reports("test_a[in-process]", "test_c[everything-process_webhook]")
    reporter = SimpleNamespace(stats={"skipped": skipped, "passed": passed})

    assert ran_elsewhere(reporter) == {"test_a[endpoint]"}
