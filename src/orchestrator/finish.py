"""What follows from a finished run item: the done object and the last comment (rule 8)."""

from __future__ import annotations

from src.common import keys
from src.common.codec import encode
from src.common.comments.reporter import Reporter
from src.common.outcome import done_summary, gather
from src.common.records import Run
from src.orchestrator.lease import Lease
from src.orchestrator.perform import EMPTY, Ports


def finalize(ports: Ports, run: Run, lease: Lease) -> None:
    """Write what follows from the finished run item; each step may be repeated (rule 8)."""
    publish(ports, run, lease)
    ports.locks.complete(run.run_id, lease.owner)
    ports.internal.put(keys.finished_key(run.run_id), EMPTY)


def publish(ports: Ports, run: Run, lease: Lease) -> None:
    """Write the done object and the last comment."""
    names, orders = gather(ports.runs, ports.internal, run)
    summary = done_summary(run, names, orders)
    lease.ensure()
    ports.done.put_new(keys.done_key(run.run_id), encode(summary))
    if run.comments_on is not None:
        lease.ensure()  # it may take a while
        reporter(ports).closed(run, summary)


def reporter(ports: Ports) -> Reporter:
    """Return what writes the comments of runs."""
    return Reporter(ports.runs, ports.internal, ports.comments, ports.clock)
