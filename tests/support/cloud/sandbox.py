"""One sandbox of a function: a process that runs the production handler, one event at a time.

    python -m tests.support.cloud.sandbox src.worker.handler.handler

stdin: `{"event", "request_id", "deadline_ms"}` a line; stdout: `{"answer"}` or `{"error"}`. What
the handler prints goes to stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from typing import Any


@dataclass
class Context:
    """Lambda's context, as far as handlers look at it."""

    aws_request_id: str
    deadline_ms: int

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self.deadline_ms - time.time_ns() // 1_000_000)


def main() -> None:
    """Handle events until stdin ends."""
    module, _, name = sys.argv[1].rpartition(".")
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    handler = getattr(importlib.import_module(module), name)
    print(json.dumps({"ready": True}), file=out)
    for line in sys.stdin:
        given = json.loads(line)
        context = Context(given["request_id"], given["deadline_ms"])
        answer: dict[str, Any]
        try:
            answer = {"answer": handler(given["event"], context)}
        except Exception as error:  # noqa: BLE001 - a failed invocation, as on Lambda
            answer = {"error": f"{type(error).__name__}: {error}"}
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({**answer, "peak_kb": peak_kb}), file=out)


if __name__ == "__main__":
    main()
