"""What a job may not name though the role may read it: others' bundles, the webhook's secret."""

from __future__ import annotations

from typing import Final

from src.common.errors import Permanent
from src.common.ports import CodeStore, SecretSource

INTERNAL: Final = "tmp/"  # of the internal bucket: bundles, requests and results of all runs


class JobSecrets:
    """Secrets that jobs may ask for: all that the role may read but the webhook's own."""

    def __init__(self, source: SecretSource, webhook_secret_parameter: str | None) -> None:
        self._source = source
        self._own = _name(webhook_secret_parameter or "")

    def ssm(self, path: str) -> str:
        """Return a parameter; Permanent when it is missing, not readable, or the webhook's."""
        if self._own and _name(path) == self._own:
            raise Permanent(f"reading SSM parameter {path}: it is the webhook's own secret")
        return self._source.ssm(path)

    def secretsmanager(self, name: str) -> str:
        """Return a secret string; Permanent when it is missing or may not be read."""
        return self._source.secretsmanager(name)


class JobCode:
    """Code that jobs may name: in the internal bucket all but what iac-ci itself keeps there."""

    def __init__(self, store: CodeStore, internal_bucket: str) -> None:
        self._store = store
        self._internal = internal_bucket

    def get(self, bucket: str, key: str) -> bytes:
        """Return the object; Permanent when it is missing, not readable, or not a job's."""
        if bucket == self._internal and key.startswith(INTERNAL):
            raise Permanent(f"reading s3://{bucket}/{key}: keys under {INTERNAL} are iac-ci's own")
        return self._store.get(bucket, key)


def _name(path: str) -> str:
    """Return a parameter's bare name: SSM takes an ARN, a version, and no leading slash too."""
    if path.startswith("arn:"):
        path = path.partition(":parameter")[2]
    return path.strip("/").partition(":")[0]
