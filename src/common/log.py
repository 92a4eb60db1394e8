"""Logs of the handlers: one JSON object a line on AWS (powertools), nothing set up elsewhere."""

from __future__ import annotations

import json
import logging
from functools import partial


def set_up(service: str) -> None:
    """Send this process's records of `src` through powertools' formatter; called once, at start."""
    from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

    handler = logging.StreamHandler()
    # ASCII alone: what a caller wrote can neither end a line nor steer a terminal that shows it.
    ascii_json = partial(json.dumps, default=str)
    handler.setFormatter(LambdaPowertoolsFormatter(service=service, json_serializer=ascii_json))
    root = logging.getLogger("src")
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
