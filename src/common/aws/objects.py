"""ObjectStore and CodeStore on S3.

Without s3:ListBucket a missing key answers 403, so 403 and 404 both read as missing; correctness
rests on conditional writes alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from src.common.aws.clients import Clients
from src.common.aws.errors import Refusal, calling
from src.common.errors import Transient
from src.common.limits import check_packed
from src.common.retry import attempts

_EXISTS: Final = ("PreconditionFailed", "412")
_CONCURRENT: Final = ("ConditionalRequestConflict", "409")
_MISSING: Final = ("NoSuchKey", "AccessDenied", "403", "404", "Forbidden", "NotFound")


class S3ObjectStore:
    """One bucket."""

    def __init__(
        self, clients: Clients, *, bucket: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clients = clients
        self._bucket = bucket
        self._sleep = sleep

    def put(self, key: str, body: bytes) -> None:
        """Create or overwrite."""
        with calling(f"writing {key}"):
            self._clients.s3.put_object(Bucket=self._bucket, Key=key, Body=body)

    def put_new(self, key: str, body: bytes) -> bool:
        """Create; False when the key exists."""
        for last in attempts(sleep=self._sleep):
            try:
                with calling(f"creating {key}", *_EXISTS, *_CONCURRENT):
                    self._clients.s3.put_object(
                        Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*"
                    )
            except Refusal as refusal:
                if refusal.code in _EXISTS:
                    return False
                # 409: another conditional write is under way; only a repetition tells who won.
                if last:
                    raise Transient(f"creating {key}: {refusal}") from refusal
                continue
            return True
        raise AssertionError("unreachable: the last attempt returns or raises")

    def get(self, key: str) -> bytes | None:
        """Return the object, None when it is missing."""
        try:
            with calling(f"reading {key}", *_MISSING):
                return self._clients.s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except Refusal:
            return None

    def presign_put_new(self, key: str, expires_s: int) -> str:
        """Return a URL that creates the key, once, for `expires_s` seconds.

        Makes no request. `If-None-Match` is a signed header: without it the URL is refused.
        """
        with calling(f"presigning {key}"):
            return self._clients.s3.generate_presigned_url(
                "put_object",
                Params={"Bucket": self._bucket, "Key": key, "IfNoneMatch": "*"},
                ExpiresIn=expires_s,
            )

    def presign_get(self, key: str, expires_s: int) -> str:
        """Return a URL that reads the key for `expires_s` seconds; makes no request."""
        with calling(f"presigning {key}"):
            return self._clients.s3.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=expires_s
            )


class S3CodeStore:
    """Buckets that jobs name as sources of code."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def get(self, bucket: str, key: str) -> bytes:
        """Return the object; Permanent when it is missing, too large or may not be read."""
        what = f"reading s3://{bucket}/{key}"
        with calling(what):
            reply = self._clients.s3.get_object(Bucket=bucket, Key=key)
            check_packed(reply["ContentLength"], what)
            return reply["Body"].read()
