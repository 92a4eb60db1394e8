from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from src.common.threads import Room, map_at_once

pytestmark = pytest.mark.unit

WHO: ContextVar[str] = ContextVar("who", default="nobody")


def test_answers_come_in_the_order_of_the_items() -> None:
    assert map_at_once(lambda item: item * 2, range(20), 4) == [item * 2 for item in range(20)]


def test_threads_know_whose_work_they_do() -> None:
    token = WHO.set("caller")
    try:
        assert map_at_once(lambda _: WHO.get(), range(3), 3) == ["caller"] * 3
    finally:
        WHO.reset(token)


def test_no_more_than_asked_for_are_under_way() -> None:
    together, most = threading.Barrier(2, timeout=10), 2
    busy: list[int] = []
    seen: list[int] = []

    def work(item: int) -> None:
        busy.append(item)
        together.wait()
        seen.append(len(busy))
        together.wait()
        busy.remove(item)

    map_at_once(work, range(6), most)

    assert set(seen) == {most}


def test_the_first_failure_is_raised() -> None:
    def work(item: int) -> None:
        if item:
            raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        map_at_once(work, range(3), 2)


def test_what_finds_too_little_room_waits_and_what_is_larger_than_all_gets_all() -> None:
    room = Room(10)
    held, seen = 0, []
    changed = threading.Condition()

    def work(size: int) -> None:
        nonlocal held
        with room.of(size), changed:
            held += size
            seen.append(held)
            changed.notify_all()
            changed.wait_for(lambda: held > 10, timeout=0.05)  # room for who must not come in
            held -= size

    map_at_once(work, [4, 6, 4, 6, 25, 4], 6)

    assert max(seen) == 25  # alone
    assert all(total <= 10 for total in seen if total != 25)
    with room.of(10):
        pass  # all of it was given back
