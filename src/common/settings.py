"""The environment of each handler, one model per handler: the single source of its variables.

A field `orders_table` is the variable `IAC_CI_ORDERS_TABLE`. Nothing else in the handlers reads the
environment; the composition roots call `from_env` once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from src.common.errors import ConfigError, Problem

PREFIX: Final = "IAC_CI_"


def variable(field: str) -> str:
    """Return the environment variable of a settings field."""
    return PREFIX + field.upper()


class Settings(BaseModel):
    """What every handler gets: the specification's five."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_min_length=1)

    orders_table: str
    order_events_table: str
    locks_table: str
    internal_bucket: str
    done_bucket: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            ConfigError: naming every variable that is missing or malformed.
        """
        given = {
            name: environ[variable(name)] for name in cls.model_fields if variable(name) in environ
        }
        try:
            return cls.model_validate({name: value for name, value in given.items() if value})
        except ValidationError as error:
            raise ConfigError(
                Problem(
                    variable(str(detail["loc"][0])), f"{detail['msg']}, got {detail.get('input')!r}"
                )
                if detail["type"] != "missing"
                else Problem(variable(str(detail["loc"][0])), "is not set")
                for detail in error.errors()
            ) from None


class ProcessWebhookSettings(Settings):
    """process_webhook: itself (for packaging), its secret, how strict it is."""

    process_webhook_function: str
    webhook_secret_parameter: str | None = (
        None  # SSM SecureString; unset: every API request gets 503
    )
    require_freshness: bool = False  # refuse signed bodies with neither run_id nor issued_at
    code_buckets: str | None = None  # comma-separated buckets that jobs may name in s3_location


class OrchestratorSettings(Settings):
    """orchestrator: whom it hands orders to."""

    worker_function: str
    state_machine_arn: str
    codebuild_project: str


class WatchdogCheckSettings(Settings):
    """watchdog_check."""


class WorkerSettings(Settings):
    """worker, on Lambda and on CodeBuild."""
