"""Ids and the names under which things lie: run and trace ids, S3 keys, order numbers.

One place for every name that crosses a process boundary. Pure text, no storage.
"""

from __future__ import annotations

import re
import secrets
import uuid
from typing import Final

RUN_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
TRACE_ID: Final = re.compile(r"[0-9A-Fa-f]{8,64}")
ORDER_NAME: Final = re.compile(r"(?!_)[A-Za-z0-9._-]{1,80}")
ORDER_NUM: Final = re.compile(r"[0-9]{4}")

JOB: Final = "_job"  # the order_name of events that concern the whole run
PACKAGING: Final = "0000"  # the order number of packaging and of the run's own watchdog

# Wake-up marks beside order numbers: what an event under the callbacks prefix asks for.
ACCEPTED: Final = "accepted"
POKE: Final = "poke"
CANCEL: Final = "cancel"

PACKAGE_RUN: Final = (
    "package_run"  # the one key of the event by which process_webhook invokes itself
)
PAYLOAD_VARIABLE: Final = "IAC_CI_PAYLOAD"  # a build's environment holds its dispatch, packed

CALLBACKS: Final = "tmp/callbacks/runs/"
EXEC: Final = "tmp/exec/"
_RESULT: Final = "result.json"


def new_run_id() -> str:
    """Return a fresh run id (36 characters)."""
    return str(uuid.uuid4())


def new_trace_id() -> str:
    """Return a fresh trace id (16 hex digits)."""
    return secrets.token_hex(8)


def trace_leg(trace_id: str, epoch_s: int) -> str:
    """Return `<trace_id>:<epoch seconds>`: a trace, and when one of its legs began (`leg.py`)."""
    return f"{trace_id}:{epoch_s}"


def flow_id(username: str, trace_id: str, flow_label: str) -> str:
    """Return `<username>:<trace_id>-<flow_label>`."""
    return f"{username}:{trace_id}-{flow_label}"


def order_num(position: int) -> str:
    """Return the number of the order at 1-based `position`: `"0001"`."""
    return f"{position:04d}"


def is_order_num(mark: str) -> bool:
    """Return whether a mark is the number of an order (packaging's `0000` is none)."""
    return ORDER_NUM.fullmatch(mark) is not None and mark != PACKAGING


def row_key(run_id: str, num: str) -> str:
    """Return the primary key of an order's row."""
    return f"{run_id}:{num}"


def execution_name(run_id: str, num: str) -> str:
    """Return the watchdog's execution name; at most 69 of Step Functions' 80 characters."""
    return f"{run_id}-{num}"


def request_key(digest: str) -> str:
    """Return where an accepted request lies: named by its content, none overwrites another."""
    return f"tmp/requests/{digest}.json"


def bundle_key(run_id: str, num: str) -> str:
    """Return where the bundle (code and encrypted environment) of an order lies."""
    return f"{EXEC}{run_id}/{num}/exec.zip"


def stop_key(run_id: str, num: str) -> str:
    """Return the object whose existence tells a running worker to stop."""
    return f"{EXEC}{run_id}/{num}/cancel"


def vcs_key(run_id: str) -> str:
    """Return where the encrypted VCS token lies, outside what workers may read."""
    return f"{CALLBACKS}{run_id}/{PACKAGING}/vcs.age"


def comment_key(run_id: str) -> str:
    """Return where it is written down which comment is the run's."""
    return f"{CALLBACKS}{run_id}/{PACKAGING}/comment.json"


def result_key(run_id: str, num: str) -> str:
    """Return where the result of an order, or of packaging (`0000`), lies."""
    return f"{CALLBACKS}{run_id}/{num}/{_RESULT}"


def claim_key(run_id: str, num: str) -> str:
    """Return the object that whoever starts or ends an order must create first."""
    return f"{CALLBACKS}{run_id}/{num}/claim.json"


def ack_key(run_id: str, num: str) -> str:
    """Return the orchestrator's acknowledgement, on which an order's watchdog ends."""
    return f"{CALLBACKS}{run_id}/{num}/ack.json"


def accepted_key(run_id: str) -> str:
    """Return the object whose creation wakes the orchestrator for a new run."""
    return f"{CALLBACKS}{run_id}/{PACKAGING}/accepted/{_RESULT}"


def poke_key(run_id: str) -> str:
    """Return the object that a watchdog overwrites to make the orchestrator look again."""
    return f"{CALLBACKS}{run_id}/poke/{_RESULT}"


def cancel_key(run_id: str) -> str:
    """Return the object whose creation cancels a run."""
    return f"{CALLBACKS}{run_id}/cancel/{_RESULT}"


def finished_key(run_id: str) -> str:
    """Return the object that finalizing writes last and on which the run's watchdog ends."""
    return f"{CALLBACKS}{run_id}/finished.json"


def done_key(run_id: str) -> str:
    """Return the key of the done object in the done bucket."""
    return f"{run_id}/done"


_MARKS: Final = {f"{PACKAGING}/accepted": ACCEPTED, "poke": POKE, "cancel": CANCEL}


def parse_callback(key: str) -> tuple[str, str] | None:
    """Return `(run_id, mark)` of a key that wakes the orchestrator, None for any other key.

    The mark is an order number, or one of ACCEPTED, POKE and CANCEL.
    """
    if not key.startswith(CALLBACKS) or not key.endswith("/" + _RESULT):
        return None
    run_id, _, rest = key[len(CALLBACKS) : -len(_RESULT) - 1].partition("/")
    mark = _MARKS.get(rest, rest)
    if not RUN_ID.fullmatch(run_id) or not (rest in _MARKS or ORDER_NUM.fullmatch(mark)):
        return None
    return run_id, mark
