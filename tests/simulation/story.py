"""What happened in a simulation, as lines that a person can follow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from src.common.messages import Dispatch, WatchdogInput
from src.common.records import Change, Event, Idempotency, Lock, Order, Packaging, Run

_PLACE: Final = re.compile(r"tmp/(?:callbacks/runs|exec)/[^/]+/(.*?)(?:\?.*)?$")


@dataclass
class Story:
    """Collects what was done; turning it into text is left until somebody asks."""

    began: int
    lines: list[tuple[int, str, str, tuple[Any, ...], Any]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # whose an id is

    def tell(self, now: int, text: str) -> None:
        """Note what the platform does."""
        self.lines.append((now, "", text, (), None))

    def call(self, now: int, who: str, call: str, args: tuple[Any, ...], outcome: Any) -> None:
        """Note a call, with what it was given and what came back."""
        self.lines.append((now, who, call, args, outcome))

    def text(self) -> str:
        """Return the story: when (s), who, which call, with what, and what came of it."""
        text = "\n".join(self._line(*line) for line in self.lines)
        for made, name in self.names.items():
            text = text.replace(made, name)
        return text

    def _line(self, now: int, who: str, what: str, args: tuple[Any, ...], outcome: Any) -> str:
        at = f"{(now - self.began) / 1000:10.2f} s"
        if not who:
            return f"{at}  -- {what}"
        given = " ".join(text for text in map(_said, args) if text)
        came = _said(outcome)
        return f"{at}  {who:22} {what:22} {given}" + (f"  => {came}" if came else "")


def _said(value: Any) -> str:
    """Return a value in few words, none for what says nothing."""
    if isinstance(value, BaseException):
        return type(value).__name__
    return _IN_WORDS.get(type(value), lambda _: type(value).__name__)(value)


def _number(value: int) -> str:
    return str(value) if value < 1_000_000_000 else ""  # times say nothing here


def _words(text: str) -> str:
    place = _PLACE.search(text)
    return place[1] if place else text if len(text) < 40 else text[:37] + "..."


def _lock(lock: Lock) -> str:
    holder = "completed" if lock.completed else lock.owner and f"held by {lock.owner}"
    return f"[{holder or 'free'}, pending {_list(lock.pending)}]"


def _list(values: Iterable[Any]) -> str:
    return "{" + ", ".join(sorted(str(value) for value in values)) + "}"


def _body(body: bytes) -> str:
    try:
        value = json.loads(body)
    except ValueError:
        return ""
    told = [f"{key} {value[key]}" for key in ("by", "status") if value.get(key)]
    return f"({', '.join(told)})" if told else ""


def _change(change: Change) -> str:
    events = ", ".join(f"{event.order_name} {event.event}" for event in change.events)
    lock = "" if change.lock is None else f", lock {_lock(change.lock.after)}"
    return f"rev {change.run.rev}: {events or 'counters'}{lock}"


_IN_WORDS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda _: "",
    Idempotency: lambda _: "",
    bool: lambda value: str(value).lower(),
    int: _number,
    str: _words,
    bytes: _body,
    Change: _change,
    Lock: _lock,
    Run: lambda run: f"rev {run.rev}",
    Order: lambda order: f"{order.num} {order.status}",
    Dispatch: lambda dispatch: dispatch.num,
    WatchdogInput: lambda task: task.num,
    Packaging: lambda _: "commits and identity",
    Event: lambda event: event.sk,
    dict: lambda found: _list(f"{key}:{_said(item)}" for key, item in found.items()),
    tuple: lambda found: ", ".join(text for text in map(_said, found) if text),
    **dict.fromkeys((frozenset, set, list), lambda found: _list(map(_said, found))),
}
