"""What a deployment is called, computed anew from the rule: names, ARNs and grants of policies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.support.terraform.responder import ACCOUNT, partition
from tests.support.terraform.stages import Case


@dataclass(frozen=True)
class Names:
    """The names of a case's resources."""

    case: Case

    @property
    def hash(self) -> str:
        """sha256 of workspace, region and salt, the last five digits."""
        text = self.case.workspace + self.case.region + self.case.salt
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[59:]

    def of(self, key: str) -> str:
        """Return the name of the resource of that key."""
        return f"iac-ci-{key}-{self.hash}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in the case's region and account."""
        where = f"{self.case.region}:{ACCOUNT}"
        return f"arn:{partition(self.case.region)}:{service}:{where}:{resource}"

    def table(self, key: str) -> str:
        """Return the ARN of a table."""
        return self.arn("dynamodb", f"table/{self.of(key)}")

    def function(self, key: str) -> str:
        """Return the ARN of a function."""
        return self.arn("lambda", f"function:{self.of(key)}")

    def bucket(self, key: str, path: str = "") -> str:
        """Return the ARN of a bucket, or of objects in it."""
        return f"arn:{partition(self.case.region)}:s3:::{self.of(key)}{path}"

    @property
    def repository(self) -> str:
        """The ARN of the repository that the image lies in."""
        path = str(self.case.variables["ecr_repo"]).partition("/")[2]
        return self.arn("ecr", f"repository/{path}")

    def log_group(self, name: str) -> str:
        """Return the ARN of a log group."""
        return self.arn("logs", f"log-group:{name}")


class Grant(NamedTuple):
    """One action on one resource pattern, as one statement of a policy allows or denies it."""

    effect: str
    action: str
    resource: str
    condition: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (*self,) if part)


def grants(policy: Mapping[str, Any]) -> frozenset[Grant]:
    """Return every grant of a policy, its statements taken apart.

    A statement that names what it does not cover (NotAction, NotResource) says so in the grant.
    """
    return frozenset(
        Grant(statement["Effect"], action, resource, _condition(statement))
        for statement in _list(policy["Statement"])
        for action in _named(statement, "Action")
        for resource in _named(statement, "Resource")
    )


def allow(actions: Iterable[str], resources: Iterable[str]) -> frozenset[Grant]:
    """Return the grants of each action on each resource."""
    return frozenset(Grant("Allow", action, on) for action in actions for on in list(resources))


def _named(statement: Mapping[str, Any], key: str) -> list[str]:
    if f"Not{key}" in statement:
        return [f"Not{key} {name}" for name in _list(statement[f"Not{key}"])]
    return _list(statement.get(key, "(none)"))


def _condition(statement: Mapping[str, Any]) -> str:
    condition = statement.get("Condition")
    return json.dumps(condition, sort_keys=True) if condition else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
