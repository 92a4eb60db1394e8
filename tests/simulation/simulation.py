"""A whole run, or several, in a simulated AWS: the real handlers, everything around them simulated.

    with Simulation(policy) as sim:
        sim.submit(job, run_id="r1")
        sim.run()
        sim.check()

Every call of every port is a point where another process may go on, where a process may die or
stall, and a step that the model has to allow.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from unittest.mock import patch

from src.common import keys
from src.common.errors import Conflict, Permanent, Transient
from src.common.messages import Dispatch
from src.common.status import OrderStatus
from src.local.memory import MemoryWorkers
from src.local.platform import Adapters, Platform, embedded, handlers
from src.local.stack import ORCHESTRATOR, PROCESS_WEBHOOK, WORKER, Stack
from src.worker import decide
from src.worker.app import Worker
from src.worker.decide import Deadline
from src.worker.execution import Ending, Execution
from tests.simulation.aws import SimulatedAws
from tests.simulation.invariants import Violation, hold
from tests.simulation.jobs import SECRETS
from tests.simulation.policy import HAND_OVERS, Die, Pause, Policy, Refuse, Repeat
from tests.simulation.scheduler import CALL_MS, Actor, Scheduler
from tests.simulation.story import Story
from tests.simulation.watch import Watch
from tests.support.build import NOW
from tests.support.leaks import Text
from tests.support.stores import in_memory

COMMANDS_MS: Final = 7_000  # what an order's commands take
TAKEN_FOR_LOST: Final = frozenset({"locks.release"})  # nobody can tell who freed it
MANY_CALLS: Final = 50_000  # no run needs so many, whatever happens to it
RESEND_S: Final = 10  # a caller who got no answer asks again


class SimulatedClock:
    """The scheduler's time, as the handlers' port."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def now_ms(self) -> int:
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        self._scheduler.sleep(int(seconds * 1000))


MakePlatform = Callable[[Stack, SimulatedClock, SimulatedAws], Platform]
Look = Callable[[Adapters], list[Text]]


def on_memory(stack: Stack, clock: SimulatedClock, aws: SimulatedAws) -> Platform:
    """Return the platform on the in-memory adapters."""
    platform = embedded(stack, SECRETS, clock, aws)
    builds = MemoryWorkers(aws.start_build)  # which knows for how long a token is remembered
    return replace(platform, adapters=replace(platform.adapters, builds=builds))


class Simulation:
    """One simulated world. `outcomes` say by order name how its commands end (default: well).

    An outcome is a status, `dies` (the worker's process, in the middle of its commands) or `lost`
    (no worker ever gets it). `id_space` keeps the ids of simulations apart that share their stores.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        outcomes: Mapping[str, str] | None = None,
        *,
        make_platform: MakePlatform = on_memory,
        look: Look = in_memory,
        now: int = NOW,
        id_space: int = 0,
    ) -> None:
        self.policy = policy or Policy()
        self.commands_ms = COMMANDS_MS
        self.outcomes = outcomes or {}
        self.scheduler = Scheduler(now, self.policy.choose)
        self.clock = SimulatedClock(self.scheduler)
        self.policy.now = self.clock.now_ms
        self.story = Story(now)
        self.stack = Stack()
        self.aws = SimulatedAws(self.stack, self.clock, self.scheduler, self.policy, self._tell)
        self.aws.unreachable = frozenset(n for n, out in self.outcomes.items() if out == "lost")
        self.aws.died = lambda actor: self.disturbed.add(actor.order or "")
        platform = make_platform(self.stack, self.clock, self.aws)
        self.stored, self._look = platform.adapters, look
        self.watch = Watch(self.stored, self.clock.now_ms)
        self.answers: list[dict[str, Any]] = []  # that callers got
        self.calls: list[tuple[str, str]] = []  # which process called what
        self.started: Counter[str] = Counter()  # command lists, by `<run_id>:<num>`
        self.disturbed: set[str] = set()  # orders whose own process was killed or stood still
        self.faults: list[str] = []  # what the policy did
        self.violation: Violation | None = None
        self.adapters = self._tapped()
        self.aws.functions.update(handlers(self.adapters, self.stack, patience_s=270))
        self.aws.functions[WORKER] = self._worker()
        self._patches = patch("uuid.uuid4", self._uuid)
        self._uuids = id_space << 32

    def __enter__(self) -> Self:
        self._patches.start()
        self._logging = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        self.scheduler.close()
        logging.disable(self._logging)
        self._patches.stop()

    # -- what callers do ----------------------------------------------------------------------

    def submit(self, job: Mapping[str, Any], run_id: str | None = "r1", *, resend: int = 5) -> None:
        """Send a job by direct invocation, and again while there is no answer."""
        self.watch.expect(run_id, job)
        event = {"job": job} if run_id is None else {"job": job, "run_id": run_id}

        def answered(error: BaseException | None, answer: Any) -> None:
            if error is None and answer["statusCode"] == 200:
                self.answers.append(answer["body"])
            elif resend:
                self._tell("the caller gets no answer, and sends the job again")
                again = lambda: self.submit(job, run_id, resend=resend - 1)  # noqa: E731
                self.scheduler.after(RESEND_S, again)

        self.aws.call(PROCESS_WEBHOOK, event, answered)

    def cancel(self, run_id: str = "r1") -> None:
        """Ask for the end of a run, as the command line does: by an object."""
        key = keys.cancel_key(run_id)
        self.scheduler.spawn("canceller", lambda: self.adapters.internal.put(key, b"{}"))

    def poke(self, run_id: str) -> None:
        """Make the orchestrator look again, as a watchdog does."""
        self.put(keys.poke_key(run_id))

    def put(self, key: str, body: bytes = b"{}") -> None:
        """Put an object at once, as nobody's process; its event goes out as any."""
        self.stored.internal.put(key, body)
        self.aws.collect()
        self._hold(lambda: self.watch.see("somebody", "internal.put", (key, body), {}, None))

    def left(self) -> list[Text]:
        """Return all that lies in stores, and what workers, builds and executions were given."""
        return [*self._look(self.stored), *self.aws.handed]

    # -- running ------------------------------------------------------------------------------

    def run(self, until: Callable[[], bool] = lambda: False, *, days: float = 2) -> None:
        """Let everything happen, until nothing is left to happen or `until` says stop.

        Raises:
            Violation: with the story.
        """
        last = self.scheduler.now + int(days * 24 * 3600 * 1000)
        while not until() and self.scheduler.now < last and self.scheduler.step():
            if self.violation is not None:
                raise self.violation
            hold("it ends", len(self.calls) < MANY_CALLS, "it goes round and round")

    def started_commands(self, dispatch: Dispatch) -> None:
        """Note that commands start."""
        actor = self.scheduler.current
        assert actor is not None
        self.started[f"{dispatch.run_id}:{dispatch.num}"] += 1
        self._tell(f"{actor.name} starts the commands of {dispatch.num} ({dispatch.name})")
        self._hold(lambda: self.watch.started(dispatch, actor.name))

    def call(
        self, name: str, do: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any]
    ) -> Any:
        """Be a call of a process to the platform."""
        actor = self.scheduler.current
        if actor is None:
            return do(*args, **named)
        self.scheduler.point()
        self.calls.append((actor.name, name))
        number = len(self.calls)
        if self._suffer(
            number, name, "before", args
        ):  # the reply is lost, and the SDK repeats the call
            lost = self._do(actor, name, do, args, named)
            out = self._do(actor, name, do, args, named)
            refused = isinstance(out, Conflict) and not isinstance(lost, Exception)
            own = name in TAKEN_FOR_LOST or not refused
            self._hold(lambda: hold("own effect", own, f"{actor.name}'s second {name}: {out!r}"))
        else:
            out = self._do(actor, name, do, args, named)
        self._suffer(number, name, "after", args)
        if isinstance(out, Exception):
            raise out
        return out

    def _do(
        self,
        actor: Actor,
        name: str,
        do: Callable[..., Any],
        args: tuple[Any, ...],
        named: Mapping[str, Any],
    ) -> Any:
        """Let a call have its effect, and the model its step; return the answer or the error."""
        out: Any
        try:
            out = do(*args, **named)
            self.aws.collect()
        except Exception as error:  # noqa: BLE001 - the caller raises it, in the process
            out = error
        self.story.call(self.scheduler.now, actor.name, name, (*args, *named.values()), out)
        self.scheduler.now += CALL_MS
        if not isinstance(out, Exception):
            self._hold(lambda: self.watch.see(actor.name, name, args, named, out))
        return out

    def _suffer(self, number: int, name: str, when: str, args: tuple[Any, ...]) -> bool:
        """Let a process suffer what the policy says; return whether its call is made twice."""
        actor = self.scheduler.current
        assert actor is not None
        match self.policy.fault(number, name, when, actor):
            case Die(lost):
                self.faults.append(f"{actor.name} dies {when} {name}")
                self._tell(self.faults[-1])
                if lost and actor.name.startswith(ORCHESTRATOR):
                    self.aws.lost.add(actor)
                self.scheduler.die()
            case Pause(ms):
                if actor.order is not None:
                    self.disturbed.add(actor.order)
                self.faults.append(f"{actor.name} stands still for {ms / 1000} s {when} {name}")
                self._tell(self.faults[-1])
                self.scheduler.sleep(ms)
            case Repeat():
                self.faults.append(f"the first reply to {actor.name}'s {name} is lost")
                self._tell(self.faults[-1])
                return True
            case Refuse(permanent):
                self.faults.append(f"{actor.name} is refused {when} {name}")
                self._tell(self.faults[-1])
                if actor.order is not None:
                    self.disturbed.add(actor.order)
                if permanent and name in HAND_OVERS:
                    self.disturbed.add(args[0].num)
                raise (Permanent if permanent else Transient)(f"calling {name}: not now")
        return False

    def _hold(self, step: Callable[[], None]) -> None:
        """Take a step of the model; keep what it says from the handlers, which would handle it."""
        try:
            step()
        except Violation as violation:
            self.violation = self.violation or violation

    def _tell(self, text: str) -> None:
        self.story.tell(self.scheduler.now, text)

    def _uuid(self) -> uuid.UUID:
        """Return a known uuid, and remember whose it is: a replay has the same ones."""
        self._uuids += 1
        made = uuid.UUID(int=self._uuids, version=4)
        if (actor := self.scheduler.current) is not None:
            self.story.names[str(made)] = actor.name
        return made

    # -- putting it together ------------------------------------------------------------------

    def _tapped(self) -> Adapters:
        wrapped: dict[str, Any] = {
            spec.name: _Tapped(spec.name, getattr(self.stored, spec.name), self)
            for spec in fields(Adapters)
            if spec.name not in {"clock", "comments"}
        }
        return replace(self.stored, **wrapped)

    def _worker(self) -> Worker:
        worker = Worker(
            self.adapters.internal,
            self.adapters.uploads,
            self.clock,
            lambda _text: None,
            environ={},
            folder=Path("/dev/shm") if Path("/dev/shm").is_dir() else None,
        )
        given = {spec.name: getattr(worker._execution, spec.name) for spec in fields(Execution)}
        worker._execution = SimulatedExecution(**given, sim=self)
        return worker


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedExecution(Execution):
    """Commands that take a while and end as told; all around them is the worker's own code."""

    sim: Simulation

    def __call__(self, dispatch: Dispatch, deadline: Deadline, place: Path) -> Ending:
        self._unpack(dispatch, place / "work")
        scheduler = self.sim.scheduler
        if scheduler.now >= deadline.at:
            return self._stopped(decide.Stop.DEADLINE, deadline)
        self.sim.started_commands(dispatch)
        outcome = self.sim.outcomes.get(dispatch.name, "succeeded")
        if outcome == "dies":
            self.sim.faults.append(f"the commands of {dispatch.num} kill their worker")
            scheduler.die()
        ends = scheduler.now + self.sim.commands_ms
        if outcome == "timed_out":
            ends = deadline.at
        while scheduler.now < min(ends, deadline.at):
            step = min(int(self.pace.poll_s * 1000), min(ends, deadline.at) - scheduler.now)
            scheduler.sleep(step)
            if scheduler.now < deadline.at and self._cancelled(dispatch):
                return self._stopped(decide.Stop.CANCEL, deadline)
        if scheduler.now >= deadline.at:
            return self._stopped(decide.Stop.DEADLINE, deadline)
        status = OrderStatus(outcome)
        return Ending(status=status, exit_code=0 if status is OrderStatus.SUCCEEDED else 1)

    @staticmethod
    def _stopped(why: decide.Stop, deadline: Deadline) -> Ending:
        status, reason = decide.stopped(why, deadline.reason)
        return Ending(status=status, reason=reason)


class _Tapped:
    """An adapter whose calls go through the simulation."""

    def __init__(self, name: str, target: Any, sim: Simulation) -> None:
        self._name, self._target, self._sim = name, target, sim

    def __getattr__(self, method: str) -> Any:
        called = getattr(self._target, method)
        if method.startswith(("presign", "everything")):
            return called  # a computation, not a call
        name, sim = f"{self._name}.{method}", self._sim

        def call(*args: Any, **named: Any) -> Any:
            return sim.call(name, called, args, named)

        setattr(self, method, call)
        return call
