"""docs/SPECIFICATION.md maps each line of the specification to tests; the map is complete."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import pytest

from tests.support.papers import names_of_tests

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/SPECIFICATION.md").read_text()
SECTIONS = ("P4.1", "P4.2", "P4.3", "P4.4")
JOB = "  phase4-terraform:"  # the workflow's job is one thing, held by one test


def section(title: str) -> str:
    found = re.search(rf"^## {title} .*?(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[0]


def lines(title: str) -> list[str]:
    """Return what the specification says, line by line."""
    block = re.search(r"^```text\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)
    assert block is not None, title
    said = takewhile(lambda line: line != JOB, block[1].splitlines())
    return [
        line.strip().removeprefix("- ")
        for line in said
        if line.strip() and not line.startswith("Read ")
    ]


def table(title: str) -> list[tuple[str, list[str]]]:
    """Return the map of a section: line and tests."""
    rows = re.findall(r"^\| `(.*)` \| (`test_.*`) \|$", section(title), re.MULTILINE)
    return [(line, re.findall(r"`(\w+)`", tests)) for line, tests in rows]


@pytest.mark.parametrize("title", SECTIONS)
def test_every_line_of_the_specification_has_its_row_in_order(title: str) -> None:
    assert [line for line, _ in table(title)] == lines(title)


def test_the_specification_is_whole() -> None:
    assert tuple(re.findall(r"^## (\S+)", TEXT, re.MULTILINE)) == SECTIONS
    assert sum(len(lines(title)) for title in SECTIONS) == 135


def test_every_test_in_the_map_exists() -> None:
    known = names_of_tests("tests/plan/test_*.py") | names_of_tests("tests/unit/test_*.py")
    named = {test for title in SECTIONS for _, tests in table(title) for test in tests}

    assert named - known == set()


def test_every_test_of_a_sentence_is_in_the_map() -> None:
    named = {test for title in SECTIONS for _, tests in table(title) for test in tests}

    assert names_of_tests("tests/plan/test_p4_*.py") - named == set()
