"""A worker's presigned URLs over HTTP: what is tried again, and what no message may tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
import responses

from src.common.aws.uploads import HttpUploads
from src.common.errors import Permanent, Transient

pytestmark = pytest.mark.unit

URL = "https://bucket.example/tmp/claim.json?X-Amz-Signature=bearer-token"


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def uploads() -> HttpUploads:
    return HttpUploads(sleep=lambda _seconds: None)


@pytest.mark.parametrize("status", [200, 403, 412])
def test_an_answer_is_returned_at_once(
    http: responses.RequestsMock, uploads: HttpUploads, status: int
) -> None:
    http.put(URL, status=status)

    assert uploads.put_new(URL, b"{}") == status

    [call] = http.calls
    assert call.request.headers["If-None-Match"] == "*"
    assert call.request.body == b"{}"


@pytest.mark.parametrize("trouble", [409, 429, 500, 503])
def test_trouble_is_tried_again(
    http: responses.RequestsMock, uploads: HttpUploads, trouble: int
) -> None:
    http.put(URL, status=trouble)
    http.put(URL, body=requests.ConnectionError(f"no route to {URL}"))
    http.put(URL, status=412)

    assert uploads.put_new(URL, b"{}") == 412


def test_lasting_trouble_is_returned_after_a_few_attempts(
    http: responses.RequestsMock, uploads: HttpUploads
) -> None:
    http.put(URL, status=503)

    assert uploads.put_new(URL, b"{}") == 503
    assert len(http.calls) == 5


def test_no_answer_at_all_is_transient_and_does_not_tell_the_url(
    http: responses.RequestsMock, uploads: HttpUploads
) -> None:
    http.put(URL, body=requests.ConnectionError(f"no route to {URL}"))

    with pytest.raises(Transient) as caught:
        uploads.put_new(URL, b"{}")

    assert "bucket.example/tmp/claim.json" in str(caught.value)
    assert "bearer-token" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("status", "body"), [(200, b"x"), (403, None), (404, None)])
def test_get_reads_an_object_or_none(
    http: responses.RequestsMock, uploads: HttpUploads, status: int, body: bytes | None
) -> None:
    http.get(URL, status=status, body=body or b"<Error/>")

    assert uploads.get(URL) == body


@pytest.mark.parametrize(("status", "kind"), [(503, Transient), (400, Permanent)])
def test_get_that_is_refused_otherwise_raises(
    http: responses.RequestsMock, uploads: HttpUploads, status: int, kind: type[Exception]
) -> None:
    http.get(URL, status=status)

    with pytest.raises(kind) as caught:
        uploads.get(URL)

    assert "bearer-token" not in str(caught.value)
