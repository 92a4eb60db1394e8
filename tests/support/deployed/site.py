"""Where scenarios run: what they may do there, whatever lies behind it.

A site is the stack in process or applied at an endpoint. It takes requests by every way in, waits
for runs to end and shows what they left. What a site lacks it names; a scenario that needs it says
so and is skipped there.
"""

from __future__ import annotations

import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from src.common import codec, keys
from src.common.aws.clients import Clients
from src.common.messages import Result
from src.local.platform import Adapters
from src.local.stack import Stack
from src.process_webhook.authenticate import HEADER, sign
from tests.support.leaks import Secret, Text

LIMIT_S: Final = 90.0

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    status: int
    body: Any


class Site(ABC):
    """Where scenarios run."""

    name: str
    stack: Stack
    clients: Clients
    adapters: Adapters
    webhook_secret: str
    secret_prefix: str  # of SSM parameters and secrets that jobs may name
    lacks: Mapping[str, str]  # capability -> why

    @abstractmethod
    def api(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST to the HTTP API."""

    @abstractmethod
    def url(self, body: bytes, *, signed: bool = True) -> Answer:
        """POST to the function URL, signed by the account's own credentials or not at all."""

    @abstractmethod
    def invoke(self, body: Mapping[str, Any]) -> Answer:
        """Invoke process_webhook directly."""

    @abstractmethod
    def log(self, function: str) -> str:
        """Return what a function (by its key) has logged."""

    @abstractmethod
    def left(self) -> list[Text]:
        """Return what lies in every store, and what was logged."""

    @abstractmethod
    def stored_secrets(self) -> list[Secret]:
        """Return all parameters and secrets that were stored."""

    @abstractmethod
    def turn(self) -> None:
        """Let time pass, about a twentieth of a second."""

    def until(self, look: Callable[[], T | None], limit_s: float = LIMIT_S) -> T:
        """Wait for something; return it.

        Raises:
            AssertionError: it did not come about in time.
        """
        end = time.monotonic() + limit_s
        while not (found := look()):
            assert time.monotonic() < end, f"not within {limit_s:g} s at {self.name}"
            self.turn()
        return found

    # -- what every site does alike ---------------------------------------------------------------

    def submit(self, job: Mapping[str, Any], **envelope: Any) -> str:
        """Submit a job by the HTTP API, signed; return the id of its run."""
        body = request(job, **envelope)
        answer = self.api(body, self.signature(body))
        assert answer.status == 200, answer
        return str(answer.body["run_id"])

    def signature(self, body: bytes) -> dict[str, str]:
        """Return the header that signs a body."""
        return {HEADER: sign(self.webhook_secret, body)}

    def run(self, job: Mapping[str, Any], limit_s: float = LIMIT_S) -> Finished:
        """Submit a job and wait for its end."""
        return self.finished(self.submit(job), limit_s)

    def finished(self, run_id: str, limit_s: float = LIMIT_S) -> Finished:
        """Wait until a run is over and everything of it is written; return what is left of it."""
        key = keys.finished_key(run_id)
        self.until(lambda: self.adapters.internal.get(key) is not None, limit_s)
        body = self.adapters.done.get(keys.done_key(run_id))
        assert body is not None, f"{run_id} is finished without a done object"
        return Finished(self, run_id, json.loads(body))

    def result(self, run_id: str, num: str) -> Result | None:
        """Return an order's result, once it is there."""
        body = self.adapters.internal.get(keys.result_key(run_id, num))
        return Result.from_item(codec.decode(body)) if body else None

    def claimed(self, run_id: str, num: str) -> bool:
        """Return whether an order's commands were begun."""
        return self.adapters.internal.get(keys.claim_key(run_id, num)) is not None

    def cancel(self, run_id: str) -> None:
        """Cancel a run."""
        self.adapters.internal.put(keys.cancel_key(run_id), b"{}")


@dataclass(frozen=True)
class Finished:
    """A run that is over."""

    site: Site
    run_id: str
    done: Mapping[str, Any]

    @property
    def status(self) -> str:
        """How it ended."""
        return str(self.done["status"])

    def statuses(self) -> dict[str, str]:
        """Return how each order ended, by its name."""
        return {name: order["status"] for name, order in self.orders.items()}

    @property
    def orders(self) -> Mapping[str, Mapping[str, Any]]:
        """The orders in the done object, by their names."""
        return dict(self.done["orders"])

    def log(self, num: str) -> str:
        """Return an order's log: its commands, and what they printed."""
        result = self.site.result(self.run_id, num)
        assert result is not None, f"{self.run_id}:{num} has no result"
        return result.log

    def printed(self, num: str) -> str:
        """Return what an order's commands printed."""
        lines = self.log(num).splitlines()
        return "\n".join(line for line in lines if not line.startswith("$ "))


def request(job: Mapping[str, Any], **envelope: Any) -> bytes:
    """Return the body of a request, with a run id of its own."""
    return json.dumps({"run_id": f"run-{uuid.uuid4().hex}", "job": job, **envelope}).encode()


def order(name: str, *cmds: str, after: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
    """Return an order; its commands print its name unless others are given."""
    return {
        "order_name": name,
        "cmds": [*cmds] or [f"echo this is {name}"],
        "timeout": 60,
        "dependencies": [*after],
        **fields,
    }


def job(*orders: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a job of these orders."""
    return {"username": "alice", "orders": [*orders], **fields}
