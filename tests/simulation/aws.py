"""AWS around the handlers: event delivery, retries, executions and builds, on the scheduler's time.

Grown from the world of local runs, which knows what wakes whom; here each invocation is a process
of its own, Lambda's retries come after their real delays, and an event may come late or twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote_plus

from src.common.keys import PACKAGING
from src.common.messages import Dispatch, WatchdogInput
from src.common.ports import Clock
from src.local.stack import ORCHESTRATOR, PROCESS_WEBHOOK, WATCHDOG_CHECK, WORKER, Stack
from src.local.world import Context, Delivery, World
from src.worker.app import Invocation
from tests.simulation.policy import Policy
from tests.simulation.scheduler import Actor, Died, Scheduler
from tests.support.leaks import DISPATCH, Text

RETRY_DELAYS_S: Final = (60, 120)  # of an asynchronous invocation
WORKER_EVENT_AGE_MS: Final = 10 * 60_000  # the worker function's setting: older events are dropped
BUILD_TOKEN_MS: Final = 5 * 60_000  # within which CodeBuild knows a token again
PROVISIONING_S: Final = 30

SHORT: Final = {PROCESS_WEBHOOK: "webhook", WATCHDOG_CHECK: "watchdog"}

Tell = Callable[[str], None]


class SimulatedAws(World):
    """The platform of one simulation; `tell` writes the story, `died` hears of killed processes."""

    def __init__(
        self, stack: Stack, clock: Clock, scheduler: Scheduler, policy: Policy, tell: Tell
    ) -> None:
        super().__init__(stack, clock)
        self.collect: Callable[[], None] = lambda: None  # takes in what an emulator let out
        self.died: Callable[[Actor], None] = lambda _actor: None
        self.unreachable: frozenset[str] = frozenset()  # names of orders that no worker gets
        self.executions: dict[str, int | None] = {}  # by name: when each ended
        self.dropped: list[Delivery] = []
        self.handed: list[Text] = []  # what workers, builds and executions were given
        self.lost: set[Actor] = set()  # processes whose event is gone with them
        self._scheduler, self._policy, self._tell = scheduler, policy, tell
        self._numbers: Counter[str] = Counter()
        self._due: list[tuple[Delivery, int]] = []  # S3 events under way, and when they were made
        self._tokens: dict[str, int] = {}
        self._delivered: dict[str, tuple[Delivery, int]] = {}  # by process

    def name(self, kind: str, order: str = "") -> str:
        """Return a name for a new process of a kind."""
        short = SHORT.get(kind, kind)
        self._numbers[short] += 1
        return f"{short}-{self._numbers[short]}" + (f" of {order}" if order else "")

    def invoke(self, function: str, event: Mapping[str, Any]) -> None:
        """Send an asynchronous invocation on its way, as often as the policy says."""
        if function == WORKER:
            self._hand(DISPATCH, function, event)
        delivery = Delivery(function, event, request_id=self.name("request"))
        made = self._scheduler.now
        for late_ms in self._policy.delays(delivery):
            once = (delivery, made)
            if function == ORCHESTRATOR:
                self._due.append(once)
            self._scheduler.at(made + late_ms, lambda once=once: self._arrive(*once))  # type: ignore[misc]

    def deliver_again(self, process: str) -> bool:
        """Deliver once more, now, what a process was started for; False if nothing was."""
        if process not in self._delivered:
            return False
        delivery, made = self._delivered[process]
        self._spawn(delivery, made)
        return True

    def start_build(self, dispatch: Dispatch) -> None:
        """Start a build, one per token within the time that CodeBuild remembers it."""
        self._hand(DISPATCH, "build", dispatch.to_item())
        now = self._scheduler.now
        known = self._tokens.get(dispatch.token)
        if known is not None and now < known + BUILD_TOKEN_MS:
            return
        self._tokens[dispatch.token] = now
        self._scheduler.after(PROVISIONING_S, lambda: self._build(dispatch))

    def start_watchdog(self, name: str, task: WatchdogInput) -> None:
        """Start an execution of the watchdog state machine."""
        self._hand("state machine", name, task.to_item())
        self.executions[name] = None
        self._scheduler.after(0, lambda: self._turn(name, task.to_item()))

    def call(self, function: str, event: Mapping[str, Any], answered: Answered) -> None:
        """Invoke a function and wait for its answer, as a caller or a state machine does."""
        context = self._context(function, self.name("request"))
        answers: list[Any] = []
        self._scheduler.spawn(
            self.name(function, _order_of(function, event)),
            lambda: answers.append(self.functions[function](event, context)),
            until=context.until,
            ended=lambda error: answered(error, answers[0] if answers else None),
        )

    def _hand(self, kind: str, to: str, given: Mapping[str, Any]) -> None:
        self.handed.append(Text(kind, to, str(given.get("num")), json.dumps(given)))

    # -- what comes of it ---------------------------------------------------------------------

    def _arrive(self, delivery: Delivery, made: int) -> None:
        if delivery.function == ORCHESTRATOR and delivery.attempt == 1:
            if (delivery, made) not in self._due:
                return  # it came with another one
            self._due.remove((delivery, made))
            delivery = self._with_others(delivery)
        elif delivery.function == WORKER and self._scheduler.now > made + WORKER_EVENT_AGE_MS:
            self._drop(delivery, "too old")
            return
        if delivery.event.get("name") in self.unreachable:
            self._drop(delivery, "it never reaches a worker")
            return
        self._spawn(delivery, made)

    def _spawn(self, delivery: Delivery, made: int) -> None:
        order = _order_of(delivery.function, delivery.event)
        name = self.name(delivery.function, order)
        self._delivered[name] = (delivery, made)
        context = self._context(delivery.function, delivery.request_id)
        actor = self._scheduler.spawn(
            name,
            lambda: self.functions[delivery.function](delivery.event, context),
            until=context.until,
            order=order if delivery.function == WORKER else None,
            request=delivery.request_id,
            ended=lambda error: self._ended(actor, delivery, made, error),
        )
        self._tell(f"{actor.name} begins{_try(delivery)}: {_what(delivery)}")

    def _with_others(self, delivery: Delivery) -> Delivery:
        """Join the events that are under way, as S3 may put several records into one."""
        if not self._due or not self._policy.joins():
            return delivery
        records = [*delivery.event["Records"]]
        for other, _ in self._due:
            records += other.event["Records"]
        self._due.clear()
        return replace(delivery, event={"Records": records})

    def _ended(
        self, actor: Actor, delivery: Delivery, made: int, error: BaseException | None
    ) -> None:
        if error is None:
            return
        killed = isinstance(error, Died)
        self._tell(f"{actor.name} {'is killed' if killed else f'raises {error!r}'}")
        if killed:
            self.died(actor)
        if delivery.attempt > len(RETRY_DELAYS_S) or actor in self.lost:
            self._drop(delivery, "that was the last attempt")
            return
        again = replace(delivery, attempt=delivery.attempt + 1)
        delay = RETRY_DELAYS_S[delivery.attempt - 1]
        self._scheduler.after(delay, lambda: self._arrive(again, made))

    def _drop(self, delivery: Delivery, why: str) -> None:
        self.dropped.append(delivery)
        self._tell(f"the platform drops {_what(delivery)}: {why}")

    def _build(self, dispatch: Dispatch) -> None:
        if dispatch.name in self.unreachable:
            return
        name = self.name("build", dispatch.num)
        event = dispatch.to_item()

        def ended(error: BaseException | None) -> None:
            if isinstance(error, Died):  # nobody repeats a build
                self._tell(f"{name} is killed")
                self.died(actor)

        actor = self._scheduler.spawn(
            name,
            lambda: self.functions[WORKER](event, Invocation(aws_request_id=name)),
            order=dispatch.num,
            ended=ended,
        )
        self._tell(f"{name} begins")

    def _turn(self, name: str, task: Mapping[str, Any], failures: int = 0) -> None:
        """One CheckResult, its Retry, and the wait, by the numbers of the deployed definition."""
        states = self.stack.definition["States"]

        def answered(error: BaseException | None, answer: Mapping[str, Any] | None) -> None:
            if error is not None:
                retry = states["CheckResult"]["Retry"][0]
                pause = retry["IntervalSeconds"] * retry["BackoffRate"] ** failures
                pause = min(pause, retry["MaxDelaySeconds"])
                self._tell(f"execution {name}: CheckResult fails, again in {pause} s")
                self._scheduler.after(pause, lambda: self._turn(name, task, failures + 1))
            elif answer is not None and answer["done"]:
                self.executions[name] = self._scheduler.now
            else:
                following = {**task, **(answer or {})}
                wait_s = states["WaitStep"]["Seconds"]
                self._scheduler.after(wait_s, lambda: self._turn(name, following))

        self.call(WATCHDOG_CHECK, task, answered)

    def _context(self, function: str, request_id: str) -> Context:
        until = self._scheduler.now + self.stack.functions[function].timeout * 1000
        return Context(request_id, self.clock, until)


Answered = Callable[[BaseException | None, Any], None]


def _order_of(function: str, event: Mapping[str, Any]) -> str:
    if function == WATCHDOG_CHECK and event["num"] == PACKAGING:
        return "the run"
    return str(event["num"]) if function in (WORKER, WATCHDOG_CHECK) else ""


def _try(delivery: Delivery) -> str:
    return f" (attempt {delivery.attempt})" if delivery.attempt > 1 else ""


def _what(delivery: Delivery) -> str:
    match delivery.function:
        case "orchestrator":
            keys = [record["s3"]["object"]["key"] for record in delivery.event["Records"]]
            return "told of " + ", ".join(_short(key) for key in keys)
        case "worker":
            return f"handed {delivery.event['num']}"
    return "asked to package"


def _short(key: str) -> str:
    return unquote_plus(key).removeprefix("tmp/callbacks/runs/").partition("/")[2]
