"""The job and its orders as typed values, and what follows from them: graph, clocks, code.

Only `src.common.job.parse_job` makes them, so everything here relies on names that are unique, a
graph without cycles and limits that hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field

from src.common import graph
from src.common import job_fields as form


@dataclass(frozen=True, slots=True)
class GitCode:
    """Code from a repository; `folder` is `.` for all of it.

    `trusted` admits the job's credentials: they go to the host of the job's own repository and to
    no other (to any, where the job names no repository).
    """

    repo: str
    ref: str = "HEAD"
    folder: str = "."
    trusted: bool = True

    @property
    def pin_key(self) -> str:
        """`<repo> <ref>`, the name under which its commit is pinned."""
        return f"{self.repo} {self.ref}"


@dataclass(frozen=True, slots=True)
class S3Code:
    """Code from a zip in a bucket."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class InlineCode:
    """Code given in the job itself: path -> text."""

    files: Mapping[str, str] = field(hash=False)


Code = GitCode | S3Code | InlineCode


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class OrderSpec(_Strict):
    """One order as asked for; the last five fields are worked out by `parse_job`."""

    order_name: form.OrderName
    cmds: form.Commands
    timeout: form.Seconds
    dependencies: form.Names = ()
    must_succeed: bool = True
    use_lambda: bool = True
    git_repo: form.GitUrl | None = None
    git_ref: form.GitRef | None = None
    git_folder: form.Folder | None = None
    s3_location: form.S3Location | None = None
    inline: form.Inline | None = None
    env: form.Env = Field(default_factory=dict)
    ssm_paths: form.SecretPaths = ()
    secret_manager_paths: form.SecretPaths = ()
    queue_id: form.Label | None = None

    num: str = ""  # "0001", by order of appearance
    path: str = ""  # where it stands in the job: `orders[0]` or `orders.plan`
    code: Code | None = None  # None: an empty folder
    start_window: int = 0  # seconds from dispatch within which a worker must claim
    url_lifetime: int = 0  # seconds, of the presigned result URL


class Job(_Strict):
    """A job that can run. Graph questions are answered in order numbers."""

    username: form.Label
    orders: tuple[OrderSpec, ...] = ()
    flow_label: form.Label = "exec"
    git_repo: form.GitUrl | None = None
    git_ref: form.GitRef | None = None
    git_token_location: form.SecretLocation | None = None
    git_ssh_key_location: form.SecretLocation | None = None
    pr_number: form.Number | None = None
    issue_number: form.Number | None = None
    pr_comment_search_tag: form.CommentTag | None = None
    presign_expiry: form.Seconds | None = Field(default=None, le=form.PRESIGN_EXPIRY)
    job_timeout: form.Seconds | None = Field(default=None, le=form.JOB_TIMEOUT)
    max_parallel: form.Number | None = None
    env: form.Env = Field(default_factory=dict)

    @cached_property
    def numbers(self) -> Mapping[str, str]:
        """Order name -> number."""
        return {order.order_name: order.num for order in self.orders}

    @cached_property
    def graph(self) -> Mapping[str, tuple[str, ...]]:
        """Order number -> the numbers it waits for, each once."""
        return {
            order.num: tuple(self.numbers[name] for name in order.dependencies)
            for order in self.orders
        }

    @cached_property
    def _dependents(self) -> Mapping[str, list[str]]:
        return graph.dependents(self.graph)

    def dependents(self, num: str) -> tuple[str, ...]:
        """Return the numbers of the orders that wait for `num`."""
        return tuple(self._dependents[num])

    def waits_for(self, num: str, carried: Collection[str] = ()) -> int:
        """Return how many orders `num` waits for; carried ones have succeeded before."""
        return len(set(self.graph[num]).difference(carried))

    @cached_property
    def longest_path(self) -> int:
        """Seconds: start windows and timeouts along the longest path."""
        times = {order.num: order.start_window + order.timeout for order in self.orders}
        return graph.longest_path(self.graph, times)

    @property
    def effective_job_timeout(self) -> int:
        """Seconds: the deadline of the whole run, given or worked out."""
        if self.job_timeout is not None:
            return self.job_timeout
        needed = form.PACKAGING + self.longest_path
        return min(max(needed, form.MIN_JOB_TIMEOUT), form.JOB_TIMEOUT)

    def plain_env(self, order: OrderSpec) -> dict[str, str]:
        """Return the order's plain environment: the job's, overridden by its own."""
        return {**self.env, **order.env}

    @property
    def credential_locations(self) -> dict[str, str]:
        """Field -> location of the credentials that the job names."""
        given = {
            "git_token_location": self.git_token_location,
            "git_ssh_key_location": self.git_ssh_key_location,
        }
        return {name: location for name, location in given.items() if location is not None}
