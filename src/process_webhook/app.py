"""process_webhook: every trigger goes through here, authenticated before it is parsed (rule 1)."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from src.common import leg
from src.common.errors import (
    BodyTooLarge,
    IacCiError,
    JobRefused,
    NotConfigured,
    Permanent,
    Problem,
    RunConflict,
    Transient,
    Unauthenticated,
    VersionRefused,
)
from src.common.ports import Clock, SecretSource
from src.common.records import Run
from src.common.status import OrderStatus
from src.process_webhook.accept import Accept
from src.process_webhook.authenticate import HEADER, authenticate, secrets_of
from src.process_webhook.package import Package
from src.process_webhook.request import Request, as_object, parse_body, parse_request
from src.process_webhook.trigger import Direct, Http, Sns, parse_trigger
from src.process_webhook.trigger import Package as PackageRun

log = logging.getLogger(__name__)

MAX_BODY: Final = 4 * 1024 * 1024
SECRET_TTL_MS: Final = 5 * 60_000  # how long a changed webhook secret may go unnoticed

_STATUS: Final[dict[type[IacCiError], int]] = {
    JobRefused: 400,
    Unauthenticated: 401,
    RunConflict: 409,
    BodyTooLarge: 413,
    NotConfigured: 503,
    VersionRefused: 503,
    Transient: 503,
}


_OURS: Final = {500: "internal error", 503: "not available at the moment; try again"}


@dataclass
class WebhookSecret:
    """The webhook secret's parameter, read once every few minutes."""

    source: SecretSource
    parameter: str | None
    clock: Clock
    _secrets: tuple[str, ...] = ()
    _until: int = field(default=0)

    def secrets(self) -> tuple[str, ...]:
        """Return the valid secrets.

        Raises:
            NotConfigured: no parameter is named, or it is missing.
        """
        if self.parameter is None:
            raise NotConfigured("no webhook secret is set")
        if self.clock.now_ms() >= self._until:
            try:
                self._secrets = secrets_of(self.source.ssm(self.parameter))
            except Permanent as error:
                log.error("reading the webhook secret: %s", error)  # noqa: TRY400
                raise NotConfigured("the webhook secret cannot be read") from None
            self._until = self.clock.now_ms() + SECRET_TTL_MS
        return self._secrets


@dataclass(frozen=True, kw_only=True)
class ProcessWebhook:
    """Lambda handler `process_webhook` over its ports."""

    accept: Accept
    package: Package
    webhook_secret: WebhookSecret
    require_freshness: bool = False
    file_urls: bool = False  # admitted in local runs
    code_buckets: Collection[str] | None = ()  # that jobs may name; None: any

    def __call__(self, event: object, context: Any) -> Any:
        """Answer one event.

        Returns `{"statusCode", "headers", "body": JSON text}` to HTTP, `{"statusCode", "body":
        object}` to a direct invocation, a list of those to SNS, and the packaging's outcome to our
        own invocation.

        Raises:
            Transient: on asynchronous triggers, so that the platform repeats them.
        """
        del context
        try:
            trigger = parse_trigger(event)
        except JobRefused as error:
            return _http(*_refusal(error))
        match trigger:
            case PackageRun(run_id):
                outcome = self.package(run_id)
                return {"run_id": run_id, "status": None if outcome is None else outcome[0].status}
            case Http():
                return _http(*self._answer_http(trigger))
            case Direct(body):
                status, answer = self._answer_direct(body)
                return {"statusCode": status, "body": answer}
            case Sns(messages):
                return [self._answer_message(message) for message in messages]

    def _answer_http(self, trigger: Http) -> tuple[int, dict[str, Any]]:
        try:
            if not trigger.iam:
                self._authenticate(trigger)
            if len(trigger.body) > MAX_BODY:
                raise BodyTooLarge(f"body: {len(trigger.body)} bytes, over {MAX_BODY}")
            github_event = trigger.headers.get("x-github-event")
            if github_event == "ping":
                return 200, {"message": "pong"}
            body = parse_body(trigger.body)
            if github_event is not None and not {"job", "job_parameters_b64"} & body.keys():
                raise JobRefused([_no_job(github_event)])
        except IacCiError as error:
            return _refusal(error)
        return self._answer(body, signed=not trigger.iam)

    def _authenticate(self, trigger: Http) -> None:
        secrets = self.webhook_secret.secrets()
        line = authenticate(secrets, trigger.body, trigger.headers.get(HEADER))
        if len(secrets) > 1:  # whoever rotates them wants to know when the old one is unused
            log.info("signed with line %d of %d of the webhook secret", line, len(secrets))

    def _answer_direct(self, event: object) -> tuple[int, dict[str, Any]]:
        try:
            body = as_object(event)
        except JobRefused as error:
            return _refusal(error)
        # JSON may name half a character, which is told as any other bad text.
        size = len(json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass"))
        if size > MAX_BODY:
            return _refusal(BodyTooLarge(f"body: {size} bytes, over {MAX_BODY}"))
        return self._answer(body, direct=True)

    def _answer_message(self, message: str) -> dict[str, Any]:
        try:
            status, answer = self._answer(parse_body(message.encode(errors="surrogatepass")))
        except JobRefused as error:
            status, answer = _refusal(error)
        if status >= 500:
            raise Transient(str(answer["error"]))
        if status != 200:
            log.warning("a message was refused with %d: %s", status, answer)
        return {"statusCode": status, "body": answer}

    def _answer(
        self, body: Mapping[str, Any], *, direct: bool = False, signed: bool = False
    ) -> tuple[int, dict[str, Any]]:
        try:
            request = parse_request(
                body,
                direct=direct,
                file_urls=self.file_urls,
                code_buckets=self.code_buckets,
            )
            return self._take_in(request, signed=signed)
        except IacCiError as error:
            return _refusal(error)

    def _take_in(self, request: Request, *, signed: bool) -> tuple[int, dict[str, Any]]:
        began = self.accept.clock.now_ms()
        run, answer = self.accept(request, signed=signed, strict=self.require_freshness)
        if run is None:
            return 200, answer
        with leg.of(run.run_id, began, trace_id=run.trace_id):
            try:
                return self._start(run, request, answer)
            except IacCiError as error:
                return _refusal(error)

    def _start(
        self, run: Run, request: Request, answer: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        self.accept.start(run, invoke=not request.wait)
        if request.wait:
            outcome = self.package(run.run_id)
            if outcome is None:  # over already
                return 200, {**answer, "init_pr_comment": self.package.comment(run.run_id)}
            result, comment = outcome
            if result.status is not OrderStatus.SUCCEEDED:
                details = [dict(problem) for problem in result.problems]
                details = details or [{"path": "", "message": result.reason or "packaging failed"}]
                return 400, {"error": "packaging", "run_id": run.run_id, "details": details}
            answer = {**answer, "init_pr_comment": comment}
        return 200, answer


def _no_job(github_event: str) -> Problem:
    return Problem(
        "body",
        f"a GitHub {github_event!r} event is no job: send `job` or `job_parameters_b64`, signed"
        " with the same secret (examples/github-action shows how)",
    )


def _refusal(error: IacCiError) -> tuple[int, dict[str, Any]]:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    if status >= 500:
        log.error("answering %d: %s", status, error)
    if isinstance(error, NotConfigured | VersionRefused):
        return status, {"error": str(error), "details": [{"path": "", "message": str(error)}]}
    if isinstance(error, JobRefused):
        return status, {
            "error": "job refused",
            "details": [problem.as_dict() for problem in error.problems],
        }
    # What a service said names accounts, roles and buckets: that is for the log.
    message = _OURS.get(status) or str(error)
    return status, {"error": message, "details": [{"path": "", "message": message}]}


def _http(status: int, answer: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(answer)}
