"""The emulated platform leaves nothing behind."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.support.world_life import end_while, objects_of_two_worlds

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    """A fresh process: this one may hold the session's world."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as executor:
        yield executor


@pytest.mark.parametrize("when", ["parked", "asking", "starting"])
def test_no_thread_of_an_execution_outlives_the_world(
    process: ProcessPoolExecutor, when: str
) -> None:
    assert process.submit(end_while, when).result() == []


def test_each_world_starts_empty(process: ProcessPoolExecutor) -> None:
    assert process.submit(objects_of_two_worlds).result() == [0, 0]
