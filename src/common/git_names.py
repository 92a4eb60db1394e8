"""The forms of repository URLs and refs, strict enough to hand them to git.

What git could take for an option, a helper program or another protocol is refused here, and so are
credentials in URLs. Starts no git.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationInfo

COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PORTS: Final = {"https": 443, "ssh": 22, "file": 0}
_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9.-]+")
_SSH_USER: Final = re.compile(r"(?!-)[A-Za-z0-9._-]+")
_SCP_LIKE: Final = re.compile(
    r"(?:(?P<user>[^@/\s:]+)@)?(?P<host>[^@/\s:]+):(?P<path>[^:@\s\\][^@\s\\]*)"
)
_REF_REFUSED: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(?:/|$)|(?:^|/)\.")
_SPACE_OR_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")


def git_url(url: str, info: ValidationInfo) -> str:
    """Check a repository's URL; `context={"file_urls": True}` admits file URLs."""
    if _SPACE_OR_CONTROL.search(url):
        raise ValueError("must not hold spaces or control characters")
    if url.startswith("-") or "::" in url:
        raise ValueError("must be an https or ssh URL")
    if "://" in url:
        return _url(url, file_urls=bool(info.context and info.context.get("file_urls")))
    scp = _SCP_LIKE.fullmatch(url)
    if not scp or not _HOST.fullmatch(scp["host"]) or scp["path"].startswith("-"):
        raise ValueError("must be an https or ssh URL")
    if scp["user"] is not None and not _SSH_USER.fullmatch(scp["user"]):
        raise ValueError("must not name a user of this form")
    return url


def _url(url: str, *, file_urls: bool) -> str:
    try:
        parts = urlsplit(url)
        host, user, password, _ = parts.hostname, parts.username, parts.password, parts.port
    except ValueError as error:
        raise ValueError(f"is no valid URL ({error})") from None
    scheme = url.partition(":")[0]  # as it is written: git takes small letters alone
    if scheme not in ("https", "ssh", "file"):
        raise ValueError(f"must be an https or ssh URL, not {scheme}")
    if password is not None or (user is not None and parts.scheme != "ssh"):
        raise ValueError("must not hold credentials: name where they lie in git_token_location")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ValueError("must not hold a query or fragment")
    if parts.scheme == "file":
        if not file_urls:
            raise ValueError("file URLs work in local runs only")
        if parts.netloc or not parts.path.startswith("/"):
            raise ValueError("must be of the form file:///path")
    elif not host or not _HOST.fullmatch(host) or len(parts.path) < 2:
        raise ValueError(f"must be of the form {parts.scheme}://host/path")
    elif user is not None and not _SSH_USER.fullmatch(user):
        raise ValueError("must not name a user of this form")
    return url


def git_host(url: str) -> str:
    """Return the host of a checked repository URL (`""` for file URLs)."""
    if "://" in url:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    return url.partition(":")[0].rpartition("@")[2].lower()


def git_endpoint(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a checked repository URL (`("file", "", 0)` for files)."""
    if "://" not in url:
        return "ssh", git_host(url), _PORTS["ssh"]
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]


def git_ref(ref: str) -> str:
    """Check a branch, tag or commit (git's own rules for names, and nothing like an option)."""
    if not ref or len(ref) > 255 or ref.startswith(("-", "/")) or ref.endswith(("/", ".")):
        raise ValueError("must be a branch, tag or commit")
    if _REF_REFUSED.search(ref) or ref == "@":
        raise ValueError("must be a branch, tag or commit, without the characters git refuses")
    return ref
