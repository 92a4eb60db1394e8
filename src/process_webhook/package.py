"""Packaging a run (rule 2): code and secrets are fetched, encrypted and uploaded, rows are put.

May run twice at once and die anywhere: every write is put-if-absent, what was written first is read
back and used, and nothing of an order is written before code and secrets of all of them are at
hand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from src.common import budget, bundle, keys, leg
from src.common.codec import decode, encode
from src.common.comments.reporter import Reporter
from src.common.errors import PackagingError, Permanent, Problem, Transient
from src.common.job import GitCode, Job, OrderSpec, parse_job
from src.common.limits import PACKED_CODE
from src.common.messages import Result
from src.common.ports import Clock, ObjectStore, RunStore, SecretSource
from src.common.records import Order, Run
from src.common.status import TERMINAL, OrderStatus
from src.common.threads import Room
from src.process_webhook import carried
from src.process_webhook.carried import Each
from src.process_webhook.rows import first_row, pinned
from src.process_webhook.secrets import credential, resolve

log = logging.getLogger(__name__)

_POLL_S: Final = (0.25, 5.0)  # between two looks for the orchestrator: at first, and at most
_AGAIN_S: Final = (1.0, 30.0)  # between two attempts at packaging
_WAKE_EACH_S: Final = 20
_TO_RAISE_S: Final = 10  # of the invocation's time, kept back
_WAKE: Final = b"{}"


_T = TypeVar("_T")
Pair = tuple[OrderSpec, Order]


class Code(Protocol):
    """The code sources of a job."""

    def pin(self, job: Job) -> dict[str, str]:
        """Return the commit of each `<repository> <ref>`."""

    def code(self, order: OrderSpec, commits: Mapping[str, str]) -> bytes | None:
        """Return an order's code as a zip."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """Packages runs over its ports."""

    runs: RunStore
    internal: ObjectStore
    secrets: SecretSource
    reporter: Reporter
    clock: Clock
    sources: Callable[[Job], AbstractContextManager[Code]]
    each: Each
    patience_s: int  # how long it waits, for services and for the orchestrator, before it raises
    stopped: Callable[[], bool] = lambda: False  # whether to give up at once

    def __call__(self, run_id: str) -> tuple[Result, str | None] | None:
        """Package a run; None when there is nothing to do (any more).

        Returns the result as written to `0000/result.json`, and the comment's address.

        Raises:
            Transient: the orchestrator did not come, or a service was not to be had: try again.
            Permanent: the request is gone.
        """
        with leg.of(run_id, self.clock.now_ms()):
            return self._patiently(run_id)

    def _patiently(self, run_id: str) -> tuple[Result, str | None] | None:
        # Until the orchestrator came nobody but us guards the run, and the platform repeats us but
        # twice: what an outage costs is waited for here.
        until = self.clock.now_ms() + self.patience_s * 1000
        pause_s, longest_s = _AGAIN_S
        while True:
            try:
                return self._once(run_id, until)
            except Transient as error:
                if self._given_up(until):
                    raise
                log.warning("packaging %s, to be tried again in %s s: %s", run_id, pause_s, error)
            self.clock.sleep(pause_s)
            pause_s = min(longest_s, 2 * pause_s)

    def _once(self, run_id: str, until: int) -> tuple[Result, str | None] | None:
        run = self.runs.run(run_id)
        if run is not None:
            leg.traced(run.trace_id)
        if run is None or run.finished_at is not None or run.closing is not None:
            log.warning("packaging %s: the run is gone or over", run_id)
            return None
        result_key = keys.result_key(run_id, keys.PACKAGING)
        if (body := self.internal.get(result_key)) is not None:
            return Result.from_item(decode(body)), self.comment(run_id)
        comment: str | None = None
        started_at = self.clock.now_ms()
        try:
            comment = self._package(run)
            result = Result(status=OrderStatus.SUCCEEDED)
        except PackagingError as error:
            result = _refused(error)
        except Permanent as error:  # trying again cannot help, so the run is told why at once
            log.error("packaging %s: %s", run_id, error)  # noqa: TRY400 - it says all
            result = Result(status=OrderStatus.FAILED, reason=error.told[:1000])
        run = self._wait_until_seen(run, until)
        if run.closing is not None:
            log.warning("packaging %s: the run is over", run_id)
            return None
        result = Result(
            status=result.status,
            reason=result.reason,
            problems=result.problems,
            started_at=started_at,
            finished_at=self.clock.now_ms(),
        )
        if not self.internal.put_new(result_key, encode(result.to_item())):
            body = self.internal.get(result_key)
            result = result if body is None else Result.from_item(decode(body))
        return result, comment

    def comment(self, run_id: str) -> str | None:
        """Return the address of a run's comment, None without one."""
        return self.reporter.address(run_id)

    def _package(self, run: Run) -> str | None:
        job = self._job(run)
        over = frozenset(num for num in job.graph if run.carries(num))
        left = tuple(order for order in job.orders if order.num not in over)
        todo = job.model_copy(update={"orders": left})
        with self.sources(job) as sources:
            problems: dict[Problem, None] = {}  # of every kind, each once, in order of appearance
            reasons = _noted(problems, lambda: carried.take_over(self.runs, self.each, run, job))
            packaging = _noted(problems, lambda: pinned(self.runs, run, todo, sources.pin))
            secrets = _noted(problems, lambda: resolve(todo, self.secrets))
            token = _noted(problems, lambda: self._token(run, job))
            commits = packaging.commits if packaging is not None else {}
            for order in todo.orders:
                if packaging is not None or not isinstance(order.code, GitCode):
                    _noted(problems, partial(sources.code, order, commits))
            if problems or packaging is None or secrets is None or reasons is None:
                told = [(problem.path, problem.message) for problem in problems]
                self.reporter.refused(run, told, token)
                raise PackagingError(problems)
            if job.pr_number or job.issue_number:
                self.reporter.nowhere(run, job.git_repo)
            names = {order.num: order.order_name for order in job.orders}
            comment = self.reporter.opened(run, names, token, packaging.identity)
            rows = self.runs.add_orders(
                [first_row(run, job, order, over, reasons.get(order.num)) for order in job.orders]
            )
            by_num = {row.num: row for row in rows}
            room = Room(PACKED_CODE)  # as much again as the code takes by itself

            def upload(pair: Pair) -> None:
                order, row = pair
                if row.status in TERMINAL:  # the run closed meanwhile
                    return
                code = sources.code(order, commits)
                env = {**job.plain_env(order), **secrets[order.num]}
                contents = bundle.Bundle(
                    cmds=tuple(order.cmds),
                    env=env,
                    secrets=frozenset(secrets[order.num]),
                    folder=order.code.folder if isinstance(order.code, GitCode) else ".",
                )
                with room.of(len(code or b"")):
                    # To the identity in the stored row: the dispatch carries that one, whoever
                    # wrote it.
                    body = bundle.build(code, contents, row.identity)
                    self.internal.put_new(keys.bundle_key(run.run_id, order.num), body)

            self.each(upload, [(order, by_num[order.num]) for order in todo.orders])
        return comment

    def _job(self, run: Run) -> Job:
        body = self.internal.get(keys.request_key(run.digest))
        if body is None:
            raise Permanent(f"its request {run.digest} is gone")
        # It was checked when it was accepted, by the rules in force then.
        return parse_job(decode(body), file_urls=True, code_buckets=None)

    def _token(self, run: Run, job: Job) -> str | None:
        """Return the token for the run's comment."""
        if run.comments_on is None or job.git_token_location is None:
            return None
        return credential(job.git_token_location, self.secrets)

    def _wait_until_seen(self, run: Run, until: int) -> Run:
        """Return the run item once the orchestrator came: else a result might wake nobody.

        S3 may tell it minutes late, or its event was used up in an outage: it is woken again and
        again meanwhile.

        Raises:
            Transient: it did not come. Packaging is repeated.
        """
        wake_at = self.clock.now_ms() + _WAKE_EACH_S * 1000
        pause_s, longest_s = _POLL_S
        while True:
            stored = self.runs.run(run.run_id)
            if stored is not None and stored.seen_at is not None:
                return stored
            given_up = self._given_up(until)
            if given_up or self.clock.now_ms() >= wake_at:
                self.internal.put(keys.accepted_key(run.run_id), _WAKE)
                wake_at = self.clock.now_ms() + _WAKE_EACH_S * 1000
            if given_up:
                raise Transient(f"packaging {run.run_id}: the orchestrator has not come yet")
            self.clock.sleep(pause_s)
            pause_s = min(longest_s, 2 * pause_s)

    def _given_up(self, until: int) -> bool:
        over = self.clock.now_ms() >= until or budget.left_s() < _TO_RAISE_S
        return over or self.stopped()


def _noted(problems: dict[Problem, None], work: Callable[[], _T]) -> _T | None:
    """Return what `work` returned, or None after adding the problems that it met."""
    try:
        return work()
    except PackagingError as error:
        problems.update(dict.fromkeys(error.problems))
        return None


def _refused(error: PackagingError) -> Result:
    return Result(
        status=OrderStatus.FAILED,
        reason="; ".join(str(problem) for problem in error.problems)[:1000],
        problems=tuple(problem.as_dict() for problem in error.problems),
    )
