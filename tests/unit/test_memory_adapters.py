"""What only the in-memory adapters promise: expiring URLs and word of every write."""

from __future__ import annotations

import pytest

from src.local.memory import MemoryBuckets, MemoryUploads

pytestmark = pytest.mark.unit


class FixedClock:
    def __init__(self, now: int) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(1_800_000_000_000)


def test_a_url_allows_its_one_method_until_it_expires(clock: FixedClock) -> None:
    buckets = MemoryBuckets()
    bucket = buckets.bucket("internal", clock)
    uploads = MemoryUploads(buckets, clock)
    put_url = bucket.presign_put_new("a/ü b?&=.json", 60)
    get_url = bucket.presign_get("a/ü b?&=.json", 120)

    assert uploads.put_new(get_url, b"1") == 403
    assert uploads.get(put_url) is None
    clock.sleep(59.999)
    assert uploads.put_new(put_url, b"1") == 200
    assert uploads.put_new(put_url, b"2") == 412
    clock.sleep(0.001)
    assert uploads.put_new(put_url, b"2") == 403
    assert uploads.get(get_url) == b"1"
    clock.sleep(60)
    assert uploads.get(get_url) is None


def test_every_write_is_told_and_no_refused_one(clock: FixedClock) -> None:
    told: list[tuple[str, str, int]] = []
    buckets = MemoryBuckets(lambda bucket, key, size: told.append((bucket, key, size)))
    bucket = buckets.bucket("internal", clock)

    bucket.put_new("k", b"12")
    bucket.put_new("k", b"123")
    bucket.put("k", b"1234")
    MemoryUploads(buckets, clock).put_new(bucket.presign_put_new("l", 1), b"")

    assert told == [("internal", "k", 2), ("internal", "k", 4), ("internal", "l", 0)]
    assert buckets.keys("internal") == ["k", "l"]
