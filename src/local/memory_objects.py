"""Buckets in memory, and the URLs that stand for presigned ones: `memory://<bucket>/<key>?...`.

A URL says what it allows (`method`) and until when (`expires`, epoch ms). `on_put` tells of every
object that was written, which is where a world hangs its notifications. It knows no rules.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from src.common.errors import Permanent
from src.common.limits import check_packed
from src.common.ports import Clock

SCHEME: Final = "memory"

CREATED: Final = 200
REFUSED: Final = 403
EXISTS: Final = 412

OnPut = Callable[[str, str, int], None]


def _nobody(_bucket: str, _key: str, _size: int) -> None:
    return


class MemoryBuckets:
    """All buckets of a world; `on_put(bucket, key, size)` is called after each write."""

    def __init__(self, on_put: OnPut = _nobody) -> None:
        self.on_put = on_put
        self._atomic = Lock()
        self._objects: dict[tuple[str, str], bytes] = {}

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Create or overwrite."""
        with self._atomic:
            self._objects[bucket, key] = body
        self.on_put(bucket, key, len(body))

    def put_new(self, bucket: str, key: str, body: bytes) -> bool:
        """Create; False when the key exists."""
        with self._atomic:
            if (bucket, key) in self._objects:
                return False
            self._objects[bucket, key] = body
        self.on_put(bucket, key, len(body))
        return True

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return the object, None when it is missing."""
        return self._objects.get((bucket, key))

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of a bucket, sorted."""
        with self._atomic:
            return sorted(key for name, key in self._objects if name == bucket)

    def bucket(self, name: str, clock: Clock) -> MemoryObjectStore:
        """Return one bucket; `clock` dates its URLs."""
        return MemoryObjectStore(self, name, clock)


class MemoryObjectStore:
    """One bucket."""

    def __init__(self, buckets: MemoryBuckets, bucket: str, clock: Clock) -> None:
        self._buckets = buckets
        self._bucket = bucket
        self._clock = clock

    def put(self, key: str, body: bytes) -> None:
        """Create or overwrite."""
        self._buckets.put(self._bucket, key, body)

    def put_new(self, key: str, body: bytes) -> bool:
        """Create; False when the key exists."""
        return self._buckets.put_new(self._bucket, key, body)

    def get(self, key: str) -> bytes | None:
        """Return the object, None when it is missing."""
        return self._buckets.get(self._bucket, key)

    def everything(self) -> dict[str, bytes]:
        """Return every object of the bucket by key, for those who want to look through them."""
        return {key: self.get(key) or b"" for key in self._buckets.keys(self._bucket)}

    def presign_put_new(self, key: str, expires_s: int) -> str:
        """Return a URL that creates the key, once, for `expires_s` seconds."""
        return self._url("PUT", key, expires_s)

    def presign_get(self, key: str, expires_s: int) -> str:
        """Return a URL that reads the key for `expires_s` seconds."""
        return self._url("GET", key, expires_s)

    def _url(self, method: str, key: str, expires_s: int) -> str:
        query = urlencode({"expires": self._clock.now_ms() + expires_s * 1000, "method": method})
        return f"{SCHEME}://{self._bucket}/{quote(key)}?{query}"


class MemoryCodeStore:
    """Buckets that jobs name as sources of code."""

    def __init__(self, buckets: MemoryBuckets) -> None:
        self._buckets = buckets

    def get(self, bucket: str, key: str) -> bytes:
        """Return the object; Permanent when it is missing or too large."""
        body = self._buckets.get(bucket, key)
        if body is None:
            raise Permanent(f"reading s3://{bucket}/{key}: NoSuchKey")
        check_packed(len(body), f"reading s3://{bucket}/{key}")
        return body


class MemoryUploads:
    """What a worker does with its URLs; it honours their method and expiry."""

    def __init__(self, buckets: MemoryBuckets, clock: Clock) -> None:
        self._buckets = buckets
        self._clock = clock

    def put_new(self, url: str, body: bytes) -> int:
        """Create the object: 200, or 412 when it exists, 403 when the URL does not allow it."""
        place = self._allowed("PUT", url)
        if place is None:
            return REFUSED
        return CREATED if self._buckets.put_new(*place, body) else EXISTS

    def get(self, url: str) -> bytes | None:
        """Return the object; None when it is missing or the URL does not allow it."""
        place = self._allowed("GET", url)
        return None if place is None else self._buckets.get(*place)

    def _allowed(self, method: str, url: str) -> tuple[str, str] | None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        if parts.scheme != SCHEME or query.get("method") != [method]:
            return None
        if self._clock.now_ms() >= int(query["expires"][0]):
            return None
        return parts.netloc, unquote(parts.path[1:])
