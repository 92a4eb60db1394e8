"""The size of modules: what grows over a page or three is several things."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

SRC = Path(__file__).parents[2] / "src"
LONGEST = 250  # lines


def test_no_module_of_src_is_too_long_to_be_read_at_once() -> None:
    lengths = {
        path.relative_to(SRC).as_posix(): len(path.read_text().splitlines())
        for path in SRC.rglob("*.py")
    }

    assert len(lengths) > 100
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
