"""How many worker processes a local run starts."""

from __future__ import annotations

from typing import Any

import pytest

from src.local.run import useful

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("parallel", "orders", "processes"),
    [
        (4, [{}] * 10, 4),
        (4, {"a": {}, "b": {}}, 2),
        (10**6, [{}], 1),
        (10**6, [{}] * 5000, 1000),  # a job that will be refused
        (4, [], 1),
        (4, None, 1),
        (4, 5, 1),
    ],
)
def test_no_more_processes_than_orders(parallel: int, orders: Any, processes: int) -> None:
    assert useful(parallel, {"orders": orders}) == processes


def test_what_is_no_job_needs_one_process() -> None:
    assert useful(4, "no job") == 1
