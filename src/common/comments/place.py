"""Where a run is commented on: the API's address of a pull request or issue, from the repository.

A pull request is an issue to this part of GitHub's API, so one address serves both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from src.common.git_names import git_endpoint

_GITHUB: Final = frozenset({"github.com", "www.github.com", "ssh.github.com"})
_CLOUD: Final = ".ghe.com"  # GitHub Enterprise Cloud with data residency: api.SUBDOMAIN.ghe.com
_NAME: Final = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9._-]+/(?!\.{1,2}$)[A-Za-z0-9._-]+")
_URL: Final = re.compile(
    r"(?P<api>https://[^?#\s]+)/repos/(?P<repo>[^/?#\s]+/[^/?#\s]+)/issues/(?P<number>[1-9][0-9]*)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A pull request or issue: API's base URL, `owner/name`, number."""

    api: str
    repo: str
    number: int

    @classmethod
    def of(cls, git_repo: str | None, number: int | None) -> Self | None:
        """Return the place in a checked repository URL; None for one that cannot be GitHub's."""
        if git_repo is None or number is None:
            return None
        api, repo = api_base(git_repo), _repository(git_repo)
        return None if api is None or repo is None else cls(api, repo, number)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the place that `str()` wrote.

        Raises:
            ValueError: it is none.
        """
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError(f"{url!r} is no address of an issue")
        return cls(found["api"], found["repo"], int(found["number"]))

    def __str__(self) -> str:
        return f"{self.api}/repos/{self.repo}/issues/{self.number}"


def api_base(git_repo: str) -> str | None:
    """Return the base URL of the API that belongs to a checked repository URL.

    `https://api.github.com` for github.com, `https://api.NAME.ghe.com` for GitHub's cloud of
    enterprises, else that of a GitHub Enterprise Server: `https://HOST/api/v3`. The port of an ssh
    URL says nothing about https.
    """
    scheme, host, port = git_endpoint(git_repo)
    host = host.lower()
    if not host:
        return None
    if host in _GITHUB:
        return "https://api.github.com"
    if host.endswith(_CLOUD):
        return f"https://api.{host}"
    place = host if scheme != "https" or port == 443 else f"{host}:{port}"
    return f"https://{place}/api/v3"


def _repository(git_repo: str) -> str | None:
    """Return `owner/name`; None where the path has not these two parts."""
    path = urlsplit(git_repo).path if "://" in git_repo else git_repo.partition(":")[2]
    name = path.strip("/").removesuffix(".git")
    return name if _NAME.fullmatch(name) else None
