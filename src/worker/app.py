"""The worker: claim an order, run its commands, report their result.

The same on Lambda, on CodeBuild and in local runs, which differ in the ports alone. Whatever
happens after the claim is reported by this process or, if it dies, by the order's watchdog.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from src.common import codec, leg
from src.common.errors import Permanent, Transient
from src.common.messages import Claim, Dispatch, Result
from src.common.ports import Clock, Uploads
from src.common.retry import REPORT, attempts
from src.common.status import OrderStatus
from src.worker import decide
from src.worker.decide import Outcome
from src.worker.execution import Ending, Execution, Pace, Readable, workplace
from src.worker.sandbox import as_found
from src.worker.user import User

_log = logging.getLogger(__name__)

_LEFT: Final = {"status": str(Outcome.LEFT)}


class Context(Protocol):
    """What the platform tells about an invocation (Lambda's own context object has it)."""

    @property
    def aws_request_id(self) -> str:
        """The same for every attempt at one delivery."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long this process may still run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A context outside Lambda: nothing but the order limits its time."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return more than any order may take."""
        return 24 * 3600 * 1000


class Worker:
    """Handles one order at a time.

    `stops` is where a cancel is looked for (default: `bundles`); it must answer within a few
    seconds, as the commands' deadline waits for it. `environ` is the platform's environment,
    `pass_env` what commands see of it beyond the usual, `folder` where working folders are made,
    `user` who runs the commands (default: who runs the worker), `scratch` a folder of nobody else
    that is to be after an order as it was before.
    """

    def __init__(
        self,
        bundles: Readable,
        uploads: Uploads,
        clock: Clock,
        out: Callable[[Dispatch, str], None],
        *,
        environ: Mapping[str, str],
        stops: Readable | None = None,
        pass_env: Iterable[str] = (),
        pace: Pace | None = None,
        folder: Path | None = None,
        user: User | None = None,
        scratch: Path | None = None,
    ) -> None:
        self._uploads, self._clock, self._folder = uploads, clock, folder
        self._scratch = scratch
        self._execution = Execution(
            bundles=bundles,
            stops=stops or bundles,
            clock=clock,
            out=out,
            environ=environ,
            pass_env=tuple(pass_env),
            pace=pace or Pace(),
            user=user,
        )

    def __call__(self, event: Mapping[str, Any], context: Context) -> dict[str, str]:
        """Handle one delivery; return its `status`, `left` when it was not ours to run.

        Raises:
            VersionRefused: the payload is another release's: a repetition may reach that one.
            Permanent: the payload is no dispatch, or the result was refused.
            Transient: claiming or reporting got no answer; a repetition finds out what came of it.
        """
        dispatch = decide.read_dispatch(event)
        now = self._clock.now_ms()
        with leg.of(dispatch.run_id, now, num=dispatch.num, trace_id=dispatch.trace_id):
            return self._handle(dispatch, context, now)

    def _handle(self, dispatch: Dispatch, context: Context, now: int) -> dict[str, str]:
        name = f"{dispatch.run_id}:{dispatch.num}"
        if now >= dispatch.start_by:
            _log.info("%s came %d ms after its start window", name, now - dispatch.start_by)
            return dict(_LEFT)
        # One nonce per delivery: another delivery to this very process must not take itself for us.
        mine = decide.claim(dispatch, uuid.uuid4().hex, context.aws_request_id, now)
        outcome, held = self._claim(dispatch, mine)
        with contextlib.ExitStack() as stack:  # the result goes out before folders are removed
            match outcome:
                case Outcome.WON:
                    result = self._execute(dispatch, held, context, stack)
                case Outcome.DIED:
                    result = decide.died(held, self._clock.now_ms())
                case Outcome.LEFT:
                    _log.info("%s is not ours to start", name)
                    return dict(_LEFT)
                case Outcome.UNKNOWN:
                    raise Transient(f"claiming {name}: no answer")
            self._report(dispatch, replace(result, dependents=dispatch.dependents), context)
        return {"status": str(result.status)}

    def _claim(self, dispatch: Dispatch, mine: Claim) -> tuple[Outcome, Claim]:
        """Return what became of the attempt and the claim that stands, as far as we know it."""
        status: int | None = None
        with contextlib.suppress(Transient):
            status = self._uploads.put_new(dispatch.claim_url, codec.encode(mine.to_item()))
        winner = None
        if status is None or status == 412 or status >= 500:
            body = self._uploads.get(dispatch.claim_read_url)
            winner = Claim.from_item(codec.decode(body)) if body else None
        return decide.outcome(status, mine, winner, self._clock.now_ms()), winner or mine

    def _execute(
        self, dispatch: Dispatch, held: Claim, context: Context, stack: contextlib.ExitStack
    ) -> Result:
        """Run the order; never raises, since nobody else reports what we have claimed."""
        remaining_ms = context.get_remaining_time_in_millis()
        deadline = decide.deadline(held, dispatch.timeout, self._clock.now_ms(), remaining_ms)
        try:
            if self._scratch is not None:
                stack.enter_context(as_found(self._scratch))
            place = stack.enter_context(workplace(self._folder))
            ending = self._execution(dispatch, deadline, place)
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes the order's result
            _log.exception("running %s:%s", dispatch.run_id, dispatch.num)
            ending = Ending(status=OrderStatus.FAILED, reason=decide.reason(error))
        return Result(
            status=ending.status,
            exit_code=ending.exit_code,
            log=ending.log,
            log_truncated=ending.log_truncated,
            started_at=held.claimed_at,
            finished_at=self._clock.now_ms(),
            reason=ending.reason,
        )

    def _report(self, dispatch: Dispatch, result: Result, context: Context) -> None:
        """Send the result; that somebody else ended the order first (412) is fine."""
        doing = f"reporting {dispatch.run_id}:{dispatch.num}"
        body = codec.encode(result.to_item())

        def left_s() -> float:
            return context.get_remaining_time_in_millis() / 1000

        for last in attempts(REPORT, sleep=self._clock.sleep, left_s=left_s):
            try:
                status = self._uploads.put_new(dispatch.result_url, body)
            except Transient as error:
                trouble = str(error)
            else:
                if status in (200, 201, 412):
                    return
                if status < 500 and status not in (409, 429):
                    raise Permanent(f"{doing}: HTTP {status}")
                trouble = f"HTTP {status}"
            if last:
                raise Transient(f"{doing}: {trouble}")
