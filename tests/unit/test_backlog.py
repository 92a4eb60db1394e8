"""Lines that wait for whoever shows them."""

from __future__ import annotations

import pytest

from src.local.backlog import EVERY, LATEST, Backlog

pytestmark = pytest.mark.unit


class Viewer:
    """Takes so many messages, then none."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.messages: list[str] = []
        self.waited_for = 0

    def keeps_up(self) -> bool:
        return self.takes > 0

    def send_soon(self, message: str) -> None:
        self.takes -= 1
        self.messages.append(message)

    def send(self, message: str) -> None:
        self.waited_for += 1
        self.messages.append(message)

    @property
    def lines(self) -> list[str]:
        return [line for message in self.messages for line in message.split("\n")]


def a_backlog(viewer: Viewer, *, every_line: bool) -> Backlog:
    return Backlog(viewer.keeps_up, viewer.send_soon, viewer.send, every_line=every_line)


def test_lines_go_out_in_messages_as_fast_as_the_viewer_takes_them() -> None:
    viewer = Viewer(takes=2)
    backlog = a_backlog(viewer, every_line=False)
    printed = [f"{n:08d}" for n in range(10_000)]
    for line in printed:
        backlog.add(line)

    backlog.pass_on()

    assert len(viewer.messages) == 2
    assert viewer.lines == printed[: len(viewer.lines)]
    assert backlog.size == 8 * (10_000 - len(viewer.lines))

    viewer.takes = 99
    backlog.pass_on()

    assert viewer.lines == printed
    assert (backlog.size, viewer.waited_for) == (0, 0)


def test_the_oldest_lines_give_way_to_a_word_about_them() -> None:
    viewer = Viewer(takes=0)
    backlog = a_backlog(viewer, every_line=False)
    for n in range(100_000):
        backlog.add(f"{n:09d}\n{n:09d}")  # 19 characters, two lines
        backlog.pass_on()
        assert backlog.size <= LATEST

    backlog.finish()

    first, *rest = viewer.lines
    kept = LATEST // 19
    assert len(rest) == 2 * kept
    assert first == f"[iac-ci] {200_000 - 2 * kept} lines are not shown; the log has them"
    assert rest[-1] == f"{99_999:09d}"


def test_every_line_waits_rather_than_being_dropped() -> None:
    viewer = Viewer(takes=0)
    backlog = a_backlog(viewer, every_line=True)
    line = "x" * 1_000
    for _ in range(2 * EVERY // len(line)):
        backlog.add(line)
        assert backlog.size <= EVERY

    assert viewer.waited_for > 0

    backlog.finish()

    assert viewer.lines == [line] * (2 * EVERY // len(line))
