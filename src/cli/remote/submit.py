"""`iac-ci submit`: from the job's file to the run's id."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from src.cli import inputs, record
from src.cli.exit_codes import OK
from src.cli.problems import FileRefused
from src.cli.remote.options import Stack
from src.cli.say import complain, say
from src.cli.text import count
from src.common import files, keys
from src.common.clock import SystemClock
from src.common.errors import JobRefused, Problem, Transient
from src.remote import look
from src.remote import submit as client
from src.remote import target as target_of
from src.remote.errors import NotNamed, Refused, Unreached
from src.remote.http import HttpPost, is_url

if TYPE_CHECKING:
    from src.remote.aws import AwsStack

SECRET_VARIABLE: Final = "IAC_CI_WEBHOOK_SECRET"  # noqa: S105 - a name
PARAMETER_VARIABLE: Final = "IAC_CI_WEBHOOK_SECRET_PARAMETER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a request reaches process_webhook, as asked for: at most one of URL and function."""

    url: str | None = None
    function: str | None = None
    secret_file: Path | None = None
    secret_parameter: str | None = None
    secret_env: str | None = None

    @property
    def has_secret(self) -> bool:
        """Whether somebody said where a secret lies."""
        named = (self.secret_file, self.secret_parameter, self.secret_env)
        return any(named) or bool(
            os.environ.get(SECRET_VARIABLE) or os.environ.get(PARAMETER_VARIABLE)
        )


def submit_file(
    file: Path, stack: Stack, way: Way, *, run_id: str | None, wait: bool, as_json: bool
) -> int:
    """Submit the job in `file`; return the exit code."""
    raw, lines = inputs.read_job(file, file_urls=False)
    request = client.request(raw, id_of_new_run(run_id), SystemClock().now_ms())
    try:
        accepted = sent(stack, way, request)
    except Refused as refused:
        if not refused.problems or refused.status != 400:
            raise
        raise FileRefused(file, refused.problems, lines) from None
    return told(accepted, stack, wait=wait, as_json=as_json)


def id_of_new_run(given: str | None) -> str:
    """Return the id of a run to submit: the one of `--run-id`, else a fresh one."""
    return keys.new_run_id() if given is None else look.checked(given, "--run-id")


def sent(stack: Stack, way: Way, request: dict[str, object]) -> client.Accepted:
    """Send a request the way that was asked for; return what was accepted."""
    send = _sender(stack, way)
    try:
        return client.submit(send, request)
    except Unreached:
        raise
    except Transient as error:
        raise client.lost(str(request["run_id"]), error) from None


def told(accepted: client.Accepted, stack: Stack, *, wait: bool, as_json: bool) -> int:
    """Say what was accepted, and wait for its end if asked to; return the exit code."""
    run_id = accepted.run_id
    if wait:
        from src.cli.remote.watch import wait_for

        return wait_for(run_id, stack, as_json=as_json, names=accepted.orders)
    if as_json:
        say(record.dumps(dict(accepted.body)))
        return OK
    say(run_id)
    complain(f"accepted: {count(len(accepted.orders), 'order')}; `iac-ci wait {run_id}` waits")
    return OK


def _sender(stack: Stack, way: Way) -> client.Sender:
    target = stack.target(url=way.url, function=way.function)
    aws = stack.connect(target)
    posts = way.url is not None or (way.function is None and way.has_secret)
    if not posts and target.knows("function"):
        return aws.invoke
    url = target.need("url")
    if not is_url(url):
        name = "--url" if way.url else target_of.PARTS["url"].variable
        raise JobRefused([Problem(name, f"must be an http or https URL, got {url!r}")])
    if client.FUNCTION_URL in (urlsplit(url).hostname or ""):
        return client.by_webhook(HttpPost(), url, aws.signed)
    return client.by_webhook(HttpPost(), url, client.hmac_signed(_secret(way, aws)))


def _secret(way: Way, aws: AwsStack) -> str:
    """Return the webhook secret from where the options say it lies, else from the environment."""
    if way.secret_file is not None:
        try:
            return files.text(way.secret_file)
        except ValueError as error:
            raise FileRefused(way.secret_file, [Problem("", str(error))]) from None
    if way.secret_parameter is not None:
        return aws.parameter(way.secret_parameter)
    variable = way.secret_env or SECRET_VARIABLE
    if secret := os.environ.get(variable):
        return secret
    parameter = os.environ.get(PARAMETER_VARIABLE)
    if parameter and way.secret_env is None:
        return aws.parameter(parameter)
    raise NotNamed(
        f"the webhook secret is not known: the variable {variable} is not set; or give"
        " --secret-file FILE or --secret-parameter NAME (of SSM), or --function NAME to invoke the"
        " function itself"
    )
