"""Finds a filesystem mirror that holds the AWS provider, wherever this machine keeps it.

TF_PROVIDER_MIRROR first, then Terraform's implied mirror directories, then the usual install
prefixes, to a bounded depth. Both of Terraform's layouts count, unpacked and packed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MIRROR_VARIABLE: Final = "TF_PROVIDER_MIRROR"
HOST: Final = "registry.terraform.io"
PROVIDER: Final = f"{HOST}/hashicorp/aws"

_PREFIXES: Final = ("/opt", "/usr/local", "/usr/share", "/usr/lib", "/var/lib")
_DEPTH: Final = 4  # folders below a prefix
_MOST_FOLDERS: Final = 5_000  # below one prefix
_SKIPPED: Final = frozenset({"proc", "sys", "node_modules", "site-packages", "__pycache__", "doc"})


@dataclass(frozen=True)
class Mirror:
    """A mirror's folder, the provider's versions in it (newest last) and how it was found."""

    folder: Path
    versions: tuple[str, ...]
    found_by: str


def find_mirror(environ: Mapping[str, str], platform: str, pin: str | None = None) -> Mirror | None:
    """Return the first mirror with the provider for that platform, in the pinned version if any."""
    for folder, found_by in _candidates(environ):
        versions = provider_versions(folder, platform)
        if pin in versions if pin else versions:
            return Mirror(folder, versions, found_by)
    return None


def provider_versions(mirror: Path, platform: str) -> tuple[str, ...]:
    """Return the AWS provider's versions in a mirror, oldest first."""
    folder = mirror / PROVIDER
    unpacked = {path.parent.name for path in folder.glob(f"*/{platform or '*'}") if path.is_dir()}
    packed = re.compile(rf"terraform-provider-aws_(.+?)_{re.escape(platform)}.*\.zip")
    found = {match[1] for path in folder.glob("*.zip") if (match := packed.fullmatch(path.name))}
    return tuple(sorted(unpacked | found, key=in_order))


def in_order(version: str) -> tuple[int, ...]:
    """Return what a version is sorted by."""
    return tuple(int(digits) for digits in re.findall(r"\d+", version))


def _candidates(environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    if named := environ.get(MIRROR_VARIABLE):
        yield Path(named).absolute(), f"named by {MIRROR_VARIABLE}"
        return
    for folder in _implied(environ):
        yield folder, "an implied mirror directory"
    home = environ.get("HOME")
    for prefix in (*_PREFIXES, *([home] if home else [])):
        for folder in _search(Path(prefix)):
            yield folder, "found by search"


def _implied(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the directories that terraform itself looks into."""
    home = Path(environ.get("HOME") or os.devnull)
    yield home / ".terraform.d/plugins"
    yield home / "Library/Application Support/io.terraform/plugins"
    shared = environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for data in (environ.get("XDG_DATA_HOME") or str(home / ".local/share"), *shared.split(":")):
        yield Path(data) / "terraform/plugins"


def _search(prefix: Path) -> Iterator[Path]:
    """Yield every folder that has a `registry.terraform.io`, nearest first."""
    level, seen = [prefix], 0
    for _ in range(_DEPTH):
        below: list[Path] = []
        for folder in level:
            children = _folders(folder)
            seen += len(children)
            if seen > _MOST_FOLDERS:
                return
            if folder / HOST in children:
                yield folder
            below += [child for child in children if child.name not in {*_SKIPPED, HOST}]
        level = below


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []
