"""Logs of the handlers: one JSON object a line on AWS (powertools), nothing set up elsewhere.

Each line says on which leg of which trace it was logged (`leg.py`).
"""

from __future__ import annotations

import json
import logging
from functools import partial

from src.common import leg


def set_up(service: str) -> None:
    """Send this process's records of `src` through powertools' formatter; called once, at start."""
    from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

    handler = logging.StreamHandler()
    # ASCII alone: what a caller wrote can neither end a line nor steer a terminal that shows it.
    ascii_json = partial(json.dumps, default=str)
    handler.setFormatter(LambdaPowertoolsFormatter(service=service, json_serializer=ascii_json))
    handler.addFilter(_say_leg)
    root = logging.getLogger("src")
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False


def _say_leg(record: logging.LogRecord) -> bool:
    """Give a record the fields of its leg; the formatter prints what it does not know."""
    vars(record).update(leg.fields())
    return True
