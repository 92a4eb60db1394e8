"""What became of a run: read from its rows, results and events once it is finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.common import keys
from src.common.codec import decode
from src.common.errors import Problem
from src.common.job import orders_of
from src.common.messages import Result
from src.common.records import Event
from src.common.status import JobStatus, OrderStatus
from src.common.story import in_story
from src.local.platform import Adapters


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """One order of a finished run, as asked for and as it went; times are epoch milliseconds.

    `start_by` and `end_by` are the row's: no worker may claim after the one, no command run after
    the other.
    """

    num: str
    name: str
    status: OrderStatus
    exit_code: int | None
    dispatched_at: int | None
    started_at: int | None
    finished_at: int | None
    reason: str | None
    log: str
    log_truncated: bool
    dependencies: tuple[str, ...]
    cmds: tuple[str, ...] = ()
    must_succeed: bool = True
    use_lambda: bool = True
    timeout: int | None = None  # seconds
    start_by: int | None = None
    end_by: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What became of a run. `refused`: packaging found problems and nothing ran."""

    run_id: str
    trace_id: str
    flow_id: str
    status: JobStatus
    reason: str | None
    problems: tuple[Problem, ...]
    orders: tuple[OrderView, ...]
    events: tuple[Event, ...]
    started_at: int
    finished_at: int
    refused: bool
    end_by: int | None = None  # the deadline of the run


def report(
    adapters: Adapters, answer: Mapping[str, Any], raw_job: object, started_at: int
) -> RunReport:
    """Return what became of the finished run that `answer` accepted."""
    run_id = answer["run_id"]
    run = adapters.runs.run(run_id)
    assert run is not None
    packaging = _result(adapters, run_id, keys.PACKAGING)
    problems = () if packaging is None else packaging.problems
    asked = orders_of(raw_job)
    rows = adapters.runs.orders(run_id, answer["orders"].values())
    views = []
    for name, num in answer["orders"].items():
        row = rows.get(num)
        ran = row is not None and row.dispatched_at is not None
        result = _result(adapters, run_id, num) if ran else None
        views.append(
            OrderView(
                num=num,
                name=name,
                status=OrderStatus.SKIPPED if row is None else row.status,
                exit_code=None if row is None else row.exit_code,
                dispatched_at=None if row is None else row.dispatched_at,
                started_at=None if row is None else row.started_at,
                finished_at=None if row is None else row.finished_at,
                reason="never packaged" if row is None else row.reason,
                log="" if result is None else result.log,
                log_truncated=result is not None and result.log_truncated,
                dependencies=tuple(asked[name].get("dependencies") or ()),
                cmds=tuple(asked[name]["cmds"]),
                must_succeed=asked[name].get("must_succeed", True),
                use_lambda=asked[name].get("use_lambda", True),
                timeout=asked[name]["timeout"],
                start_by=None if row is None else row.start_by,
                end_by=None if row is None else row.end_by,
            )
        )
    return RunReport(
        run_id=run_id,
        trace_id=run.trace_id,
        flow_id=run.flow_id,
        status=run.status,
        reason=run.reason,
        problems=tuple(Problem(p["path"], p["message"]) for p in problems),
        orders=tuple(views),
        events=tuple(sorted(adapters.runs.events(run.trace_id), key=in_story)),
        started_at=started_at,
        finished_at=run.finished_at or adapters.clock.now_ms(),
        refused=bool(problems),
        end_by=run.end_by,
    )


def _result(adapters: Adapters, run_id: str, num: str) -> Result | None:
    body = adapters.internal.get(keys.result_key(run_id, num))
    return None if body is None else Result.from_item(decode(body))
