"""A small typed view of a plan: resources by address, what they refer to, outputs, and where it
is written.

`hold` compares; its message names the resource, the file and line, and the command that shows the
plan. It knows nothing of what the stages should be.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.support.terraform.differences import difference
from tests.support.terraform.stages import ROOT, Case

if TYPE_CHECKING:
    from tests.support.terraform.hcl import Block

UNKNOWN: Final = "(known after apply)"


@dataclass(frozen=True, eq=False, repr=False)  # pytest shows them: by name
class Resource:
    """A resource of the plan.

    `values` are what it will have, with UNKNOWN where only the apply tells; `refers` are the
    references of each argument in the HCL, such as `{"role": {"aws_iam_role.role", ...}}`.
    """

    plan: Plan
    address: str
    type: str
    name: str
    index: str | int | None
    values: Mapping[str, Any]
    refers: Mapping[str, frozenset[str]]

    def __repr__(self) -> str:
        return self.address

    def __getitem__(self, path: str) -> Any:
        """Return the value at a path such as `ttl.attribute_name`; blocks come as one or a list."""
        value: Any = self.values
        for part in path.split("."):
            while isinstance(value, list) and len(value) == 1 and not part.isdigit():
                value = value[0]
            value = value[int(part)] if part.isdigit() else _get(value, part)
        return value

    def blocks(self, path: str) -> list[Mapping[str, Any]]:
        """Return the nested blocks that the stage gives it; unknown are those of the provider."""
        value = self[path]
        return [] if value in (None, UNKNOWN) else list(value)

    def json(self, path: str) -> Any:
        """Return the JSON document at a path."""
        return json.loads(self[path])

    def has(self, **expected: Any) -> None:
        """Hold values; `a__b` is the path `a.b`."""
        __tracebackhide__ = True
        for path, value in expected.items():
            self.hold(path.replace("__", "."), value)

    def hold(self, path: str, expected: Any) -> None:
        """Hold the value at a path."""
        __tracebackhide__ = True
        self.plan.hold(expected, self[path], f"{self.address}: {path}", at=self)

    @property
    def written(self) -> Mapping[str, Any]:
        """What the HCL says of it, for what the plan does not know yet."""
        from tests.support.terraform.hcl import of_kind

        written = of_kind(self.plan.folder, "resource")
        return next(each.body for each in written if ".".join(each.labels) == self.block)

    @property
    def block(self) -> str:
        """The address of the block that makes it, without its key."""
        return f"{self.type}.{self.name}"


@dataclass(frozen=True, eq=False, repr=False)  # pytest shows them: by name
class Plan:
    """The plan of a case, as terraform's JSON and as it prints it."""

    case: Case
    made: Mapping[str, Any]
    folder: Path

    def __repr__(self) -> str:
        return str(self.case)

    @property
    def text(self) -> str:
        """What `terraform plan` prints, warnings included."""
        return str(self.made["text"])

    @cached_property
    def resources(self) -> dict[str, Resource]:
        """Every resource that will be created, by address."""
        found = {}
        for change in self.made["plan"]["resource_changes"]:
            if change["mode"] == "managed":
                block = f"{change['type']}.{change['name']}"
                values = _merge(change["change"]["after"], change["change"]["after_unknown"])
                found[change["address"]] = Resource(
                    self, change["address"], change["type"], change["name"],
                    change.get("index"), values, self._references[block],
                )  # fmt: skip
        return found

    def all(self, kind: str) -> list[Resource]:
        """Return the resources of a type."""
        return [each for each in self.resources.values() if each.type == kind]

    def one(self, kind: str, **values: Any) -> Resource:
        """Return the only resource of a type, of those with these values."""
        found = [
            each
            for each in self.all(kind)
            if all(each[path.replace("__", ".")] == value for path, value in values.items())
        ]
        wanted = f"{kind} with {values}" if values else kind
        addresses = [each.address for each in found]
        self.hold(1, len(found), f"resources {wanted}: {addresses}")
        return found[0]

    def by(self, kind: str, path: str) -> dict[Any, Resource]:
        """Return the resources of a type by one of their values."""
        return {each[path]: each for each in self.all(kind)}

    @property
    def outputs(self) -> dict[str, Any]:
        """The root outputs, with UNKNOWN for what only the apply tells."""
        changes = self.made["plan"]["output_changes"]
        return {
            name: _merge(each.get("after"), each["after_unknown"]) for name, each in changes.items()
        }

    def output_refers(self, name: str) -> frozenset[str]:
        """Return what an output refers to in the HCL."""
        expression = self._configuration["outputs"][name].get("expression", {})
        return frozenset(_references(expression))

    @cached_property
    def data(self) -> frozenset[str]:
        """The data sources, as `data.type.name`."""
        return frozenset(
            each["address"]
            for each in self._configuration.get("resources", [])
            if each["mode"] == "data"
        )

    @property
    def provider(self) -> Mapping[str, Any]:
        """The AWS provider's configuration: its arguments' constants and references."""
        expressions: Mapping[str, Any] = self.made["plan"]["configuration"]["provider_config"][
            "aws"
        ]["expressions"]
        return expressions

    @property
    def _configuration(self) -> Mapping[str, Any]:
        root: Mapping[str, Any] = self.made["plan"]["configuration"]["root_module"]
        return root

    @cached_property
    def _references(self) -> dict[str, dict[str, frozenset[str]]]:
        return {
            f"{each['type']}.{each['name']}": {
                argument: frozenset(_references(expression))
                for argument, expression in each.get("expressions", {}).items()
            }
            for each in self._configuration.get("resources", [])
            if each["mode"] == "managed"
        }

    @cached_property
    def waits_for(self) -> dict[str, set[str]]:
        """The resources that each resource refers to or names in `depends_on`, by their blocks."""
        found = {}
        for each in self._configuration.get("resources", []):
            named = {*_references(each.get("expressions", {})), *each.get("depends_on", [])}
            blocks = {".".join(name.split("[")[0].split(".")[:2]) for name in named}
            found[each["address"]] = blocks & {*self._references}
        return found

    def hold(self, expected: Any, got: Any, what: str, at: Resource | str | None = None) -> None:
        """Assert that two values are equal, and say where to look if they are not.

        `at` is the resource that it is about, or the address of its block.
        """
        __tracebackhide__ = True
        if expected != got:
            self._fail([what, *difference(expected, got)], at)

    def includes(
        self, expected: set[Any], got: Iterable[Any], what: str, at: Resource | str | None = None
    ) -> None:
        """Assert that what is expected is there; more may be."""
        __tracebackhide__ = True
        self.hold(expected, expected & {*got}, what, at)

    def check(self, holds: object, what: str, at: Resource | str | None = None) -> None:
        """Assert what is no comparison of values."""
        __tracebackhide__ = True
        if not holds:
            self._fail([f"{what}: it is not so"], at)

    def _fail(self, lines: list[str], at: Resource | str | None) -> None:
        __tracebackhide__ = True
        if at is not None:
            block = at if isinstance(at, str) else at.block
            lines.append(f"  written in  {self.where(block)}")
        lines.append(f"  to see it   {self.case.to_see_it(self.folder.parent)}")
        raise AssertionError("\n".join([f"{self.case}: {lines[0]}", *lines[1:]]))

    def written(self, kind: str, name: str | None = None) -> Block:
        """Return a block of the stage's HCL, such as `variable` `salt`."""
        from tests.support.terraform.hcl import of_kind

        found = [each for each in of_kind(self.folder, kind) if name in (None, each.name)]
        self.hold(1, len(found), f"blocks {kind} {name or ''}")
        return found[0]

    def where(self, block: str) -> str:
        """Return file and line of a resource's block."""
        from tests.support.terraform.hcl import blocks

        for each in blocks(self.folder):
            if ".".join(each.labels) == block and each.kind == "resource":
                path = each.path
                shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
                return f"{shown}:{each.line}"
        return str(self.folder)


def _get(value: Any, part: str) -> Any:
    return value.get(part) if isinstance(value, Mapping) else None


def _merge(known: Any, unknown: Any) -> Any:
    """Lay UNKNOWN over a value where `after_unknown` is true."""
    if unknown is True:
        return UNKNOWN
    if isinstance(unknown, dict) and unknown:
        base = known if isinstance(known, dict) else {}
        return {name: _merge(base.get(name), unknown.get(name)) for name in {**base, **unknown}}
    if isinstance(unknown, list) and unknown:
        base = known if isinstance(known, list) else [None] * len(unknown)
        return [_merge(value, mark) for value, mark in zip(base, unknown, strict=False)]
    return known


def _references(expression: Any) -> Iterable[str]:
    if isinstance(expression, list):
        for each in expression:
            yield from _references(each)
    elif isinstance(expression, dict):
        for name, each in expression.items():
            if name == "references":
                yield from each
            else:
                yield from _references(each)
