"""One call on AWS in the name of a person, and what it needs.

A refusal names action and resource, so that it says what a policy has to grant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from src.common.aws.clients import Clients
from src.common.aws.errors import Refusal, calling
from src.remote.errors import Denied
from src.remote.target import Target

_DENIED: Final = ("AccessDeniedException", "AccessDenied", "403", "Forbidden")
_MISSING: Final = ("NoSuchKey", "404", "NotFound")
_LIST: Final = "s3:ListBucket"  # who lacks it is told 403 of a missing key


class Calls:
    """What all calls on a stack share."""

    def __init__(self, target: Target, clients: Clients) -> None:
        self._target, self._clients = target, clients

    def _get(self, bucket: str, key: str, doing: str) -> bytes | None:
        """Return an object, None when it is missing.

        Without s3:ListBucket a missing key is denied, too: S3 then says that this is what it lacks.
        """
        try:
            with calling(doing, *_DENIED, *_MISSING):
                return self._clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except Refusal as refusal:
            if refusal.code in _MISSING or _LIST in refusal.message:
                return None
            resource = self._target.bucket_arn(bucket, key)
            more = f" (or {_LIST} on {self._target.bucket_arn(bucket)}, if there is no such object)"
            raise Denied(doing, "s3:GetObject", resource + more) from refusal

    @contextmanager
    def _asking(self, doing: str, action: str, resource: str, *expected: str) -> Iterator[None]:
        try:
            with calling(doing, *_DENIED, *expected):
                yield
        except Refusal as refusal:
            if refusal.code in expected:
                raise
            raise Denied(doing, action, resource) from refusal

    @property
    def _region(self) -> str:
        with calling("reading the AWS configuration"):
            return str(self._target.region or self._clients.session.region_name or "*")

    def _table(self, name: str) -> str:
        return self._target.arn("dynamodb", f"table/{name}", region=self._region)

    def _function(self, name: str) -> str:
        return self._target.arn("lambda", f"function:{name}", region=self._region)
