"""What travels in a build's environment."""

import secrets

import pytest

from src.common.codec import pack, unpack

pytestmark = pytest.mark.unit

# CodeBuild's bound on the sum of a build's variables is not in its public quotas; 5,500 characters
# is what practitioners report. The payload is to leave room for the project's own.
ROOM = 4_500


def test_what_was_packed_is_unpacked() -> None:
    item = {"run_id": "r1", "timeout": 5, "name": "ü"}

    assert unpack(pack(item)) == item
    assert unpack('  {"run_id": "r1"}') == {"run_id": "r1"}


def test_three_urls_with_a_long_session_token_leave_room_in_a_builds_environment() -> None:
    token = secrets.token_urlsafe(1200)
    urls = {
        name: f"https://iac-ci-internal-abcde.s3.eu-west-1.amazonaws.com/tmp/callbacks/runs/"
        f"{'r' * 64}/0001/{name}.json?X-Amz-Security-Token={token}"
        f"&X-Amz-Signature={secrets.token_hex(32)}"
        for name in ("claim", "claim_read", "result")
    }

    assert len(pack(urls)) < ROOM < len(str(urls))


@pytest.mark.parametrize("text", ["", "%%%", "bm90IHpsaWI=", "[]", "{"])
def test_what_is_neither_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(text)
