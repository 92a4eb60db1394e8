"""The pictures of pages in the README can be made anew."""

from __future__ import annotations

import pytest

from scripts.page_pictures import large, small
from src.common.job import parse_job

pytestmark = pytest.mark.unit


def test_what_the_pictures_run_are_jobs() -> None:
    assert len(parse_job(small()).orders) == 3
    assert len(parse_job(large()).orders) == 100
