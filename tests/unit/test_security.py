"""docs/SECURITY.md: every row of the threat model names tests, and those exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.papers import names_of_tests

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/SECURITY.md").read_text()
ATTACKERS = (
    "Anyone on the internet",
    "A caller with a valid secret",
    "A job's commands",
    "A reader of a store",
    "A worker that was taken over",
)


def rows(attacker: str) -> list[list[str]]:
    """Return the cells of an attacker's table, row by row."""
    found = re.search(rf"^### {attacker}$(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, attacker
    lines = [line for line in found[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("attacker", ATTACKERS)
def test_every_threat_names_what_stands_against_it_and_the_tests_that_show_it(
    attacker: str,
) -> None:
    table = rows(attacker)

    assert len(table) >= 3
    for row in table:
        threat, defence, tests = row
        assert threat
        assert defence
        assert re.fullmatch(r"`test_\w+`(, `test_\w+`)*", tests), row


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))

    assert len(named) > 60
    assert named - names_of_tests("tests/**/test_*.py") == set()
