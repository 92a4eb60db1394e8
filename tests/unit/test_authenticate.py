"""Signatures against one secret or several."""

from __future__ import annotations

import hmac

import pytest

from src.common.errors import Unauthenticated
from src.process_webhook.authenticate import authenticate, secrets_of, sign

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("parameter", "secrets"),
    [
        ("one", ("one",)),
        ("one\n", ("one",)),
        ("old\nnew\n", ("old", "new")),
        ("old\r\n\r\n new \r\n", ("old", "new")),
        ("with spaces in it", ("with spaces in it",)),
        ('["not", "a list"]', ('["not", "a list"]',)),
        ("", ()),
        (" \n\t\n", ()),
    ],
)
def test_a_parameter_holds_one_secret_a_line(parameter: str, secrets: tuple[str, ...]) -> None:
    assert secrets_of(parameter) == secrets


@pytest.mark.parametrize(("secret", "line"), [("old", 1), ("new", 2)])
def test_each_valid_secret_signs_and_is_told_by_its_line(secret: str, line: int) -> None:
    assert authenticate(["old", "new"], b"body", sign(secret, b"body")) == line


def test_the_lines_together_are_no_secret() -> None:
    with pytest.raises(Unauthenticated):
        authenticate(secrets_of("old\nnew"), b"body", sign("old\nnew", b"body"))


@pytest.mark.parametrize("signer", ["first", "second", "third", "nobody"])
def test_as_many_comparisons_are_made_whichever_secret_signed(
    signer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def counted(ours: bytes, given: bytes) -> bool:
        compared.append(ours)
        return real(ours, given)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    secrets = ["first", "second", "third"]

    try:
        authenticate(secrets, b"body", sign(signer, b"body"))
    except Unauthenticated:
        assert signer == "nobody"

    assert compared == [sign(secret, b"body").encode() for secret in secrets]
