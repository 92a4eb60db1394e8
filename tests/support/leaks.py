"""Is a secret in clear, or a bundle beside the key that opens it, in what stores hold? Pure.

Knows nothing of the masking that it holds to account: what a secret may look like is said here
again. Texts come out of `tests/support/stores.py`, secrets out of whoever stored them.
"""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, quote_plus

from src.common import codec

IDENTITY: Final = "AGE-SECRET-KEY-1"  # how the key of a bundle begins
CIPHERTEXT: Final = "age-encryption.org/v1"  # how what it opens begins
BUCKETS: Final = "bucket"
LEAST: Final = 8  # characters; a shorter value would be found in any text

_STORING: Final = (  # botocore knows wildcards for whole parts alone
    *("ssm.PutParameter", "secrets-manager.CreateSecret"),
    *("secrets-manager.PutSecretValue", "secrets-manager.UpdateSecret"),
)
_PACKED: Final = re.compile(r"e[JN][A-Za-z0-9+/]{20,}={0,2}")  # what codec.pack makes
DISPATCH: Final = "dispatch"  # what a worker is handed
_MAY_HOLD_IDENTITIES: Final = ("table", DISPATCH, "build", "queue")  # a build's variables hold one


Secret = tuple[str, str]  # name and value


@dataclass(frozen=True, slots=True)
class Text:
    """What lies somewhere: the kind of store and its name, under which key, and the text."""

    kind: str
    store: str
    key: str
    text: str

    @property
    def place(self) -> str:
        """Where it lies."""
        return f"{self.kind} {self.store}, {self.key}"


def out_of_place(texts: Iterable[Text], secrets: Iterable[Secret]) -> list[str]:
    """Return a line for each secret in clear, and for each bundle or identity out of its place.

    A line names store and key, and the secret by its name.
    """
    looked_for = [
        (name, form, what) for name, value in secrets for what, form in forms(value).items()
    ]
    found: list[str] = []
    for each in texts:
        told: set[str] = set()
        for name, form, what in looked_for:
            if name not in told and form in each.text:
                told.add(name)
                found.append(f"{each.place}: has {name} {what}")
        if CIPHERTEXT in each.text and each.kind != BUCKETS:
            found.append(f"{each.place}: has a bundle's ciphertext, which is for buckets alone")
        if IDENTITY in each.text and each.kind not in _MAY_HOLD_IDENTITIES:
            found.append(f"{each.place}: has the key of a bundle")
    return found


def forms(value: str) -> dict[str, str]:
    """Return what a secret may look like, by a word for it."""
    raw = value.encode()
    found = {
        "in clear": value,
        "as JSON": json.dumps(value)[1:-1],
        "as JSON in Unicode": json.dumps(value, ensure_ascii=False)[1:-1],
        "URL-encoded": quote(value, safe=""),
        "URL-encoded but for slashes": quote(value),
        "URL-encoded as a form": quote_plus(value),
    }
    for before in range(3):  # what lies before it shifts base64's characters
        encoded = base64.b64encode(bytes(before) + raw).decode()
        core = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        found[f"in base64, shifted by {before}"] = core
        found[f"in base64 for URLs, shifted by {before}"] = core.translate(_FOR_URLS)
    return found


_FOR_URLS: Final = str.maketrans("+/", "-_")


def values(name: str, stored: str) -> list[Secret]:
    """Return the secrets in what was stored: itself, and each text of a JSON object."""
    found = [(name, stored)]
    with suppress(ValueError):
        parsed = json.loads(stored)
        if isinstance(parsed, dict):
            found += [
                (f"{name} ({key})", text) for key, text in parsed.items() if isinstance(text, str)
            ]
    return [(name, text) for name, text in found if len(text) >= LEAST]


def watch(events: Any, note: Callable[[str, str], None]) -> None:
    """Note each secret that a session's or a client's calls store (botocore's events)."""

    def store(params: Mapping[str, Any], **_: Any) -> None:
        value = params.get("Value", params.get("SecretString"))
        if value is not None:
            note(params.get("Name") or params["SecretId"], value)

    for operation in _STORING:
        events.register(f"before-parameter-build.{operation}", store)


def texts_in(data: bytes) -> Iterator[str]:
    """Yield the text of an object: as it is, and of each file in it if it is a zip."""
    yield data.decode("latin-1")
    with suppress(UnicodeDecodeError):
        yield data.decode()
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            yield from texts_in(archive.read(entry))


def unpacked(text: str) -> Iterator[str]:
    """Yield a text, and what is packed in it as a build's payload is."""
    yield text
    for found in _PACKED.findall(text):
        with suppress(ValueError):
            yield "\n".join(leaves(codec.unpack(found)))


def leaves(item: Any) -> Iterator[str]:
    """Yield every text in an answer of an API, names of fields included."""
    match item:
        case bytes():
            for text in texts_in(item):
                yield from unpacked(text)
        case str():
            yield from unpacked(item)
        case Mapping():
            for key, value in item.items():
                yield str(key)
                yield from leaves(value)
        case list() | tuple() | set():
            for value in item:
                yield from leaves(value)
        case None:
            return
        case _:
            yield str(item)
