"""Accepting a job (rule 2): one transaction, one wake-up, one invocation, then the answer.

Whoever dies in between is made good by the caller's repetition of the request: the transaction
finds the first one's record, and the wake-up and invocation are repeated until packaging has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from src.common import jsontext, keys
from src.common.codec import encode
from src.common.comments.place import Place
from src.common.errors import RunConflict, Unauthenticated
from src.common.job import Job
from src.common.job_fields import PACKAGING
from src.common.ports import Clock, ObjectStore, Packager, RunStore
from src.common.records import Idempotency, Run
from src.common.status import OrderStatus
from src.process_webhook.request import Request

FRESH_S: Final = 15 * 60
AHEAD_S: Final = 2 * 60  # of clocks that disagree
REPEATS_S: Final = 10 * 60  # how long an equal body without run_id is a redelivery, not a new run
REMEMBER_S: Final = 90 * 24 * 3600
KEEP_ROWS_S: Final = 24 * 3600  # past the run's deadline

_WAKE: Final = b"{}"


@dataclass(frozen=True, kw_only=True)
class Accept:
    """Accepts requests over its ports."""

    runs: RunStore
    internal: ObjectStore
    packager: Packager
    clock: Clock
    done_bucket: str
    comments: bool = False  # whether runs are commented on

    def __call__(
        self, request: Request, *, signed: bool, strict: bool
    ) -> tuple[Run | None, dict[str, Any]]:
        """Accept a request, or recognise it as one that was accepted before.

        Returns the stored run (None when its rows have expired) and the answer. Packaging is not
        yet asked for: see `start`.

        Raises:
            Unauthenticated: it is too old, or carries nothing that tells a replay.
            RunConflict: its run_id belongs to another job.
        """
        now = self.clock.now_ms()
        check_fresh(request, now // 1000, strict=signed and strict)
        job = request.job
        run = new_run(request, job, now, self.done_bucket)
        if self.comments and (place := comment_place(job)) is not None:
            run = replace(run, comments_on=str(place))
        record = Idempotency(
            digest=remembered_as(request),
            job_digest=run.digest,
            run_id=run.run_id,
            trace_id=run.trace_id,
            expires_at=remembered_until(request, now // 1000) * 1000,
            ttl=remembered_until(request, now // 1000),
        )
        # Named by its content, so it may lie there before anybody knows whether the job is
        # accepted.
        self.internal.put(keys.request_key(run.digest), encode(request.raw_job))
        existing, stored = self.runs.accept(run, record, now)
        if stored.job_digest != run.digest or (
            existing is not None and existing.digest != run.digest
        ):
            raise RunConflict(f"run_id {run.run_id} belongs to another job")
        if stored == record and existing is None:
            return run, answer(request, run.run_id, run.trace_id, run.done_endpt, run.pr_search_tag)
        first = existing or self.runs.run(stored.run_id)
        if first is None:
            tag = pr_search_tag(job, stored.run_id)
            done = request.done_endpt or done_endpt(self.done_bucket, stored.run_id)
            return None, answer(request, stored.run_id, stored.trace_id, done, tag)
        return first, answer(
            request, first.run_id, first.trace_id, first.done_endpt, first.pr_search_tag
        )

    def start(self, run: Run, *, invoke: bool) -> None:
        """Wake the orchestrator and ask for packaging, unless packaging has ended already."""
        if run.finished_at is not None or self._packaged(run.run_id):
            return
        self.internal.put(keys.accepted_key(run.run_id), _WAKE)
        if invoke:
            self.packager.start(run.run_id)

    def _packaged(self, run_id: str) -> bool:
        return self.internal.get(keys.result_key(run_id, keys.PACKAGING)) is not None


def remembered_as(request: Request) -> str:
    """Return the digest under which a request is remembered.

    By its run_id alone where it has one, so that another job under it is found out; else by all of
    it.
    """
    if request.run_id is not None:
        return jsontext.sha256({"run_id": request.run_id})
    return request.idempotency_digest


def remembered_until(request: Request, now_s: int) -> int:
    """Return until when (epoch seconds) the same request starts nothing.

    A request that says when it was issued is remembered for as long as it is fresh: until it is too
    old to be replayed.
    """
    if request.run_id is not None:
        return now_s + REMEMBER_S
    return max(now_s + REPEATS_S, (request.issued_at or 0) + FRESH_S + 1)


def check_fresh(request: Request, now_s: int, *, strict: bool) -> None:
    """Refuse old requests.

    Raises:
        Unauthenticated: `issued_at` is more than 15 minutes old, or the strict setting finds
            neither `run_id` nor `issued_at`.
    """
    if request.issued_at is None:
        if strict and request.run_id is None:
            raise Unauthenticated(
                "issued_at: neither run_id nor issued_at is given; one is required"
            )
    elif not -AHEAD_S <= now_s - request.issued_at <= FRESH_S:
        age = now_s - request.issued_at
        allowed = f"{FRESH_S} s, or {AHEAD_S} s ahead"
        raise Unauthenticated(f"issued_at: {request.issued_at} is {age} s old, over {allowed}")


def done_endpt(bucket: str, run_id: str) -> str:
    """Return where the done object of a run lies."""
    return f"s3://{bucket}/{keys.done_key(run_id)}"


def pr_search_tag(job: Job, run_id: str) -> str:
    """Return the hidden tag by which the run's comment is found again."""
    return job.pr_comment_search_tag or f"iac-ci-{run_id}"


def comment_place(job: Job) -> Place | None:
    """Return where the run is commented on: the pull request goes before the issue."""
    return Place.of(job.git_repo, job.pr_number or job.issue_number)


def new_run(request: Request, job: Job, now: int, done_bucket: str) -> Run:
    """Return the run item of a new run: counters at their start, and who may start."""
    run_id = request.run_id or keys.new_run_id()
    trace_id = request.trace_id or keys.new_trace_id()
    end_by = now + job.effective_job_timeout * 1000
    carried = request.carried
    counts = {
        OrderStatus.QUEUED: len(job.orders) - len(carried),
        OrderStatus.SUCCEEDED: len(carried),
    }
    ready = (num for num in job.graph.keys() - carried if not job.waits_for(num, carried))
    return Run(
        run_id=run_id,
        trace_id=trace_id,
        flow_id=keys.flow_id(job.username, trace_id, job.flow_label),
        username=job.username,
        digest=request.job_digest,
        created_at=now,
        package_by=now + PACKAGING * 1000,
        end_by=end_by,
        ttl=end_by // 1000 + KEEP_ROWS_S,
        total=len(job.orders),
        done_endpt=request.done_endpt or done_endpt(done_bucket, run_id),
        pr_search_tag=pr_search_tag(job, run_id),
        max_parallel=job.max_parallel,
        counts={str(status): count for status, count in counts.items() if count},
        ready=bitmap(ready),
        rerun_of=request.rerun_of,
        carried=bitmap(carried),
    )


def bitmap(nums: Iterable[str]) -> str:
    """Return order numbers as the run item has them: in hex, bit n for order n."""
    return f"{sum(1 << int(num) for num in nums):x}"


def answer(
    request: Request, run_id: str, trace_id: str, done: str, search_tag: str
) -> dict[str, Any]:
    """Return the body of a 200: the same for a request and its repetitions."""
    job = request.job
    return {
        "run_id": run_id,
        "trace_id": trace_id,
        "flow_id": keys.flow_id(job.username, trace_id, job.flow_label),
        "done_endpt": done,
        "pr_search_tag": search_tag,
        "init_pr_comment": None,
        "orders": {order.order_name: order.num for order in job.orders},
    }
