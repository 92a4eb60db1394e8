"""`iac-ci cancel` and `rerun`: ending a run before its time, and starting it again."""

from __future__ import annotations

from src.cli import record, style
from src.cli.exit_codes import NOT_SUCCEEDED, OK
from src.cli.remote import show
from src.cli.remote.options import Stack
from src.cli.remote.submit import Way, id_of_new_run, sent, told
from src.cli.remote.watch import watched
from src.cli.say import complain, say
from src.cli.text import count
from src.common.clock import SystemClock
from src.common.status import ACTIVE, JobStatus, OrderStatus
from src.remote import look
from src.remote import rerun as client
from src.remote import submit as submitting
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


def rerun(
    run_id: str,
    stack: Stack,
    way: Way,
    *,
    failed: bool,
    new_id: str | None,
    wait: bool,
    as_json: bool,
) -> int:
    """Start a run's job again, with `failed` only what did not succeed; return the exit code."""
    again = id_of_new_run(new_id)
    aws = stack.connect()
    state = look.state(aws, run_id)
    client.check(state)
    job = aws.request(state.digest or "")
    if job is None:
        raise client.expired(state)
    over = client.carried(job, state) if failed else []
    request = submitting.request(
        job,
        again,
        SystemClock().now_ms(),
        rerun_of=run_id,
        carried=over or None,
        done_endpt=client.done_endpt(state),
    )
    accepted = sent(stack, way, request)
    if over:
        complain(f"{count(len(over), 'order')} carried over from run {run_id}")
    return told(accepted, stack, wait=wait, as_json=as_json)


def _asked(state: RunState) -> str:
    active = sum(state.counts.get(status, 0) for status in ACTIVE)
    queued = state.counts.get(OrderStatus.QUEUED, 0)
    told = [
        f"{count(queued, 'order')} will not start" if queued else "",
        f"{count(active, 'order')} will be told to stop within seconds" if active else "",
    ]
    return f"cancelling run {state.run_id}: " + (", ".join(filter(None, told)) or "it is ending")
