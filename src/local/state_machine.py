"""The watchdog state machine as data: what the stack's definition is, in Amazon States Language."""

from __future__ import annotations

from typing import Any


def watchdog_definition(check_arn: str, wait_s: int) -> dict[str, Any]:
    """Return the watchdog's states.

    The task's answer `{"done", "poked_at"}` is merged into the execution's input, so that every
    turn gets run, order and times as the first one did, and what the turn before it answered.
    """
    return {
        "Comment": "Ends an order (or packaging, or a run) that did not end by its deadline",
        "StartAt": "CheckResult",
        "States": {
            "CheckResult": {
                "Type": "Task",
                "Resource": check_arn,
                "ResultSelector": {"task.$": "States.JsonMerge($$.Execution.Input, $, false)"},
                "OutputPath": "$.task",
                # A watchdog that dies leaves its order unguarded, and its name is burnt for 90
                # days: it outlasts an outage of hours.
                "Retry": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "IntervalSeconds": 5,
                        "BackoffRate": 2,
                        "MaxDelaySeconds": 60,
                        "MaxAttempts": 1000,
                    }
                ],
                "Next": "IsDone",
            },
            "IsDone": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.done", "BooleanEquals": True, "Next": "Succeed"}],
                "Default": "WaitStep",
            },
            "WaitStep": {"Type": "Wait", "Seconds": wait_s, "Next": "CheckResult"},
            "Succeed": {"Type": "Succeed"},
        },
    }
