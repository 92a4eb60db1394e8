"""Lazily made boto3 clients, one per service and process, with bounded retries and timeouts.

Making a client costs tens of milliseconds and importing boto3 hundreds, so both wait for the first
call. Knows nothing of tables, buckets or jobs.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

from src.common.aws.bounds import Bounds
from src.common.retry import CALL

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

CONNECT_TIMEOUT_S: Final = 3
READ_TIMEOUT_S: Final = 8


def config(service: str, endpoint: str | None = None) -> Config:
    """Return how the client of a service signs, waits and retries."""
    from botocore.config import Config

    return Config(
        # Said outright: for presigning boto3 may still choose SigV2, which newer regions refuse.
        signature_version="s3v4" if service == "s3" else "v4",
        retries={"mode": "standard", "total_max_attempts": CALL.attempts},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        tcp_keepalive=True,
        # Else boto3 presigns for the global endpoint, which answers a new bucket of another region
        # with a redirect that breaks the signature.
        s3={"addressing_style": "auto" if endpoint else "virtual"},
        # A checksum among the signed parameters would bind a presigned URL to one body.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


class Clients:
    """The clients of one account, region and endpoint (None: boto3's own defaults)."""

    def __init__(self, *, region: str | None = None, endpoint: str | None = None) -> None:
        self.region = region
        self.endpoint = endpoint

    @cached_property
    def session(self) -> Session:
        """The session that makes every client; hooks on its events see every call."""
        from boto3.session import Session

        session = Session(region_name=self.region)
        Bounds().attach(session)
        return session

    def _make(self, service: str) -> Any:
        return self.session.client(  # type: ignore[call-overload]
            service, endpoint_url=self.endpoint, config=config(service, self.endpoint)
        )

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """Tables."""
        return self._make("dynamodb")  # type: ignore[no-any-return]

    @cached_property
    def s3(self) -> S3Client:
        """Buckets."""
        return self._make("s3")  # type: ignore[no-any-return]

    @cached_property
    def lambda_(self) -> LambdaClient:
        """Functions."""
        return self._make("lambda")  # type: ignore[no-any-return]

    @cached_property
    def codebuild(self) -> CodeBuildClient:
        """Builds."""
        return self._make("codebuild")  # type: ignore[no-any-return]

    @cached_property
    def stepfunctions(self) -> SFNClient:
        """State machines."""
        return self._make("stepfunctions")  # type: ignore[no-any-return]

    @cached_property
    def ssm(self) -> SSMClient:
        """Parameters."""
        return self._make("ssm")  # type: ignore[no-any-return]

    @cached_property
    def logs(self) -> Any:
        """Log groups."""
        return self._make("logs")

    @cached_property
    def secretsmanager(self) -> SecretsManagerClient:
        """Secrets."""
        return self._make("secretsmanager")  # type: ignore[no-any-return]


@cache
def default_clients() -> Clients:
    """Return the process's clients: account, region and endpoint from the environment."""
    return Clients()
