"""`iac-ci cancel`: ending a run before its time."""

from __future__ import annotations

from src.cli import record, style
from src.cli.exit_codes import NOT_SUCCEEDED, OK
from src.cli.remote import show
from src.cli.remote.options import Stack
from src.cli.remote.watch import watched
from src.cli.say import complain, say
from src.cli.text import count
from src.common.status import ACTIVE, JobStatus, OrderStatus
from src.remote import look
from src.remote.state import RunState


def cancel_run(run_id: str, stack: Stack, *, wait: bool, as_json: bool) -> int:
    """Cancel a run; return 0 when it is (being) cancelled, 1 when it had ended otherwise."""
    aws = stack.connect()
    state = look.outline(aws, run_id)
    if not state.ended:
        aws.cancel(run_id)
        complain(_asked(state))
        if not wait:
            if as_json:
                say(record.dumps({**show.run(state), "closing": str(JobStatus.CANCELLED)}))
            return OK
        end, code = watched(run_id, stack, as_json=as_json)
        if end is None:
            return code
        state = end
    elif as_json:
        say(record.dumps(show.run(state)))
    if state.status is JobStatus.CANCELLED:
        return OK
    complain(f"run {run_id} had ended before: {style.word(state.status)}")
    return NOT_SUCCEEDED


def _asked(state: RunState) -> str:
    active = sum(state.counts.get(status, 0) for status in ACTIVE)
    queued = state.counts.get(OrderStatus.QUEUED, 0)
    told = [
        f"{count(queued, 'order')} will not start" if queued else "",
        f"{count(active, 'order')} will be told to stop within seconds" if active else "",
    ]
    return f"cancelling run {state.run_id}: " + (", ".join(filter(None, told)) or "it is ending")
