"""docs/ARCHITECTURE.md and the code say the same."""

import re
from pathlib import Path

import pytest

from src.common.status import TERMINAL, TRANSITIONS, OrderStatus
from tests.simulation.invariants import INVARIANTS

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/ARCHITECTURE.md").read_text()


def diagram() -> list[str]:
    """Draw the life of an order from the transition table."""
    lines = [f"[*] --> {OrderStatus.QUEUED}"]
    for status, moves in TRANSITIONS.items():
        lines += [f"{status} --> {after}: {event}" for event, after in moves.items()]
    return lines + [f"{status} --> [*]" for status in TRANSITIONS if status in TERMINAL]


def test_the_diagram_of_an_orders_life_is_the_transition_table() -> None:
    found = re.search(r"<!-- transitions -->(.*)<!-- /transitions -->", TEXT, re.DOTALL)

    assert found is not None
    drawn = [line.strip() for line in found[1].splitlines() if "-->" in line]
    assert sorted(drawn) == sorted(diagram())


def test_the_invariants_are_word_for_word_those_that_the_simulation_checks() -> None:
    found = re.search(r"<!-- invariants -->(.*)<!-- /invariants -->", TEXT, re.DOTALL)

    assert found is not None
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", found[1], re.MULTILINE)
    assert rows == list(INVARIANTS.items())


def test_every_file_that_the_architecture_names_is_there() -> None:
    named = set(re.findall(r"`((?:src|tests|docs)/[\w./]+?)`", TEXT))

    assert len(named) > 15
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
