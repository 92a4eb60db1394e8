"""Every problem of a job at once, each named by its field and the value it holds.

Two passes share one list: pydantic's checks of single fields, and checks across fields that run on
whatever is usable even when other fields are malformed. Values that could be credentials are never
repeated. Knows nothing of runs, storage or AWS.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from src.common import fieldpath
from src.common.errors import JobRefused, Problem, bounded
from src.common.fieldpath import shown
from src.common.job_model import Job, OrderSpec
from src.common.validation_rules import (
    MAX_ORDERS,
    Nearest,
    RawOrder,
    graph_problems,
    order_problems,
    presign_problems,
    raw_orders,
)

_DERIVED: Final = {"num", "path", "code", "start_window", "url_lifetime"}
ORDER_FIELDS: Final = tuple(name for name in OrderSpec.model_fields if name not in _DERIVED)
JOB_FIELDS: Final = tuple(Job.model_fields)
_HIDDEN: Final = {"git_token_location", "git_ssh_key_location", "env", "inline"}
_IN_URL: Final = re.compile(r"[^/\s]+(?=@)|(?<=[?#]).*", re.DOTALL)  # where credentials hide

_WORDS: Final[Mapping[str, str]] = {
    "missing": "is required",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a map",
    "union_tag_not_found": "must be a list or a map",
    "too_short": "must not be empty",
    "greater_than": "must be greater than {gt}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "value_error": "{error}",
}

_Model = TypeVar("_Model", bound=BaseModel)


def checked(
    raw: object, *, file_urls: bool, code_buckets: Collection[str] | None
) -> tuple[Job, list[tuple[str, OrderSpec]]]:
    """Return the job without its orders, and its orders with their paths.

    Raises:
        JobRefused: with every problem.
    """
    if not isinstance(raw, dict):
        raise JobRefused([Problem("", f"a job must be a map, got {shown(raw)}")])
    made = _Made(raw, {"file_urls": file_urls}, code_buckets)
    if found := list(bounded(made.problems())):
        raise JobRefused(found)
    return made.head[0], made.specs


class _Made:
    """The models made of a raw job, as a by-product of listing its problems."""

    def __init__(
        self, raw: dict[Any, Any], context: Any, code_buckets: Collection[str] | None
    ) -> None:
        self.head: list[Job] = []
        self.specs: list[tuple[str, OrderSpec]] = []
        self._raw, self._context, self._buckets = raw, context, code_buckets
        self._nearest = Nearest()

    def problems(self) -> Iterator[Problem]:
        """Yield the problems, in the order of the document as far as one field tells them."""
        raw = self._raw
        yield from self._fields("", {**raw, "orders": ()}, JOB_FIELDS, Job, self.head)
        orders, problems = raw_orders(raw)
        yield from problems
        for order in orders:
            if order.is_map:
                yield from self._order(order)
        given = raw.get("orders")
        if isinstance(given, dict | list | tuple) and len(given) > MAX_ORDERS:
            return  # how they hang together is told of all of them or not at all
        yield from presign_problems(raw.get("presign_expiry"), orders)
        yield from graph_problems(orders, self._nearest)

    def _order(self, order: RawOrder) -> Iterator[Problem]:
        specs: list[OrderSpec] = []
        yield from self._fields(order.path, order.fields, ORDER_FIELDS, OrderSpec, specs)
        yield from order_problems(order, self._raw.get("git_repo") is not None, self._buckets)
        self.specs.extend((order.path, spec) for spec in specs)

    def _fields(
        self,
        path: str,
        given: Mapping[Any, Any],
        known: Collection[str],
        model: type[_Model],
        made: list[_Model],
    ) -> Iterator[Problem]:
        for name in given:
            if name not in known:
                hint = self._nearest.hint(str(name), known)
                yield Problem(fieldpath.key(path, str(name)), f"is not a known field{hint}")
        try:
            fields = {name: value for name, value in given.items() if name in known}
            made.append(model.model_validate(fields, context=self._context))
        except ValidationError as error:
            yield from (_problem(path, detail) for detail in error.errors(include_url=False))


def _problem(path: str, detail: Mapping[str, Any]) -> Problem:
    """Put one of pydantic's findings into our words."""
    loc = list(detail["loc"])
    top = str(loc[0])
    if top in ("ssm_paths", "secret_manager_paths") and len(loc) > 1:
        del loc[1]  # the tag of the form, list or map
    of_key = loc[-1] == "[key]" and len(loc) > 1
    if of_key:
        loc.pop()
    for step in loc:
        path = fieldpath.item(path, step) if isinstance(step, int) else fieldpath.key(path, step)
    words = _WORDS.get(detail["type"])
    message = words.format(**detail.get("ctx", {})) if words else str(detail["msg"])
    if detail["type"] in ("missing", "too_short"):
        return Problem(path, message)
    return Problem(path, message + _got(top, detail["input"], of_key=of_key))


def _got(field: str, value: object, *, of_key: bool) -> str:
    """Return `, got "value"`, without what may be a credential."""
    if field in _HIDDEN and not of_key and isinstance(value, str):
        return ""
    if field == "git_repo" and isinstance(value, str):
        value = _IN_URL.sub("***", value)
    hint = " (quote it)" if field in ("env", "cmds") and isinstance(value, int | float) else ""
    return f", got {shown(value)}{hint}"
