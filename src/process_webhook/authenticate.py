"""Proof of who sent an HTTP request: GitHub-style HMAC over the raw body (rule 1). Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from src.common.errors import NotConfigured, Unauthenticated

HEADER: Final = "x-hub-signature-256"
_PREFIX: Final = "sha256="


def sign(secret: str, body: bytes) -> str:
    """Return the header's value for a body: `sha256=<hex>`."""
    return _PREFIX + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def secrets_of(parameter: str) -> tuple[str, ...]:
    """Return the valid secrets in a parameter's value: one a line, so that a change overlaps."""
    return tuple(line.strip() for line in parameter.splitlines() if line.strip())


def authenticate(secrets: Iterable[str], body: bytes, signature: str | None) -> int:
    """Check the signature of a raw body against each valid secret, in constant time.

    Returns the number of the secret that signed, from 1.

    Raises:
        NotConfigured: there is no secret at all; an empty one would let everybody in.
        Unauthenticated: the signature is missing or of no valid secret.
    """
    secrets = tuple(secrets)
    if not secrets:
        raise NotConfigured("no webhook secret is set")
    if signature is None:
        raise Unauthenticated("the header X-Hub-Signature-256 is missing")
    given = signature.encode(errors="surrogatepass")
    # Every comparison is made, so that the time tells nothing of which secret came close.
    matches = [hmac.compare_digest(sign(secret, body).encode(), given) for secret in secrets]
    if not any(matches):
        raise Unauthenticated("the header X-Hub-Signature-256 does not match the body")
    return matches.index(True) + 1
