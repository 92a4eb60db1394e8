"""The secrets of a job: fetched once per packaging, named, and never repeated in a message.

Knows which variable a secret becomes. Where secrets lie is behind the port `SecretSource`;
encrypting them is the bundle's business.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from src.common import job_fields as form
from src.common.errors import PackagingError, Permanent, Problem
from src.common.fieldpath import shown
from src.common.job import Job, OrderSpec
from src.common.ports import SecretSource
from src.common.threads import map_at_once
from src.common.validation_rules import SECRET_FIELDS, secret_paths

log = logging.getLogger(__name__)

THREADS: Final = 8  # a call takes tens of milliseconds, all of them waiting

_KINDS: Final = {"ssm_paths": "ssm", "secret_manager_paths": "secretsmanager"}
_NAMES: Final = {"ssm": "SSM parameter", "secretsmanager": "secret"}


@dataclass(frozen=True, slots=True)
class _Reference:
    """Where an order asks for a secret: its field, the variable it names, and the secret itself."""

    at: str
    variable: str
    kind: str
    path: str

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.path


def resolve(job: Job, source: SecretSource) -> dict[str, dict[str, str]]:
    """Return order number -> variable -> value; every order is there, each path is fetched once.

    Raises:
        PackagingError: with every path that is missing or denied, every name given twice and every
            value that is no environment.
        Transient: the platform is in trouble; nothing is known about the paths.
    """
    asked = {order.num: list(_references(order)) for order in job.orders}
    found = _fetch((ref.key for references in asked.values() for ref in references), source)
    problems: list[Problem] = []
    resolved: dict[str, dict[str, str]] = {}
    for num, references in asked.items():
        taken: dict[str, str] = {}
        values: dict[str, str] = {}
        for reference in references:
            value = found[reference.key]
            if isinstance(value, Permanent):
                problems.append(_missing(reference.at, *reference.key, value))
                continue
            for variable, text in _variables(reference, value).items():
                problem = _refusal(reference, variable, text, taken)
                if problem is not None:
                    problems.append(problem)
                    continue
                taken[variable] = reference.at
                values[variable] = text
        resolved[num] = values
    if problems:
        raise PackagingError(problems)
    return resolved


def credential(location: str, source: SecretSource, field: str = "git_token_location") -> str:
    """Return the credential at a checked location, without surrounding white space.

    Raises:
        PackagingError: it is missing, denied or empty; `field` is what the problem names.
        Transient: the platform is in trouble.
    """
    kind, path = form.split_location(location)
    try:
        value = _fetch_one(source, kind, path).strip()
    except Permanent as error:
        raise PackagingError([_missing(field, kind, path, error)]) from None
    if not value:
        message = f"{_NAMES[kind]} {shown(path)} is empty"
        raise PackagingError([Problem(field, message)])
    return value


def _references(order: OrderSpec) -> Iterator[_Reference]:
    for name in SECRET_FIELDS:
        for at, variable, path in secret_paths(order.path, {name: getattr(order, name)}):
            yield _Reference(at, variable, _KINDS[name], path)


def _fetch(
    keys: Iterable[tuple[str, str]], source: SecretSource
) -> Mapping[tuple[str, str], str | Permanent]:
    """Return each secret, or why it is not to be had."""

    def fetch(key: tuple[str, str]) -> str | Permanent:
        try:
            return _fetch_one(source, *key)
        except Permanent as error:
            return error

    distinct = list(dict.fromkeys(keys))
    return dict(zip(distinct, map_at_once(fetch, distinct, THREADS), strict=True))


def _fetch_one(source: SecretSource, kind: str, path: str) -> str:
    read: Callable[[str], str] = source.ssm if kind == "ssm" else source.secretsmanager
    return read(path)


def _variables(reference: _Reference, value: str) -> dict[str, str]:
    """Return the variables of a secret: one per key of a JSON object, else the value as it is.

    Text stays as it is, a number keeps its digits, null is empty, anything else is JSON again.
    """
    try:
        parsed = json.loads(value)
        # `1.10` is no `1.1`: scalars are taken as they are written.
        written = json.loads(value, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return {reference.variable: value}
    if not isinstance(parsed, dict):
        return {reference.variable: value}
    return {name: _text(entry, written[name]) for name, entry in parsed.items()}


def _text(value: Any, written: Any) -> str:
    if value is None:
        return ""
    if isinstance(written, str):
        return written
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _refusal(
    reference: _Reference, variable: str, text: str, taken: Mapping[str, str]
) -> Problem | None:
    """Return why a variable cannot be set; the message holds its name and never its value."""
    where = f"{_NAMES[reference.kind]} {shown(reference.path)}"
    try:
        form.env_name(variable)
    except ValueError as error:
        return Problem(reference.at, f"{where} has the key {shown(variable)}, which {error}")
    try:
        form.one_string(text)
    except (ValueError, UnicodeEncodeError) as error:
        reason = "is not valid Unicode" if isinstance(error, UnicodeError) else str(error)
        return Problem(reference.at, f"{where}: the value of {variable} {reason}")
    if variable in taken:
        message = f"{where} sets the variable {shown(variable)}, as {taken[variable]} does"
        return Problem(reference.at, message)
    return None


def _missing(at: str, kind: str, path: str, error: Permanent) -> Problem:
    log.warning("%s: %s", at, error)
    return Problem(at, f"{_NAMES[kind]} {shown(path)} cannot be read: {error.told}")
