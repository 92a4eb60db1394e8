"""Holds a simulation to the model: each call that had an effect is a step that the model allows.

It sees every call of every process after its effect, with what was given and what came back, and
compares what is stored with what the model has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from src.common import keys
from src.common.codec import decode
from src.common.messages import Dispatch, WatchdogInput
from src.common.records import Change, Lock, Order, Run
from src.local.platform import Adapters
from tests.simulation.model import Plan, RunModel

_OBJECT: Final = re.compile(r"tmp/(?P<area>callbacks/runs|exec)/(?P<run>[^/]+)/(?P<rest>.+)")


class Watch:
    """The model of each run of a simulation, and which call is which of its steps."""

    def __init__(self, stored: Adapters, now: Callable[[], int]) -> None:
        self.models: dict[str, RunModel] = {}  # of the runs that were accepted
        self._plans: dict[str | None, Plan] = {}
        self._stored = stored  # not the ones that processes use: looking is no call of theirs
        self._now = now

    def expect(self, run_id: str | None, job: Mapping[str, Any]) -> None:
        """Be ready for a run; without an id of its own it gets one when it is accepted."""
        self._plans.setdefault(run_id, Plan.of(job))

    def started(self, dispatch: Dispatch, who: str) -> None:
        """Take the step that is no call: the commands of an order start."""
        self.models[dispatch.run_id].start(dispatch.num, who)

    def see(
        self, who: str, call: str, args: tuple[Any, ...], named: Mapping[str, Any], out: Any
    ) -> None:
        """Take the step of a call that returned `out`.

        Raises:
            Violation: the model does not allow it, or what is stored now is not what it has.
        """
        step = _STEPS.get(call)
        if step is not None:
            step(self, who, out, *args, **named)

    # -- one method a call --------------------------------------------------------------------

    def _accept(self, _who: str, out: Any, run: Run, _record: Any, _now: int) -> None:
        existing, record = out
        if existing is None and record.run_id == run.run_id:
            plan = self._plans.get(run.run_id) or self._plans[None]
            self.models.setdefault(run.run_id, RunModel(plan, self._now)).accept(run)

    def _add_orders(self, _who: str, out: list[Order], orders: list[Order]) -> None:
        for given, stored in zip(orders, out, strict=True):
            model = self.models[given.run_id]
            if model.rows.get(given.num) is None:
                model.add_row(given.num, stored)
        self._compare_rows(orders[0].run_id)

    def _commit(self, _who: str, _out: None, change: Change) -> None:
        self.models[change.run.run_id].commit(change)
        self._compare_rows(change.run.run_id)
        self._compare_lock(change.run.run_id)

    def _mark(self, _who: str, _out: Lock, run: Run | Lock, marks: frozenset[str]) -> None:
        self.models[run.run_id].mark(marks)
        self._compare_lock(run.run_id)

    def _take(
        self,
        _who: str,
        _out: Lock,
        run_id: str,
        owner: str,
        now: int,
        lease: int,
        *,
        marks: frozenset[str] = frozenset(),
        settled: frozenset[str] = frozenset(),
    ) -> None:
        self.models[run_id].take(owner, now, lease, marks, settled)
        self._compare_lock(run_id)

    def _renew(self, _who: str, _out: None, run_id: str, owner: str, lease: int) -> None:
        self.models[run_id].renew(owner, lease)
        self._compare_lock(run_id)

    def _release(
        self, _who: str, out: bool, run_id: str, owner: str, wake: int, done: frozenset[str]
    ) -> None:
        if out:
            self.models[run_id].release(owner, wake, done)
        self._compare_lock(run_id)

    def _complete(self, _who: str, _out: None, run_id: str, owner: str) -> None:
        model = self.models[run_id]
        if model.lock is None or not model.lock.completed:
            model.complete(owner)
        self._compare_lock(run_id)

    def _put(self, who: str, _out: None, key: str, body: bytes) -> None:
        self._object(who, key, body)

    def _put_new(self, who: str, out: bool, key: str, body: bytes) -> None:
        if out:
            self._object(who, key, body)

    def _upload(self, who: str, out: int, url: str, body: bytes) -> None:
        if out == 200:
            self._object(who, unquote(urlsplit(url).path).lstrip("/"), body)

    def _done(self, _who: str, out: bool, key: str, body: bytes) -> None:
        if out:
            self.models[key.partition("/")[0]].put_done(decode(body))

    def _put_done(self, who: str, _out: None, key: str, body: bytes) -> None:
        self._done(who, out=True, key=key, body=body)

    def _start_watchdog(self, _who: str, _out: None, _name: str, task: WatchdogInput) -> None:
        self.models[task.run_id].start_watchdog(task.num)

    def _start_worker(self, _who: str, _out: None, dispatch: Dispatch) -> None:
        self.models[dispatch.run_id].hand_over(dispatch.num, dispatch.token)

    def _object(self, who: str, key: str, body: bytes) -> None:
        found = _OBJECT.search(key)
        if found is None:
            return
        model = self.models[found["run"]]
        num, _, rest = found["rest"].partition("/")
        match found["area"], num, rest:
            case "exec", _, "exec.zip":
                model.add_bundle(num)
            case "callbacks/runs", "cancel", _:
                model.ask_to_cancel()
            case "callbacks/runs", "finished.json", _:
                model.put_finished()
            case "callbacks/runs", keys.PACKAGING, "result.json":
                model.end_packaging(decode(body)["status"])
            case "callbacks/runs", _, "claim.json":
                claim = decode(body)
                model.claim(num, who, claim.get("status"), claim["end_by"])
            case "callbacks/runs", _, "result.json" if keys.is_order_num(num):
                model.result(num, who, decode(body)["status"])
            case "callbacks/runs", _, "ack.json":
                model.acknowledge(num)

    # -- refinement ---------------------------------------------------------------------------

    def _compare_lock(self, run_id: str) -> None:
        self.models[run_id].agrees_with_lock(self._stored.locks.get(run_id))

    def _compare_rows(self, run_id: str) -> None:
        model = self.models[run_id]
        rows = self._stored.runs.orders(run_id, model.orders)
        model.agrees_with_rows(self._stored.runs.run(run_id), rows)


_STEPS: Final[Mapping[str, Callable[..., None]]] = {
    "runs.accept": Watch._accept,
    "runs.add_orders": Watch._add_orders,
    "runs.commit": Watch._commit,
    "locks.mark": Watch._mark,
    "locks.take": Watch._take,
    "locks.renew": Watch._renew,
    "locks.release": Watch._release,
    "locks.complete": Watch._complete,
    "internal.put": Watch._put,
    "internal.put_new": Watch._put_new,
    "done.put_new": Watch._done,
    "done.put": Watch._put_done,
    "uploads.put_new": Watch._upload,
    "watchdogs.start": Watch._start_watchdog,
    "workers.start": Watch._start_worker,
    "builds.start": Watch._start_worker,
}
