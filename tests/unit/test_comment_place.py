"""Where a run is commented on, worked out from its repository."""

from __future__ import annotations

import pytest

from src.common.comments.place import Place

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("git_repo", "where"),
    [
        ("https://github.com/acme/infra.git", "https://api.github.com/repos/acme/infra/issues/7"),
        ("https://GitHub.com/acme/infra/", "https://api.github.com/repos/acme/infra/issues/7"),
        ("git@github.com:acme/infra.git", "https://api.github.com/repos/acme/infra/issues/7"),
        (
            "ssh://git@ssh.github.com:443/acme/infra",
            "https://api.github.com/repos/acme/infra/issues/7",
        ),
        ("https://acme.ghe.com/a/b", "https://api.acme.ghe.com/repos/a/b/issues/7"),
        ("https://git.acme.test/a/b.git", "https://git.acme.test/api/v3/repos/a/b/issues/7"),
        ("https://git.acme.test:8443/a/b", "https://git.acme.test:8443/api/v3/repos/a/b/issues/7"),
        ("ssh://git@git.acme.test:2222/a/b", "https://git.acme.test/api/v3/repos/a/b/issues/7"),
        ("git@git.acme.test:a/b", "https://git.acme.test/api/v3/repos/a/b/issues/7"),
    ],
)
def test_the_api_is_worked_out_from_the_repository(git_repo: str, where: str) -> None:
    place = Place.of(git_repo, 7)

    assert str(place) == where
    assert place == Place.parse(where)


@pytest.mark.parametrize(
    "git_repo",
    [
        None,
        "file:///srv/git/infra.git",
        "https://gitlab.test/group/sub/infra.git",
        "https://git.acme.test/infra.git",
        "https://git.acme.test/../infra",
        "https://git.acme.test/acme/..",
        "https://git.acme.test/acme/%2e%2e",
    ],
)
def test_what_cannot_be_on_github_has_no_place(git_repo: str | None) -> None:
    assert Place.of(git_repo, 7) is None


def test_a_job_without_a_number_has_no_place() -> None:
    assert Place.of("https://github.com/acme/infra", None) is None


@pytest.mark.parametrize("url", ["", "http://a/repos/b/c/issues/1", "https://a/repos/b/issues/1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no address of an issue"):
        Place.parse(url)
