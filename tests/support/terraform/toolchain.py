"""Which terraform and which AWS provider the plans use: found on this machine, and said so.

The CLI: `--terraform=PATH`, the variable TERRAFORM, then PATH. The provider: a CLI configuration
that exists is the user's and is left alone; else a mirror (see mirrors.py); else the registry.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.support.terraform.mirrors import (
    MIRROR_VARIABLE,
    PROVIDER,
    Mirror,
    find_mirror,
    in_order,
)

BINARY_VARIABLE: Final = "TERRAFORM"
CONFIG_VARIABLE: Final = "TF_CLI_CONFIG_FILE"
LOWEST: Final = "1.5"  # terraform that the stages take


class MissingError(Exception):
    """What plans need is not on this machine; the message says what, and how to get it."""


@dataclass(frozen=True)
class Toolchain:
    """A terraform CLI and where its AWS provider comes from."""

    binary: str
    version: str
    mirror: str | None  # a filesystem mirror's folder
    config: str | None  # the user's own CLI configuration
    provider: str  # its version or versions, as far as known before init
    origin: str  # of the provider, for people
    pin: str | None = None  # the one provider version to use

    @classmethod
    def find(cls, binary: str | None, pin: str | None, environ: Mapping[str, str]) -> Self:
        """Look around on this machine.

        Raises:
            MissingError: there is no terraform, or an older one than the stages take, or no
                provider in the mirror that the user named.
        """
        path = _find_binary(binary or environ.get(BINARY_VARIABLE), environ)
        answer = _version(path, environ)
        version, platform = answer["terraform_version"], answer["platform"]
        if in_order(version) < in_order(LOWEST):
            raise MissingError(
                f"{path} is terraform {version}, the stages take {LOWEST} or newer: install one, "
                "or name it with --terraform=PATH or TERRAFORM"
            )
        config = None if environ.get(MIRROR_VARIABLE) else _user_config(environ)
        mirror = None if config else find_mirror(environ, platform, pin)
        if mirror is None and (named := environ.get(MIRROR_VARIABLE)):
            wanted = f"{PROVIDER} {pin or ''}".strip()
            raise MissingError(f"{MIRROR_VARIABLE} is {named}: no {wanted} for {platform} in there")
        return cls(path, version, *_describe(mirror, config, pin), pin=pin)

    @property
    def header(self) -> str:
        """One line: the CLI, the provider and where it comes from."""
        return (
            f"terraform: {self.version} ({self.binary}); "
            f"aws provider {self.provider} from {self.origin}"
        )

    def as_json(self) -> str:
        """Pack it for a worker process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Unpack what `as_json` packed."""
        return cls(**json.loads(text))


def _describe(
    mirror: Mirror | None, config: str | None, pin: str | None
) -> tuple[str | None, str | None, str, str]:
    if config is not None:
        return None, config, pin or "(its choice)", f"where {config} says"
    if mirror is not None:
        versions = pin or ", ".join(mirror.versions)
        return str(mirror.folder), None, versions, f"{mirror.folder} ({mirror.found_by})"
    return None, None, pin or "(the newest allowed)", "the registry"


def _find_binary(wanted: str | None, environ: Mapping[str, str]) -> str:
    found = shutil.which(wanted or "terraform", path=environ.get("PATH"))
    if found:
        return str(Path(found).absolute())
    if wanted:
        raise MissingError(f"no terraform at {wanted}, which --terraform or TERRAFORM names")
    raise MissingError(
        f"no terraform on PATH: install Terraform {LOWEST} or newer, or name one with "
        "--terraform=PATH or TERRAFORM"
    )


def _version(path: str, environ: Mapping[str, str]) -> dict[str, Any]:
    env = {"PATH": environ.get("PATH", os.defpath), "CHECKPOINT_DISABLE": "1", "HOME": os.devnull}
    try:
        done = subprocess.run(
            [path, "version", "-json"],
            env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=30,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(done.stdout)
        return {"platform": "", **answer, "terraform_version": answer["terraform_version"]}
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise MissingError(
            f"{path} does not answer `version -json` as terraform: {error}"
        ) from None


def _user_config(environ: Mapping[str, str]) -> str | None:
    """Return the CLI configuration that terraform would read, if it exists."""
    named = environ.get(CONFIG_VARIABLE) or environ.get("TERRAFORM_CONFIG")
    home = environ.get("HOME")
    candidates = [Path(named)] if named else [Path(home, ".terraformrc")] if home else []
    return next((str(path) for path in candidates if path.is_file()), None)


def cli_config(mirror: str | None) -> str:
    """Return a CLI configuration that takes the AWS provider from a mirror only."""
    if mirror is None:
        return "provider_installation {\n  direct {}\n}\n"
    include = json.dumps([PROVIDER])
    return (
        "provider_installation {\n"
        f"  filesystem_mirror {{\n    path    = {json.dumps(mirror)}\n"
        f"    include = {include}\n  }}\n"
        f"  direct {{\n    exclude = {include}\n  }}\n"
        "}\n"
    )
