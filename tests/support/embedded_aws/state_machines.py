"""State machines: a ResultSelector may refer to the context object (`$$`), as it may in AWS.

ministack resolves it against the task's answer alone.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

Object = dict[str, Any]


class ResultSelectors:
    """Gives the result selectors of tasks what they may refer to."""

    def __init__(self) -> None:
        from ministack.services import stepfunctions

        self._task = stepfunctions._execute_task
        self._resolve = stepfunctions._resolve_params_obj
        self._context: ContextVar[Object | None] = ContextVar("context object", default=None)
        stepfunctions._execute_task = self.execute_task
        stepfunctions._apply_result_selector = self.apply

    def execute_task(self, state: Object, given: Any, execution: Object, context: Object) -> Any:
        """Execute a task."""
        token = self._context.set(context)
        try:
            return self._task(state, given, execution, context)
        finally:
            self._context.reset(token)

    def apply(self, state: Object, answer: Any) -> Any:
        """Return what a task's state makes of its answer."""
        selector = state.get("ResultSelector")
        return self._resolve(selector, answer, self._context.get()) if selector else answer
