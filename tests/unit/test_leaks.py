"""What the search for secrets finds: every form of a value, and bundles and keys out of place."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote_plus

import pytest

from src.common import codec
from tests.support.leaks import CIPHERTEXT, IDENTITY, Text, leaves, out_of_place, values

pytestmark = pytest.mark.unit

SECRET = 'correct horse/battery+staple\n"ü"'


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        json.dumps({"a": SECRET}),
        json.dumps({"a": SECRET}, ensure_ascii=False),
        f"https://host/?q={quote_plus(SECRET)}",
        *(
            base64.b64encode(f"{before}{SECRET} after".encode()).decode()
            for before in ("", "a", "ab")
        ),
        base64.urlsafe_b64encode(f"user:{SECRET}".encode()).decode(),
    ],
)
def test_a_secret_is_found_in_every_form(shown: str) -> None:
    texts = [Text("table", "orders", "run-1", "nothing"), Text("log", "worker", "one", shown)]

    found = out_of_place(texts, [("/iac-ci/db", SECRET), ("/iac-ci/other", "another value")])

    assert len(found) == 1
    assert found[0].startswith("log worker, one: has /iac-ci/db ")
    assert "horse" not in found[0]


def test_what_a_build_is_handed_is_unpacked() -> None:
    handed = {"name": "IAC_CI_PAYLOAD", "value": codec.pack({"key": SECRET, "more": "x" * 40})}

    assert SECRET in "\n".join(leaves({"environment": [handed]}))


def test_what_was_stored_as_json_is_several_secrets_and_a_short_text_is_none() -> None:
    stored = '{"user": "app", "password": "p\\u00e4ssword"}'

    assert values("db", stored) == [("db", stored), ("db (password)", "pässword")]
    assert values("short", "1234567") == []


@pytest.mark.parametrize("kind", ["log", "state machine", "function", "build project", "bucket"])
def test_the_key_of_a_bundle_belongs_into_rows_and_dispatches_alone(kind: str) -> None:
    found = out_of_place([Text(kind, "s", "k", f"a {IDENTITY}QQ")], [])

    assert found == [f"{kind} s, k: has the key of a bundle"]


@pytest.mark.parametrize("kind", ["table", "build", "queue", "log"])
def test_a_bundle_belongs_into_buckets_alone(kind: str) -> None:
    found = out_of_place([Text(kind, "s", "k", CIPHERTEXT)], [])

    assert found == [f"{kind} s, k: has a bundle's ciphertext, which is for buckets alone"]


def test_bundles_in_buckets_and_keys_in_rows_are_in_their_place() -> None:
    texts = [Text("bucket", "b", "k", CIPHERTEXT), Text("table", "t", "k", IDENTITY)]

    assert out_of_place(texts, [("s", SECRET)]) == []
