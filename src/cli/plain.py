"""The view for pipes, files and CI: every log line and every change of status, as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Self

from rich.console import Console
from rich.text import Text

from src.cli import style
from src.cli.board import Board
from src.cli.text import clean, count
from src.common.clock import SystemClock
from src.common.status import OrderStatus

NAME_WIDTH: Final = 24


class PlainView:
    """Watches a run and prints lines: seconds since the start, order, text."""

    every_line = True

    def __init__(
        self,
        console: Console,
        *,
        cancelling: Callable[[], bool],
        now_ms: Callable[[], int] | None = None,
        began: int | None = None,
    ) -> None:
        self.board = Board()
        self._console = console
        self._cancelling = cancelling
        self._now_ms = now_ms or SystemClock().now_ms
        self._began = self._now_ms() if began is None else began
        self._width = 0
        self._unflushed = False
        self._said_cancelling = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()

    def accepted(self, run_id: str, orders: Mapping[str, str]) -> None:
        """Say which run this is."""
        self.board.accept(run_id, orders)
        self._width = min(max(map(len, orders.values()), default=0), NAME_WIDTH)
        self._say(f"run {run_id}: {count(len(orders), 'order')}")

    def order_changed(
        self, num: str, status: OrderStatus, at_ms: int, reason: str | None = None
    ) -> None:
        """Say what an order came to; that it is about to start is said once it runs."""
        row = self.board.change(num, status, at_ms)
        if row is None or status is OrderStatus.DISPATCHING:
            return
        why = f": {clean(reason)}" if reason and reason != status else ""
        said = style.word(status) + why
        self._say(self._prefix(at_ms, row.name) + said, style.COLOUR[status])

    def line(self, num: str, text: str, at_ms: int | None = None) -> None:
        """Print a log line, of a time or of now."""
        name = self.board.rows[num].name
        at = self._now_ms() if at_ms is None else at_ms
        self._say(f"{self._prefix(at, name)}| {clean(text)}")

    def tick(self) -> None:
        """Let readers have what was printed since the last tick."""
        if self._cancelling() and not self._said_cancelling:
            self._said_cancelling = True
            self._say("cancelling; interrupt once more to stop at once")
        self._flush()

    def _prefix(self, at_ms: int, name: str) -> str:
        return f"{(at_ms - self._began) / 1000:6.1f} {name:<{self._width}} "

    def _say(self, line: str, colour: str = "") -> None:
        if self._console.color_system is None or not colour:
            self._write(line)
        else:
            self._console.print(Text(line, colour), soft_wrap=True)
        self._unflushed = True

    def _write(self, line: str) -> None:
        """Write past rich, which is slow for thousands of lines that carry no colour."""
        try:
            if not self._console.quiet:
                self._console.file.write(line + "\n")
        except OSError:  # the reader is gone, or the disk is full: the run goes on
            self._gone()

    def _flush(self) -> None:
        if not self._unflushed:
            return
        self._unflushed = False
        try:
            self._console.file.flush()
        except OSError:  # the reader is gone, or the disk is full: the run goes on
            self._gone()

    def _gone(self) -> None:
        from src.cli.console import silence

        self._console.quiet = True
        silence(self._console.file)  # type: ignore[arg-type]
