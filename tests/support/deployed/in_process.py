"""The stack in this process, as scenarios see it: production handlers and boto3 adapters on moto.

Requests become the events that the API, the function URL or Lambda would hand over. Orders run in
real worker processes. Time is real, so that what waits for a watchdog's grace belongs to the
endpoints, and to tests/integration/test_scenarios.py, which owns its time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from src.common.clock import SystemClock
from src.local.moto_platform import moto_platform
from src.local.moto_world import MotoWorld
from src.local.platform import Platform
from src.local.stack import PROCESS_WEBHOOK, Stack
from src.local.worker_pool import WorkerPool
from src.local.world import Delivery
from tests.support.deployed.site import Answer, Site
from tests.support.events import http_event
from tests.support.leaks import Secret, Text
from tests.support.stores import clients_of, everything, secrets_on_moto

WORKERS: Final = 4
_SECRET: Final = "it is a secret to everybody"
_TICK_S: Final = 0.05
_BUSY_TICKS: Final = 20
_LACKS: Final = {
    "concurrency": "nothing else goes on while a request is answered",
    "iam": "events come without AWS's authentication",
    "logs": "handlers log to this process",
    "time": "a watchdog's 30 s of grace would take 30 s",
    "processes": "a worker that dies takes its pool along",
    "retries": "a failed delivery is repeated at once",
    "stages": "nothing is applied",
}


class InProcessSite(Site):
    """The stack on moto."""

    name = "in process"
    webhook_secret = _SECRET
    secret_prefix = "iac-ci/"
    lacks = _LACKS

    def __init__(
        self,
        moto: MotoWorld,
        platform: Platform,
        stored: Sequence[Secret],
        logged: Sequence[str],
    ) -> None:
        self._stored, self._logged = stored, logged
        self._printed: list[str] = []
        self.stack = moto.stack
        self.clients = moto.clients
        self.adapters = platform.adapters
        self._world = platform.world
        self._working: dict[str, Delivery] = {}
        platform.world.on_work = self._work
        self._pool = WorkerPool(
            WORKERS,
            get=platform.adapters.internal.get,
            put_new=platform.adapters.uploads.put_new,
            get_url=platform.adapters.uploads.get,
            on_line=lambda _run_id, _num, text: self._printed.append(text),
        )

    def close(self) -> None:
        """End the worker processes."""
        self._pool.close(5.0)

    def _work(self, delivery: Delivery) -> None:
        self._working[delivery.request_id] = delivery
        self._pool.submit(dict(delivery.event), delivery.request_id)

    def api(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Hand the HTTP API's event to process_webhook."""
        return self._call(http_event(body, headers=dict(headers), in_base64=True))

    def url(self, body: bytes, *, signed: bool = True) -> Answer:
        """Hand the function URL's event to process_webhook, as AWS does for who signed."""
        assert signed, "AWS itself refuses the others: mark the test with needs('iam')"
        return self._call(http_event(body, name="function_url", in_base64=True))

    def invoke(self, body: Mapping[str, Any]) -> Answer:
        """Invoke process_webhook directly."""
        return self._call(json.loads(json.dumps(body)))

    def _call(self, event: dict[str, Any]) -> Answer:
        answer = self._world.functions[PROCESS_WEBHOOK](event, self._world.context("site"))
        body = answer["body"]
        return Answer(answer["statusCode"], json.loads(body) if isinstance(body, str) else body)

    def log(self, function: str) -> str:
        """Handlers log to this process."""
        raise NotImplementedError(function)

    def left(self) -> list[Text]:
        """Return what lies in every store of moto, and what this process logged and printed."""
        printed = Text("log", "of orders", "all", "\n".join(self._printed))
        logged = Text("log", "of handlers", "all", "\n".join(self._logged))
        return [*everything(clients_of(self.clients)), printed, logged]

    def stored_secrets(self) -> list[Secret]:
        """Return the secrets that were stored since it began."""
        return [*self._stored]

    def turn(self) -> None:
        """Deliver a few events and serve the workers."""
        busy = False
        for _ in range(_BUSY_TICKS):
            if not self._world.step():
                break
            busy = True
        for finished in self._pool.poll(0 if busy else _TICK_S):
            delivery = self._working.pop(finished.request_id)
            if finished.error is not None:
                self._world.failed(delivery, finished.error)


@contextmanager
def in_process() -> Iterator[InProcessSite]:
    """Start the stack in this process (0.5 s); one at a time."""
    world = MotoWorld(Stack(), SystemClock(), webhook_secret=_SECRET)
    with secrets_on_moto() as stored, _logged() as logged, world as moto:
        site = InProcessSite(moto, moto_platform(moto), stored, logged)
        try:
            yield site
        finally:
            site.close()


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Keep what the handlers log meanwhile, at the level that they have on AWS."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(handler.format(record))  # type: ignore[method-assign]
    logger = logging.getLogger("src")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield said
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
