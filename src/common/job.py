"""The job: what a caller asks for, checked once and then taken at its word.

`parse_job` is the only way to a `Job`; everything behind it relies on names that are unique, a
graph without cycles and limits that hold. Knows nothing of runs, storage or AWS.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from src.common import job_fields as form
from src.common import keys
from src.common.git_names import git_host
from src.common.job_model import Code, GitCode, InlineCode, Job, OrderSpec, S3Code
from src.common.jsontext import sha256
from src.common.validation import checked

__all__ = [
    "Code",
    "GitCode",
    "InlineCode",
    "Job",
    "OrderSpec",
    "S3Code",
    "digest",
    "orders_of",
    "parse_job",
]

LAMBDA_WINDOW: Final = 600  # s within which a worker must claim an order (rule 15)
BUILD_WINDOW: Final = 3600  # s; builds queue and provision
RESULT_SLACK: Final = 300  # s that a result URL outlives window and timeout
EXPIRY_SLACK: Final = 120  # s that a given expiry must leave after the last moment of the commands


def parse_job(
    raw: object, *, file_urls: bool = False, code_buckets: Collection[str] | None = None
) -> Job:
    """Return the job in `raw` (what JSON or YAML gave), its orders numbered by appearance.

    `file_urls` admits file URLs (local runs). `code_buckets` are those an `s3_location` may name;
    None admits any.

    Raises:
        JobRefused: with every problem at once.
    """
    head, specs = checked(raw, file_urls=file_urls, code_buckets=code_buckets)
    orders = tuple(
        spec.model_copy(
            update={
                "num": keys.order_num(position),
                "path": path,
                "code": _code(head, spec),
                "start_window": (window := _start_window(head, spec)),
                "url_lifetime": head.presign_expiry or window + spec.timeout + RESULT_SLACK,
            }
        )
        for position, (path, spec) in enumerate(specs, 1)
    )
    return head.model_copy(update={"orders": orders})


def orders_of(raw_job: object) -> dict[str, Mapping[str, Any]]:
    """Return order name -> the order as an accepted job gives it."""
    assert isinstance(raw_job, Mapping)
    orders = raw_job["orders"]
    if isinstance(orders, Mapping):
        return dict(orders)
    return {order["order_name"]: order for order in orders}


def digest(raw_job: Any) -> str:
    """Return the hex SHA-256 that tells jobs apart; equal for equal jobs however they were written.

    The order of keys matters in the map form of `orders` alone, where it numbers them.
    """
    if isinstance(raw_job, dict) and isinstance(raw_job.get("orders"), dict):
        raw_job = {
            **raw_job,
            "orders": [[name, order] for name, order in raw_job["orders"].items()],
        }
    return sha256(raw_job)


def _start_window(job: Job, order: OrderSpec) -> int:
    window = LAMBDA_WINDOW if order.use_lambda else BUILD_WINDOW
    if job.presign_expiry is None:
        return window
    return min(window, job.presign_expiry - order.timeout - EXPIRY_SLACK)


def _code(job: Job, order: OrderSpec) -> Code | None:
    """Return where an order's code comes from: its own source, else the job's repository."""
    if order.inline is not None:
        return InlineCode(order.inline)
    if order.s3_location is not None:
        return S3Code(*form.split_s3(order.s3_location))
    repo = order.git_repo or job.git_repo
    if repo is None:
        return None
    inherited = job.git_ref if job.git_repo in (None, repo) else None
    return GitCode(
        repo=repo,
        ref=order.git_ref or inherited or "HEAD",
        folder=order.git_folder or ".",
        trusted=job.git_repo is None or git_host(repo) == git_host(job.git_repo),
    )
