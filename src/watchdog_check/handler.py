"""Composition root of the watchdog_check Lambda: adapters from settings, then the app."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from src.common import budget, log
from src.common.aws.clients import default_clients
from src.common.aws.objects import S3ObjectStore
from src.common.clock import SystemClock
from src.common.settings import WatchdogCheckSettings
from src.watchdog_check.app import WatchdogCheck


@cache
def app() -> WatchdogCheck:
    """Build the app from the environment, once per process."""
    log.set_up("watchdog_check")
    settings = WatchdogCheckSettings.from_env(os.environ)
    return WatchdogCheck(
        S3ObjectStore(default_clients(), bucket=settings.internal_bucket), SystemClock()
    )


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Take one turn of the watchdog whose input `event` is."""
    with budget.of(context):
        return app()(event, context)
