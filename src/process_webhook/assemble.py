"""Puts process_webhook together over its ports, for production and for local runs alike."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from src.common.comments.reporter import Reporter
from src.common.ports import (
    Clock,
    CodeStore,
    Comments,
    ObjectStore,
    Packager,
    RunStore,
    SecretSource,
)
from src.process_webhook.accept import Accept
from src.process_webhook.app import ProcessWebhook, WebhookSecret
from src.process_webhook.carried import Each
from src.process_webhook.package import Package
from src.process_webhook.reserved import JobCode, JobSecrets
from src.process_webhook.sources import CodeSources


@dataclass(frozen=True, kw_only=True)
class Ports:
    """All that process_webhook touches.

    `each` does the uploads, side by side or in turn; `stopped` tells whether to give up packaging.
    """

    runs: RunStore
    internal: ObjectStore
    packager: Packager
    code: CodeStore
    secrets: SecretSource
    comments: Comments | None = None  # None: nobody is told
    clock: Clock
    each: Each
    stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What this deployment admits; `code_buckets` beside the internal one, None for any.

    `patience_s` is how long packaging waits for an orchestrator before it raises: as long as an
    invocation lasts, or short where handlers run one after the other and none comes meanwhile.
    `local` admits what is safe on the caller's own machine alone: file URLs, and repositories on
    hosts outside the public internet.
    """

    internal_bucket: str
    done_bucket: str
    webhook_secret_parameter: str | None
    require_freshness: bool = False
    local: bool = False
    patience_s: int = 270
    code_buckets: Collection[str] | None = ()


def assemble(ports: Ports, policy: Policy) -> ProcessWebhook:
    """Return the app."""
    job_secrets = JobSecrets(ports.secrets, policy.webhook_secret_parameter)
    job_code = JobCode(ports.code, policy.internal_bucket)
    buckets = policy.code_buckets
    return ProcessWebhook(
        accept=Accept(
            runs=ports.runs,
            internal=ports.internal,
            packager=ports.packager,
            clock=ports.clock,
            done_bucket=policy.done_bucket,
            comments=ports.comments is not None,
        ),
        package=Package(
            runs=ports.runs,
            internal=ports.internal,
            secrets=job_secrets,
            reporter=Reporter(ports.runs, ports.internal, ports.comments, ports.clock),
            clock=ports.clock,
            sources=lambda job: CodeSources(
                job,
                code_store=job_code,
                secrets=job_secrets,
                local=policy.local,
                stopped=ports.stopped,
            ),
            each=ports.each,
            patience_s=policy.patience_s,
            stopped=ports.stopped,
        ),
        webhook_secret=WebhookSecret(ports.secrets, policy.webhook_secret_parameter, ports.clock),
        require_freshness=policy.require_freshness,
        file_urls=policy.local,
        code_buckets=None if buckets is None else {policy.internal_bucket, *buckets},
    )
