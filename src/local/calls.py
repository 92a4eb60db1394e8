"""Counts every AWS call that goes through a boto3 session: by handler, service and operation.

Hangs on botocore's own events, so it sees what is really sent, retries included.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from boto3.session import Session

BUILD: Final = "build"  # the handler that a build runs: the worker, as CodeBuild's role

_HANDLER: Final[ContextVar[str]] = ContextVar("handler", default="")


class Operation(NamedTuple):
    """Who called what: handler is empty for calls outside any, `name` is `dynamodb.PutItem`."""

    handler: str
    name: str


@dataclass(slots=True)
class Tally:
    """How often, and how many bytes of body went each way."""

    calls: int = 0
    sent: int = 0
    received: int = 0


@contextmanager
def as_handler(key: str) -> Iterator[None]:
    """Attribute the calls made inside to that handler."""
    token = _HANDLER.set(key)
    try:
        yield
    finally:
        _HANDLER.reset(token)


def current_handler() -> str:
    """Return the handler that calls are attributed to here; empty: none."""
    return _HANDLER.get()


class CallLog:
    """Tallies by operation; reading it is cheap, `clear` starts over."""

    def __init__(self) -> None:
        self.tallies: defaultdict[Operation, Tally] = defaultdict(Tally)

    def attach(self, session: Session) -> None:
        """Watch every client that the session makes from now on."""
        once = f"calls-{id(self)}"
        session.events.register("before-call.*.*", self._sending, unique_id=f"{once}-sent")
        session.events.register("after-call.*.*", self._received, unique_id=f"{once}-received")

    def clear(self) -> None:
        """Forget everything."""
        self.tallies.clear()

    def by_name(self) -> Counter[str]:
        """Return the number of calls by operation, over all handlers."""
        counts: Counter[str] = Counter()
        for operation, tally in self.tallies.items():
            counts[operation.name] += tally.calls
        return counts

    def total(self) -> Tally:
        """Return the sums."""
        tallies = list(self.tallies.values())
        return Tally(
            sum(tally.calls for tally in tallies),
            sum(tally.sent for tally in tallies),
            sum(tally.received for tally in tallies),
        )

    def _sending(self, model: Any, params: dict[str, Any], **_: Any) -> None:
        tally = self._tally(model)
        tally.calls += 1
        body = params.get("body") or b""
        if isinstance(body, BytesIO):
            tally.sent += body.getbuffer().nbytes
        else:
            tally.sent += len(body) if isinstance(body, str | bytes | bytearray) else 0

    def _received(self, http_response: Any, model: Any, **_: Any) -> None:
        headers = http_response.headers
        streamed = model.has_streaming_output
        size = headers.get("Content-Length", 0) if streamed else len(http_response.content)
        self._tally(model).received += int(size)

    def _tally(self, model: Any) -> Tally:
        service = model.service_model.service_name
        return self.tallies[Operation(_HANDLER.get(), f"{service}.{model.name}")]
