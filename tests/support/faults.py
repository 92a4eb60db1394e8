"""Processes that die between two calls: every port method is a place where that can happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from src.local.platform import Adapters, Platform, handlers
from src.local.world import Handler
from tests.support.sim import Sim


class ProcessDied(BaseException):
    """Not an Exception: nothing in a process that is killed gets to handle it."""


@dataclass
class Faults:
    """Counts calls of port methods, by `adapter.method`, and interrupts chosen ones."""

    strike: Callable[[int, str, str], BaseException | None] = lambda _n, _name, _when: None
    calls: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    armed: bool = True
    lost: frozenset[str] = frozenset()  # functions whose event is gone when they die: three deaths

    def wrap(self, name: str, target: Any) -> Any:
        return _Interruptible(name, target, self)

    def meet(self, call: int, name: str, when: str) -> None:
        error = self.strike(call, name, when) if self.armed else None
        if error is not None:
            self.struck.append(f"{when} {name}")
            raise error


class _Interruptible:
    def __init__(self, name: str, target: Any, faults: Faults) -> None:
        self._name = name
        self._target = target
        self._faults = faults

    def __getattr__(self, method: str) -> Any:
        called = getattr(self._target, method)
        if method.startswith("presign"):
            return called  # a computation, not a call

        def call(*args: Any, **named: Any) -> Any:
            name = f"{self._name}.{method}"
            self._faults.calls.append(name)
            number = len(self._faults.calls)
            self._faults.meet(number, name, "before")
            try:
                return called(*args, **named)
            finally:
                # Also where the answer is an error: the process may die before it can look at it.
                self._faults.meet(number, name, "after")

        return call


def interruptible(platform: Platform, faults: Faults) -> Adapters:
    """Put the handlers of a platform onto adapters that can be interrupted."""
    wrapped: Mapping[str, Any] = {
        spec.name: faults.wrap(spec.name, getattr(platform.adapters, spec.name))
        for spec in fields(Adapters)
        if spec.name not in {"clock", "uploads"} and getattr(platform.adapters, spec.name)
    }
    adapters = replace(platform.adapters, **wrapped)
    for key, handler in handlers(adapters, platform.world.stack).items():
        platform.world.functions[key] = _dying(handler, lost=key in faults.lost)
    return adapters


def _dying(handler: Handler, *, lost: bool) -> Handler:
    """Let a death reach the platform as a failed invocation, or lose the event with it."""

    def call(event: Mapping[str, Any], context: Any) -> Any:
        try:
            return handler(event, context)
        except ProcessDied as death:
            if lost:
                return None
            raise RuntimeError(f"the process died: {death}") from death

    return call


class FaultySim(Sim):
    """A Sim whose handlers die where told."""

    def __init__(
        self,
        strike: Callable[[int, str, str], BaseException | None] | None = None,
        outcomes: Mapping[str, str] | None = None,
        *,
        lost: frozenset[str] = frozenset(),
        **fields: Any,
    ) -> None:
        super().__init__(outcomes, **fields)
        self.faults = Faults(strike or (lambda _n, _name, _when: None), lost=lost)
        interruptible(self.platform, self.faults)


def die_at(number: int, when: str) -> Callable[[int, str, str], BaseException | None]:
    """Kill the process at its n-th call (1-based), `before` or `after` its effect, once."""

    def strike(call: int, name: str, at: str) -> BaseException | None:
        return ProcessDied(f"{at} {name}") if (call, at) == (number, when) else None

    return strike


def die_on(name: str, when: str, times: int = 1) -> Callable[[int, str, str], BaseException | None]:
    """Kill the process on the first calls of a method."""
    left = [times]

    def strike(_call: int, called: str, at: str) -> BaseException | None:
        if called == name and at == when and left[0]:
            left[0] -= 1
            return ProcessDied(f"{at} {name}")
        return None

    return strike


__all__ = ["Faults", "FaultySim", "ProcessDied", "die_at", "die_on", "interruptible"]
