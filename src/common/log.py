"""Logs of the handlers: one JSON object a line on AWS (powertools), nothing set up elsewhere."""

from __future__ import annotations

import logging


def set_up(service: str) -> None:
    """Send this process's records of `src` through powertools' formatter; called once, at start."""
    from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(LambdaPowertoolsFormatter(service=service))
    root = logging.getLogger("src")
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
