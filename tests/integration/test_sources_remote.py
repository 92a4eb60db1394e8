"""Code over https with a token and over ssh with a key, and where both do not appear."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from src.common.errors import PackagingError
from src.common.job import Job
from src.process_webhook.sources import CodeSources, git_process
from tests.support.code import Objects, Vault, a_job, contents, problems
from tests.support.git_server import GitServer, serving
from tests.support.repos import Repo, new_repo

pytestmark = pytest.mark.integration

TOKEN = "ghp_hunter2hunter2"
BASIC = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
LOCATION = {"git_token_location": "aws:::ssm:/vcs/token"}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter3hunter3\n-----END OPENSSH PRIVATE KEY-----"

Serve = Callable[..., GitServer]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return new_repo(tmp_path / "served" / "repo", {"main.tf": "first", "infra/a.tf": "a"})


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def serve(repo: Repo, tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(authorization: str | None = BASIC, **options: Any) -> GitServer:
            server = GitServer(repo.folder.parent, authorization, **options)
            folder = Path(stack.enter_context(TemporaryDirectory(dir=tmp_path)))
            return stack.enter_context(serving(server, folder))

        yield start


def sources(
    job: Job,
    work: Path,
    server: GitServer | None = None,
    path: str = "",
    *,
    local: bool = True,  # the servers of these tests stand on this machine
) -> CodeSources:
    environ = {"PATH": path + os.environ["PATH"]}
    if server is not None:
        environ["GIT_SSL_CAINFO"] = str(server.certificate)
    secrets = Vault({"/vcs/token": TOKEN + "\n", "/vcs/key": KEY})
    store = Objects()
    return CodeSources(
        job, code_store=store, secrets=secrets, work=work, environ=environ, local=local
    )


def refused(job: Job, opened: CodeSources) -> dict[str, str]:
    with pytest.raises(PackagingError) as error:
        opened.pin(job)
    return problems(error.value)


def test_token_opens_a_private_repository(repo: Repo, serve: Serve, work: Path) -> None:
    server = serve()
    job = a_job(
        {}, {"git_folder": "infra"}, git_repo=server.url("repo"), git_ref="main", **LOCATION
    )

    with sources(job, work, server) as opened:
        commits = opened.pin(job)
        found = [contents(opened.code(order, commits)) for order in job.orders]

    assert commits == {f"{server.url('repo')} main": repo.git("rev-parse", "main")}
    assert found == [{"main.tf": "first", "infra/a.tf": "a"}] * 2
    assert {authorization for _, authorization in server.requests} == {BASIC}


def test_token_lies_nowhere_in_the_work_folder_and_in_no_argument(
    serve: Serve, work: Path, tmp_path: Path
) -> None:
    server = serve()
    arguments = tmp_path / "arguments"
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {arguments}\nPATH=${{PATH#*:}} exec git "$@"\n')
    wrapper.chmod(0o755)
    job = a_job({}, git_repo=server.url("repo"), **LOCATION)

    with sources(job, work, server, path=f"{wrapper.parent}:") as opened:
        code = opened.code(job.orders[0], opened.pin(job))
        files = [path for path in work.rglob("*") if path.is_file()]
        stored = b"".join(path.read_bytes() for path in files)

    assert len(files) > 3
    assert code is not None
    for haystack in (stored, arguments.read_bytes(), code):
        assert TOKEN.encode() not in haystack
        assert BASIC.split()[1].encode() not in haystack
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("fields", [{}, LOCATION], ids=["no token", "wrong token"])
def test_refused_login_is_a_problem_and_never_a_prompt(
    fields: dict[str, str], serve: Serve, work: Path
) -> None:
    server = serve("Basic something-else")
    job = a_job({}, git_repo=server.url("repo"), **fields)

    with sources(job, work, server) as opened:
        found = refused(job, opened)

    assert found.keys() == {"git_repo"}
    assert found["git_repo"].startswith(f"{server.url('repo')} cannot be read: ")
    assert "hunter2" not in str(found)


def test_token_goes_to_no_other_host(serve: Serve, work: Path) -> None:
    own, other = serve(), serve(None)
    job = a_job({}, {"git_repo": other.url("repo")}, git_repo=own.url("repo"), **LOCATION)

    with sources(job, work, own) as opened:
        found = refused(job, opened)  # each server has a certificate of its own

    assert found.keys() == {"orders[1].git_repo"}
    job = a_job({"git_repo": other.url("repo")}, git_repo=own.url("repo"), **LOCATION)
    with sources(job, work, other) as opened:
        assert opened.code(job.orders[0], opened.pin(job)) is not None
    assert {authorization for _, authorization in other.requests} == {None}


def test_unknown_certificate_is_refused(serve: Serve, work: Path) -> None:
    server = serve(None)
    job = a_job({}, git_repo=server.url("repo"))

    with sources(job, work) as opened:
        found = refused(job, opened)

    assert "certificate" in found["git_repo"]


def test_unknown_repository_is_named(serve: Serve, work: Path) -> None:
    server = serve()
    job = a_job({}, git_repo=server.url("nope"), **LOCATION)

    with sources(job, work, server) as opened:
        found = refused(job, opened)

    assert f"repository '{server.url('nope')}/' not found" in found["git_repo"]


def test_pin_holds_on_servers_that_hand_out_only_what_refs_point_at(
    repo: Repo, serve: Serve, work: Path
) -> None:
    server = serve(newest_protocol=False)
    first = repo.git("rev-parse", "HEAD")
    named = a_job({}, git_repo=server.url("repo"), git_ref="main", **LOCATION)
    exact = a_job({}, git_repo=server.url("repo"), git_ref=first, **LOCATION)
    with sources(named, work, server) as opened:
        commits = opened.pin(named)
    repo.commit({"main.tf": "second"})
    repo.commit({"main.tf": "third"})

    for job, pinned in ((named, commits), (exact, {f"{server.url('repo')} {first}": first})):
        with sources(job, work, server) as opened:
            assert contents(opened.code(job.orders[0], pinned))["main.tf"] == "first"


SSH = """\
#!/bin/sh
echo "$@" > {seen}/arguments
while [ $# -gt 2 ]; do
  if [ "$1" = -i ]; then stat -c %a "$2" > {seen}/mode; cp "$2" {seen}/key; fi
  shift
done
echo "$1" > {seen}/host
[ -s {seen}/key ] || {{ echo "git@host: Permission denied (publickey)." >&2; exit 255; }}
exec sh -c "$2"
"""


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """The folder where a stand-in for ssh notes what it was given; it lets in whoever has a key."""
    folder = tmp_path / "seen"
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text(SSH.format(seen=folder))
    (tmp_path / "bin" / "ssh").chmod(0o755)
    return folder


@pytest.mark.parametrize("form", ["ssh://git@host.example{}", "git@host.example:{}"])
def test_key_opens_a_repository_over_ssh(
    form: str, repo: Repo, seen: Path, work: Path, tmp_path: Path
) -> None:
    location = "aws:::secretsmanager:/vcs/key"
    job = a_job({}, git_repo=form.format(repo.folder), git_ssh_key_location=location)

    with sources(job, work, path=f"{tmp_path}/bin:") as opened:
        found = contents(opened.code(job.orders[0], opened.pin(job)))

    assert found["main.tf"] == "first"
    assert (seen / "mode").read_text() == "600\n"
    assert (seen / "key").read_text() == KEY + "\n"
    assert (seen / "host").read_text() == "git@host.example\n"
    arguments = (seen / "arguments").read_text()
    assert "hunter3" not in arguments
    assert "-F none" in arguments
    for option in ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=accept-new"):
        assert f"-o {option}" in arguments
    assert list(work.iterdir()) == []


def test_ssh_without_a_key_is_refused_by_the_host(
    repo: Repo, seen: Path, work: Path, tmp_path: Path
) -> None:
    job = a_job({}, git_repo=f"ssh://git@host.example{repo.folder}")

    with sources(job, work, path=f"{tmp_path}/bin:") as opened:
        found = refused(job, opened)

    assert "Permission denied (publickey)" in found["git_repo"]


def test_real_ssh_takes_our_options(work: Path, tmp_path: Path) -> None:
    """The stand-in would take any option; ask the real program about the ones we use."""
    git = CodeSources(
        a_job({}), code_store=Objects(), secrets=Vault(), work=work, environ=dict(os.environ)
    )
    with git as opened:
        command = opened._git(trusted=False)._environ["GIT_SSH_COMMAND"]

    asked = subprocess.run(
        ["sh", "-c", f"{command} -G host.example"], capture_output=True, text=True, check=False
    )

    if asked.returncode == 127:
        pytest.skip("no ssh")
    assert asked.returncode == 0, asked.stderr
    assert "stricthostkeychecking accept-new" in asked.stdout
    assert "batchmode yes" in asked.stdout


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "2130706433", "0x7f.1", "0"),  # this machine
        *("169.254.169.254", "169.254.170.2"),  # metadata and credentials of a platform
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
    ],
)
@pytest.mark.parametrize("form", ["https://{}/repo", "ssh://git@{}/repo", "git@{}:repo"])
def test_hosts_outside_the_public_internet_are_refused_unasked(
    form: str, host: str, work: Path, tmp_path: Path
) -> None:
    """A job could reach metadata services, or the network behind the function, by its code."""
    asked = tmp_path / "bin" / "git"
    asked.parent.mkdir()
    asked.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    asked.chmod(0o755)
    job = a_job({}, git_repo=form.format(host))

    with sources(job, work, path=f"{asked.parent}:", local=False) as opened:
        found = refused(job, opened)

    assert f"host {host} has the address" in found["git_repo"]
    assert "is not public" in found["git_repo"]
    assert not (tmp_path / "started").exists()


def test_git_connects_to_the_address_that_was_looked_at(
    serve: Serve, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that changes its address between look and use (DNS rebinding) gains nothing."""
    server = serve(None)
    looked: list[str] = []

    def looked_up(host: str, port: int) -> tuple[str, ...]:
        looked.append(f"{host}:{port}")
        return ("127.0.0.1",)

    monkeypatch.setattr(git_process, "public_addresses", looked_up)
    url = server.url("repo").replace("127.0.0.1", "name.invalid")  # known to no resolver
    job = a_job({}, git_repo=url)

    with sources(job, work, server, local=False) as opened:
        found = refused(job, opened)

    assert looked == [f"name.invalid:{server.port}"]
    assert "certificate" in found["git_repo"]  # it got through to the server, which is another's


def test_redirects_are_not_followed(serve: Serve, work: Path) -> None:
    there = serve(None)
    server = serve(None, redirect_to=there.url("repo"))
    job = a_job({}, git_repo=server.url("repo"))

    with sources(job, work, server) as opened:
        found = refused(job, opened)

    assert "redirects are not followed" in found["git_repo"]
    assert there.requests == []
