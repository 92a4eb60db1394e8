"""The checks of a job that look at more than one field.

They read the raw document, take what is usable and pass over what is malformed: the checks of
single fields name that. A few rules about names and places, no models.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

from src.common import fieldpath, graph, keys
from src.common import job_fields as form
from src.common.errors import Problem
from src.common.fieldpath import shown

CYCLE_ENDS: Final = 6  # orders of a long cycle that are named at each end
MAX_ORDERS: Final = 1000

_GIT: Final = ("git_repo", "git_ref", "git_folder")
SECRET_FIELDS: Final = ("ssm_paths", "secret_manager_paths")


@dataclass(frozen=True, slots=True)
class RawOrder:
    """An order as given, with its path; `name` is None when no name can be told."""

    path: str
    name: str | None
    fields: Mapping[Any, Any]
    is_map: bool = True  # False: something else stands there, `fields` is empty


class Nearest:
    """Suggests the known name nearest to an unknown one, within a bounded effort for all."""

    def __init__(self, effort: int = 20_000) -> None:
        self._effort = effort

    def hint(self, name: str, known: Collection[str]) -> str:
        """Return `; did you mean "timeout"?`, or nothing."""
        self._effort -= len(known)
        near = get_close_matches(name[:100], known, n=1) if self._effort >= 0 else []
        return f"; did you mean {shown(near[0])}?" if near else ""


def raw_orders(raw: Mapping[Any, Any]) -> tuple[list[RawOrder], list[Problem]]:
    """Return the orders in order of appearance, and what is wrong with them as a whole.

    Of too many the first are returned, as many as a job may have: a body can hold a million.
    """
    orders: list[RawOrder] = []
    problems: list[Problem] = []
    given = raw.get("orders")
    entries: list[tuple[str, str | None, Any]] = []
    if isinstance(given, dict | list | tuple) and not 1 <= len(given) <= MAX_ORDERS:
        problems.append(Problem("orders", f"must hold 1 to {MAX_ORDERS} orders, got {len(given)}"))
    match given:
        case dict():
            first = islice(given.items(), MAX_ORDERS)
            entries = [(fieldpath.key("orders", str(name)), str(name), e) for name, e in first]
        case list() | tuple():
            few = enumerate(given[:MAX_ORDERS])
            entries = [(fieldpath.item("orders", at), None, e) for at, e in few]
        case None if "orders" not in raw:
            problems.append(Problem("orders", "is required"))
        case _:
            problems.append(Problem("orders", f"must be a list or a map, got {shown(given)}"))
    for path, key, entry in entries:
        if not isinstance(entry, dict):
            problems.append(Problem(path, f"must be a map, got {shown(entry)}"))
            if key is not None:
                orders.append(RawOrder(path, key, {}, is_map=False))
            continue
        if key is not None and entry.get("order_name", key) != key:
            message = f"must equal the key {shown(key)}, got {shown(entry['order_name'])}"
            problems.append(Problem(fieldpath.key(path, "order_name"), message))
        fields = entry if key is None else {**entry, "order_name": key}
        name = fields.get("order_name")
        orders.append(RawOrder(path, name if isinstance(name, str) else None, fields))
    return orders, problems


def order_problems(
    order: RawOrder, job_has_repo: bool, code_buckets: Collection[str] | None
) -> Iterator[Problem]:
    """Yield the problems among the fields of one order."""
    yield from _timeout_problems(order)
    yield from _source_problems(order, job_has_repo)
    yield from _bucket_problems(order, code_buckets)
    yield from _inline_problems(order)
    yield from _secret_problems(order)


def presign_problems(expiry: Any, orders: list[RawOrder]) -> Iterator[Problem]:
    """Yield the problem of a URL lifetime that ends before an order may."""
    timeouts = [(_usable_timeout(order), order) for order in orders]
    longest, order = max(timeouts, key=lambda entry: entry[0], default=(0, None))
    if order is None or type(expiry) is not int or expiry <= 0 or not longest:
        return
    if expiry < longest + form.PRESIGN_MARGIN:
        yield Problem(
            "presign_expiry",
            f"must be at least {longest + form.PRESIGN_MARGIN}, the longest timeout ({longest}, of"
            f" {order.path}) plus 10 minutes, got {expiry}",
        )


def graph_problems(orders: list[RawOrder], nearest: Nearest) -> Iterator[Problem]:
    """Yield names given twice, unknown dependencies, and cycles spelled out."""
    named: dict[str, RawOrder] = {}
    for order in orders:
        if order.name is None:
            continue
        if order.name in named:
            first = named[order.name].path
            path = fieldpath.key(order.path, "order_name")
            yield Problem(path, f"{shown(order.name)} is the name of {first} too")
        else:
            named[order.name] = order
    edges: dict[str, list[str]] = {name: [] for name in named}
    for order in orders:
        needs = order.fields.get("dependencies")
        for at, need in enumerate(needs if isinstance(needs, list | tuple) else ()):
            if not isinstance(need, str):
                continue
            if need not in named:
                path = fieldpath.item(fieldpath.key(order.path, "dependencies"), at)
                hint = nearest.hint(need, named)
                yield Problem(path, f"no order is called {shown(need)}{hint}")
            elif order.name is not None and order is named[order.name]:
                edges[order.name].append(need)
    for cycle in graph.cycles(edges):
        path = fieldpath.key(named[cycle[0]].path, "dependencies")
        yield Problem(path, "is part of a cycle: " + _spelled_out(cycle))


def _spelled_out(cycle: list[str]) -> str:
    """Return `a -> b -> a`, the middle of a long one counted."""
    names = list(map(_plain, cycle))
    if len(names) > 2 * CYCLE_ENDS + 2:
        left_out = f"({len(names) - 2 * CYCLE_ENDS} more of {len(names) - 1} orders)"
        names[CYCLE_ENDS:-CYCLE_ENDS] = [left_out]
    return " -> ".join(names)


def _plain(name: str) -> str:
    return name if keys.ORDER_NAME.fullmatch(name) else shown(name)


def _usable_timeout(order: RawOrder) -> int:
    """Return the timeout if it is one that the order's target allows, else 0."""
    timeout = order.fields.get("timeout")
    if type(timeout) is not int or timeout <= 0 or timeout > _limit(order):
        return 0
    return timeout


def _limit(order: RawOrder) -> int:
    use_lambda = order.fields.get("use_lambda", True)
    return form.LAMBDA_TIMEOUT if use_lambda is True else form.BUILD_TIMEOUT


def _timeout_problems(order: RawOrder) -> Iterator[Problem]:
    timeout = order.fields.get("timeout")
    limit = _limit(order)
    if type(timeout) is not int or timeout <= limit:
        return
    reason = (
        f"is over the {limit} s that a worker Lambda can run; set use_lambda to false for"
        f" CodeBuild, which can run {form.BUILD_TIMEOUT} s"
        if limit == form.LAMBDA_TIMEOUT
        else f"is over the {limit} s that the presigned URLs of a build live"
    )
    yield Problem(fieldpath.key(order.path, "timeout"), f"{reason}, got {shown(timeout)}")


def _source_problems(order: RawOrder, job_has_repo: bool) -> Iterator[Problem]:
    given = [
        name for name in (*_GIT, "s3_location", "inline") if order.fields.get(name) is not None
    ]
    git = [name for name in given if name in _GIT]
    others = [name for name in given if name not in _GIT]
    if len(others) + bool(git) > 1:
        message = f"names more than one source of code: {', '.join(given)}"
        yield Problem(order.path, message)
    elif git and "git_repo" not in git and not job_has_repo:
        for name in git:
            message = "is given without a git_repo, here or in the job"
            yield Problem(fieldpath.key(order.path, name), message)


def _bucket_problems(order: RawOrder, code_buckets: Collection[str] | None) -> Iterator[Problem]:
    location = order.fields.get("s3_location")
    if code_buckets is None or not isinstance(location, str):
        return
    try:
        bucket, _ = form.split_s3(form.s3_location(location))
    except ValueError:
        return
    if bucket not in code_buckets:
        yield Problem(
            fieldpath.key(order.path, "s3_location"),
            f"bucket {bucket} may not be read; the variable code_bucket_arns admits it,"
            f" got {shown(location)}",
        )


def _inline_problems(order: RawOrder) -> Iterator[Problem]:
    inline = order.fields.get("inline")
    files = (
        {name for name in inline if isinstance(name, str)} if isinstance(inline, dict) else set()
    )
    lengths = set(map(len, files))  # of what a folder would have to be
    for name in sorted(files):
        for at, character in enumerate(name):
            if character == "/" and at in lengths and name[:at] in files:
                path = fieldpath.key(fieldpath.key(order.path, "inline"), name)
                yield Problem(path, f"lies within {shown(name[:at])}, which is a file")


def _secret_problems(order: RawOrder) -> Iterator[Problem]:
    """Two secrets for one name, as far as the names alone tell."""
    taken: dict[str, str] = {}
    for path, name, _ in secret_paths(order.path, order.fields):
        if name in taken:
            yield Problem(path, f"sets the variable {shown(name)}, as {taken[name]} does")
        taken.setdefault(name, path)


def secret_paths(path: str, fields: Mapping[Any, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (field path, variable, secret path) of an order's secrets, from its fields."""
    for name in SECRET_FIELDS:
        given, at = fields.get(name), fieldpath.key(path, name)
        match given:
            case dict():
                for variable, secret in given.items():
                    if isinstance(variable, str) and isinstance(secret, str):
                        yield fieldpath.key(at, variable), variable, secret
            case list() | tuple():
                for index, secret in enumerate(given):
                    if isinstance(secret, str):
                        yield fieldpath.item(at, index), form.variable_of(secret), secret
            case _:
                pass
