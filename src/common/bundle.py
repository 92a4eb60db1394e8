"""The bundle of an order: its code, its commands, and its environment encrypted to one identity.

A zip of `code/...`, `order.json` (the commands) and `env.age` (age, X25519). The identity opens
this one bundle and never lies beside it (rule 11). Knows nothing of where bundles and identities
lie.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from src.common import zips
from src.common.codezip import EPOCH
from src.common.errors import BundleError

ORDER: Final = "order.json"
ENV: Final = "env.age"
VERSION: Final = 1
MAX_PART: Final = 16 * 2**20  # bytes of order.json and of env.age

_END: Final = struct.Struct("<4s4H2LH")  # end of central directory
_END_MAGIC: Final = b"PK\x05\x06"
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")  # one entry of the central directory
_WHAT: Final = "the bundle"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a worker needs beside the code.

    `secrets` names the secret variables of `env`; `folder` is where in the code commands start.
    """

    cmds: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = frozenset()
    folder: str = "."


def new_identity() -> str:
    """Return a fresh X25519 age identity (`AGE-SECRET-KEY-1...`)."""
    from pyrage import x25519  # type: ignore[import-untyped]

    return str(x25519.Identity.generate())


def encrypt(text: str, identity: str) -> bytes:
    """Return `text` encrypted to the recipient of `identity`."""
    import pyrage

    recipient = pyrage.x25519.Identity.from_str(identity).to_public()
    return bytes(pyrage.encrypt(text.encode(), [recipient]))


def decrypt(data: bytes, identity: str) -> str:
    """Return the text in `data`.

    Raises:
        BundleError: the data are damaged, or another identity's.
    """
    import pyrage

    try:
        key = pyrage.x25519.Identity.from_str(identity)
        return bytes(pyrage.decrypt(data, [key])).decode()
    except (pyrage.DecryptError, pyrage.IdentityError, UnicodeDecodeError, ValueError) as error:
        raise BundleError(f"decrypting: {error}") from None


def build(code_zip: bytes | None, bundle: Bundle, identity: str) -> bytes:
    """Return the bundle: a copy of `code_zip` (one of `codezip.CodeZip`) with the order's parts."""
    order = {"version": VERSION, "cmds": list(bundle.cmds), "folder": bundle.folder}
    env = {"env": dict(bundle.env), "secrets": sorted(bundle.secrets)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in (
            (ORDER, json.dumps(order, separators=(",", ":")).encode()),
            (ENV, encrypt(json.dumps(env, separators=(",", ":")), identity)),
        ):
            info = zipfile.ZipInfo(name, EPOCH)
            info.external_attr = 0o600 << 16
            archive.writestr(info, data)
    parts = buffer.getvalue()
    return parts if code_zip is None else _joined(code_zip, parts)


def extract(data: bytes, folder: Path, identity: str) -> Bundle:
    """Write the code of a bundle into `folder` (made if need be) and return the rest.

    What lies under `code/` in the zip lies in `folder` itself afterwards; nothing else is written.

    Raises:
        BundleError: it is damaged, hostile or too large, or `identity` is another bundle's. Files
            may have been written by then.
    """
    with zips.opened(data, _WHAT) as archive:
        found = {entry.name: entry for entry in zips.entries(archive, len(data), _WHAT)}
        order = _part(archive, found.pop(ORDER, None), ORDER)
        env = _part(archive, found.pop(ENV, None), ENV)
        found.pop(zips.CODE.rstrip("/"), None)
        for name in found:
            if not name.startswith(zips.CODE):
                raise BundleError(f"reading {_WHAT}: entry {name!r} has no place in a bundle")
        bundle = _read(order, decrypt(env, identity))
        folder.mkdir(parents=True, exist_ok=True)
        zips.unpack(archive, list(found.values()), folder, _WHAT)
    return bundle


def _part(archive: zipfile.ZipFile, entry: zips.Entry | None, name: str) -> bytes:
    if entry is None or entry.kind is not zips.Kind.FILE:
        raise BundleError(f"reading {_WHAT}: {name} is missing")
    if entry.info.file_size > MAX_PART:
        raise BundleError(f"reading {_WHAT}: {name} is over {MAX_PART} bytes")
    return archive.read(entry.info)


def _read(order_json: bytes, env_json: str) -> Bundle:
    try:
        order: dict[str, Any] = json.loads(order_json)
        env: dict[str, Any] = json.loads(env_json)
        version = int(order["version"])
        bundle = Bundle(
            cmds=tuple(order["cmds"]),
            env=dict(env["env"]),
            secrets=frozenset(env["secrets"]),
            folder=str(order["folder"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BundleError(f"reading {_WHAT}: its parts are malformed ({error!r})") from None
    if version > VERSION:
        raise BundleError(f"reading {_WHAT}: version {version}, this worker reads up to {VERSION}")
    return bundle


def _joined(first: bytes, second: bytes) -> bytes:
    """Return the entries of two zips as one, byte by byte: no file is read or packed again.

    Both were made here: no comment, no zip64. A thousand orders share one code zip, and zipfile's
    own way to append would read its directory a thousand times.
    """
    first_count, first_size, first_at = _end(first)
    second_count, second_size, second_at = _end(second)
    directory = bytearray(second[second_at : second_at + second_size])
    at = 0
    for _ in range(second_count):
        fields = list(_CENTRAL.unpack_from(directory, at))
        fields[-1] += first_at  # where the entry's data begin
        _CENTRAL.pack_into(directory, at, *fields)
        at += _CENTRAL.size + sum(fields[10:13])  # name, extra field, comment
    count, size = first_count + second_count, first_size + second_size
    return b"".join(
        (
            memoryview(first)[:first_at],  # a view: code may be large, and memory is not
            second[:second_at],
            first[first_at : first_at + first_size],
            directory,
            _END.pack(_END_MAGIC, 0, 0, count, count, size, first_at + second_at, 0),
        )
    )


def _end(data: bytes) -> tuple[int, int, int]:
    """Return count, size and offset of a zip's central directory."""
    magic, _, _, _, count, size, offset, comment = _END.unpack(data[-_END.size :])
    if magic != _END_MAGIC or comment:
        raise BundleError("packing: the code is no zip of ours")
    return count, size, offset
