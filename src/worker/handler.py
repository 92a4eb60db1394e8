"""Composition root of the worker, on Lambda and (through `__main__`) on CodeBuild."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from src.common import budget, log
from src.common.aws.clients import Clients, config, default_clients
from src.common.aws.objects import S3ObjectStore
from src.common.aws.uploads import HttpUploads
from src.common.clock import SystemClock
from src.common.live import labelled
from src.common.messages import Dispatch
from src.common.settings import WorkerSettings
from src.worker import kin
from src.worker.app import Worker
from src.worker.sandbox import scratch
from src.worker.user import unprivileged


class _Impatient(Clients):
    """For the look for a cancel, which the commands' deadline waits for: the next one may do."""

    def _make(self, service: str) -> Any:
        from botocore.config import Config

        hasty = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
        return self.session.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint,
            config=config(service, self.endpoint).merge(hasty),
        )


def _show(dispatch: Dispatch, text: str) -> None:
    shown = labelled(dispatch.run_id, dispatch.num, text)
    print(shown, flush=True)  # noqa: T201 - the log stream of the function or build


@cache
def app() -> Worker:
    """Build the app from the environment, once per process."""
    log.set_up("worker")
    settings = WorkerSettings.from_env(os.environ)
    kin.shield()
    return Worker(
        S3ObjectStore(default_clients(), bucket=settings.internal_bucket),
        HttpUploads(),
        SystemClock(),
        _show,
        environ=dict(os.environ),
        stops=S3ObjectStore(_Impatient(), bucket=settings.internal_bucket),
        user=unprivileged(),
        scratch=scratch(os.environ),
    )


def handler(event: Mapping[str, Any], context: Any) -> dict[str, str]:
    """Run the order that the dispatch `event` hands over."""
    with budget.of(context):
        return app()(event, context)
