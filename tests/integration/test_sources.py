"""Code from local repositories (real git), from zips in buckets, and from the job itself."""

from __future__ import annotations

import io
import os
import stat
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import PackagingError, Permanent
from src.common.job import Job
from src.process_webhook.sources import CodeSources
from tests.support.code import Objects, Vault, a_job, contents, problems
from tests.support.repos import Repo, new_repo

pytestmark = pytest.mark.integration

Open = Callable[..., CodeSources]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return new_repo(tmp_path / "repo", {"main.tf": "first", "infra/a.tf": "a", "infra/b/c.tf": "c"})


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def git_calls(tmp_path: Path) -> Path:
    """A file that gets one line for each git that our code starts."""
    return tmp_path / "git-calls"


@pytest.fixture
def sources(work: Path, tmp_path: Path, git_calls: Path) -> Iterator[Open]:
    """Open the sources of a job, with a git that notes its arguments; nothing remains of them."""
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {git_calls}\nPATH=${{PATH#*:}} exec git "$@"\n')
    wrapper.chmod(0o755)
    git_calls.touch()
    environ = {"PATH": f"{wrapper.parent}:{os.environ['PATH']}"}
    opened: list[CodeSources] = []

    def open_sources(job: Job, **options: Any) -> CodeSources:
        stores = {"code_store": Objects(), "secrets": Vault()}
        fixed = {"local": True, "work": work, "environ": environ}
        found = CodeSources(job, **{**stores, **fixed, **options})
        opened.append(found.__enter__())
        return found

    yield open_sources
    for found in opened:
        found.__exit__(None, None, None)
    assert list(work.iterdir()) == []


def all_code(sources: CodeSources, job: Job) -> list[dict[str, str]]:
    commits = sources.pin(job)
    return [contents(sources.code(order, commits)) for order in job.orders]


def refused(action: Callable[[], object]) -> dict[str, str]:
    with pytest.raises(PackagingError) as error:
        action()
    return problems(error.value)


def test_code_is_the_commit_of_branch_tag_commit_or_head(repo: Repo, sources: Open) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "light")
    repo.git("tag", "--annotate", "heavy", "--message", "x")
    repo.git("checkout", "-q", "-b", "feature/x")
    second = repo.commit({"main.tf": "second"})
    repo.git("checkout", "-q", "main")
    third = repo.commit({"main.tf": "third"})
    expected = {
        "light": ("first", first),
        "heavy": ("first", first),
        first: ("first", first),
        "feature/x": ("second", second),
        "refs/heads/feature/x": ("second", second),
        "heads/feature/x": ("second", second),
        "main": ("third", third),
        "HEAD": ("third", third),
    }
    job = a_job(*({"git_ref": ref} for ref in expected), {}, git_repo=repo.url)

    found = sources(job)
    commits = found.pin(job)

    assert commits == {f"{repo.url} {ref}": commit for ref, (_, commit) in expected.items()}
    texts = [contents(found.code(order, commits))["main.tf"] for order in job.orders]
    assert texts == [*(text for text, _ in expected.values()), "third"]


def test_a_repository_without_a_file_is_an_empty_folder(tmp_path: Path, sources: Open) -> None:
    job = a_job({}, git_repo=new_repo(tmp_path / "empty", {}).url)

    assert all_code(sources(job), job) == [{}]


def test_branch_goes_before_tag_of_the_same_name(repo: Repo, sources: Open) -> None:
    repo.git("tag", "both")
    repo.git("checkout", "-q", "-b", "both")
    commit = repo.commit({"main.tf": "branch"})
    job = a_job({}, git_repo=repo.url, git_ref="both")

    assert sources(job).pin(job) == {f"{repo.url} both": commit}


def test_folder_is_no_pattern(repo: Repo, sources: Open) -> None:
    repo.commit({"[a]/x": "x", "a/y": "y", "-d/z": "z"})
    job = a_job(*({"git_folder": name} for name in ("[a]", "-d", "[b]")), git_repo=repo.url)
    opened = sources(job)
    commits = opened.pin(job)

    for order in job.orders[:2]:
        assert opened.code(order, commits) is not None
    assert (
        "no folder" in refused(lambda: opened.code(job.orders[2], commits))["orders[2].git_folder"]
    )


def test_what_lies_beside_the_folder_belongs_to_the_code(repo: Repo, sources: Open) -> None:
    """A terraform root that uses `../modules` is to work as in a checkout."""
    job = a_job(
        {"git_folder": "infra"},
        {"git_folder": "./infra/b/"},
        {"git_folder": "."},
        git_repo=repo.url,
    )

    everything = {"main.tf": "first", "infra/a.tf": "a", "infra/b/c.tf": "c"}
    assert all_code(sources(job), job) == [everything] * 3


def test_files_keep_modes_links_and_odd_names(repo: Repo, sources: Open) -> None:
    names = ["run.sh", "-x", "ünï cödé", "a:b", "[a]", ":(exclude)*", "line\nbreak"]
    (repo.folder / "link").symlink_to("infra/a.tf")
    repo.commit(dict.fromkeys(names, "text"), executable=("run.sh",))
    long = "/".join(["d" * 60] * 4)
    repo.commit({f"{long}/x": "long"})
    job = a_job({}, {"git_folder": long}, git_repo=repo.url)

    whole, _ = all_code(sources(job), job)

    assert {name: whole[name] for name in whole if "/" not in name} == {
        "main.tf": "first",
        "link": " -> infra/a.tf",
        "run.sh*": "text",
        **dict.fromkeys(names[1:], "text"),
    }
    assert whole[f"{long}/x"] == "long"


def test_files_are_as_committed_whatever_the_attributes_say(repo: Repo, sources: Open) -> None:
    attributes = "a.txt export-ignore\nb.txt export-subst\nc.txt filter=lfs -text\n"
    repo.commit({".gitattributes": attributes, "a.txt": "a", "b.txt": "$Format:%H$", "c.txt": "c"})
    job = a_job({}, git_repo=repo.url)

    (found,) = all_code(sources(job), job)

    assert (found["a.txt"], found["b.txt"], found["c.txt"]) == ("a", "$Format:%H$", "c")


def test_no_trace_of_git_is_in_the_code(repo: Repo, sources: Open) -> None:
    job = a_job({}, git_repo=repo.url)

    (found,) = all_code(sources(job), job)

    assert not any(part == ".git" for name in found for part in name.split("/"))


def test_submodules_are_left_out(repo: Repo, tmp_path: Path, sources: Open) -> None:
    module = new_repo(tmp_path / "module", {"secret.txt": "x"})
    repo.git("submodule", "--quiet", "add", module.url, "module")
    repo.commit({})
    job = a_job({}, git_repo=repo.url)

    (found,) = all_code(sources(job), job)

    assert ".gitmodules" in found
    assert not any(name.startswith("module") for name in found)


def test_neither_hooks_nor_settings_of_the_machine_take_part(
    repo: Repo, tmp_path: Path, work: Path, sources: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "hook-ran"
    template = tmp_path / "template" / "hooks"
    for hooks in (template, repo.folder / ".git" / "hooks", tmp_path / "home" / "hooks"):
        hooks.mkdir(parents=True, exist_ok=True)
        for name in ("reference-transaction", "post-checkout", "fsmonitor", "askpass"):
            (hooks / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
            (hooks / name).chmod(0o755)
    (tmp_path / "home" / ".gitconfig").write_text(
        f"[core]\n hooksPath = {template}\n askPass = {template}/askpass\n"
        f"[init]\n templateDir = {template.parent}\n"
        f'[url "file:///nowhere/"]\n insteadOf = {repo.url}\n'
    )
    config = (tmp_path / "home" / ".gitconfig").read_text()
    new_repo(work.parent / "work2", {}).git("config", "core.hooksPath", str(template))
    (work.parent / "work2" / ".git" / "config").write_text(config)
    job = a_job({}, git_repo=repo.url)
    monkeypatch.chdir(work.parent / "work2")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "GIT_TEMPLATE_DIR": str(template.parent),
        "GIT_CONFIG_PARAMETERS": f"'core.hooksPath={template}'",
        "GIT_ASKPASS": str(template / "askpass"),
        "GIT_DIR": str(repo.folder / ".git"),
    }

    (found,) = all_code(sources(job, environ=environ, work=work.parent / "work2"), job)

    assert found["main.tf"] == "first"
    assert not ran.exists()


def test_pin_holds_when_the_branch_moves(repo: Repo, sources: Open) -> None:
    job = a_job({}, git_repo=repo.url, git_ref="main")
    commits = sources(job).pin(job)
    repo.commit({"main.tf": "moved"})

    later = sources(job)

    assert contents(later.code(job.orders[0], commits))["main.tf"] == "first"


def test_commit_that_was_rewritten_away_is_named(repo: Repo, sources: Open) -> None:
    job = a_job({}, git_repo=repo.url, git_ref="main")
    commits = sources(job).pin(job)
    gone = repo.git("rev-parse", "HEAD")
    repo.git("checkout", "-q", "--orphan", "other")
    repo.commit({"main.tf": "rewritten"})
    repo.git("branch", "--force", "main")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "--quiet", "--prune=now")

    found = refused(lambda: sources(job).code(job.orders[0], commits))

    assert found.keys() == {"git_repo"}
    assert f"has no commit {gone}" in found["git_repo"]


def test_one_clone_serves_all_orders_of_a_commit(
    repo: Repo, sources: Open, git_calls: Path
) -> None:
    first = repo.git("rev-parse", "HEAD")
    orders: list[dict[str, Any]] = [
        *({} for _ in range(10)),
        *({"git_ref": "main"} for _ in range(10)),
        *({"git_ref": first, "git_folder": "infra"} for _ in range(10)),
    ]
    job = a_job(*orders, git_repo=repo.url)

    all_code(sources(job), job)

    started = [line.split()[0] for line in git_calls.read_text().splitlines()]
    assert {name: started.count(name) for name in started} == {
        "ls-remote": 1,
        "init": 1,
        "fetch": 1,
        "cat-file": 2,
        "archive": 1,
    }


def test_every_unknown_ref_and_unreachable_repository_is_named(
    repo: Repo, tmp_path: Path, sources: Open
) -> None:
    empty = new_repo(tmp_path / "empty")
    job = a_job(
        {},
        {"git_ref": "nope"},
        {"git_ref": "mai"},
        {"git_ref": "main"},
        {"git_ref": "abcdef1"},
        {"git_repo": "file:///nowhere/x"},
        {"git_repo": empty.url},
        {"git_repo": "https://127.0.0.1:9/x"},
        git_repo=repo.url,
        git_ref="gone",
    )

    found = refused(lambda: sources(job).pin(job))

    assert found.keys() == {
        "git_ref",
        "orders[1].git_ref",
        "orders[2].git_ref",
        "orders[4].git_ref",
        "orders[5].git_repo",
        "orders[7].git_repo",
    }
    assert found["orders[1].git_ref"] == f'{repo.url} has no branch or tag "nope"'
    assert found["orders[4].git_ref"].endswith("a commit needs all of its 40 digits")
    assert found["orders[5].git_repo"].startswith("file:///nowhere/x cannot be read: fatal: ")
    assert "127.0.0.1:9" in found["orders[7].git_repo"]


def test_unknown_commit_is_named(repo: Repo, sources: Open) -> None:
    job = a_job({"git_ref": "a" * 40}, git_repo=repo.url)

    found = refused(lambda: all_code(sources(job), job))

    assert found.keys() == {"orders[0].git_ref"}
    assert "a" * 40 in found["orders[0].git_ref"]


@pytest.mark.parametrize("folder", ["nope", "main.tf", "infra/a.tf", "infra/nope"])
def test_missing_folder_is_named(folder: str, repo: Repo, sources: Open) -> None:
    job = a_job({"git_folder": folder}, git_repo=repo.url, git_ref="main")

    found = refused(lambda: all_code(sources(job), job))

    assert found.keys() == {"orders[0].git_folder"}
    assert f'{repo.url} has no folder "{folder}" at main' in found["orders[0].git_folder"]


def test_link_that_leads_out_of_the_code_is_named(repo: Repo, sources: Open) -> None:
    (repo.folder / "infra" / "up").symlink_to("../main.tf")
    repo.commit({})
    job = a_job({}, git_repo=repo.url)
    opened = sources(job)
    inside = contents(opened.code(job.orders[0], opened.pin(job)))

    (repo.folder / "infra" / "out").symlink_to("../../secret")
    repo.commit({})
    opened = sources(job)
    found = refused(lambda: opened.code(job.orders[0], opened.pin(job)))

    assert inside["infra/up"] == " -> ../main.tf"
    assert "link 'infra/out' leads out of its folder" in found["git_repo"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda folder: (folder / os.fsdecode(b"caf\xe9.tf")).write_text("x"),
            r"'caf\udce9.tf' is no UTF-8",
        ),
        (lambda folder: (folder / "a\\b.tf").write_text("x"), r"'a\\b.tf' holds a backslash"),
        (
            lambda folder: (folder / "link").symlink_to(os.fsdecode(b"caf\xe9.tf")),
            "the target of link 'link' is no UTF-8",
        ),
    ],
    ids=["latin 1", "backslash", "link to latin 1"],
)
def test_name_that_cannot_be_in_a_zip_of_code_is_named(
    make: Callable[[Path], object], message: str, repo: Repo, sources: Open
) -> None:
    make(repo.folder)
    repo.commit({})
    job = a_job({}, git_repo=repo.url)
    opened = sources(job)

    found = refused(lambda: opened.code(job.orders[0], opened.pin(job)))

    assert message in found["git_repo"]


def test_file_urls_are_refused_by_git_too_where_they_are_not_allowed(
    repo: Repo, sources: Open
) -> None:
    job = a_job({}, git_repo=repo.url)

    found = refused(lambda: sources(job, local=False).pin(job))

    assert "transport 'file' not allowed" in found["git_repo"]


def test_git_that_hangs_is_ended_with_all_it_started(
    repo: Repo, tmp_path: Path, sources: Open
) -> None:
    pid = tmp_path / "pid"
    fake = tmp_path / "slow" / "git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\nsleep 300 & echo $! > {pid}\nwait\n")
    fake.chmod(0o755)
    job = a_job({}, git_repo=repo.url)
    environ = {"PATH": f"{fake.parent}:{os.environ['PATH']}"}

    found = refused(lambda: sources(job, environ=environ, timeout_s=0.5).pin(job))

    assert found["git_repo"].endswith("git ls-remote took over 0.5 s")
    until = time.monotonic() + 10
    while alive(int(pid.read_text())):
        assert time.monotonic() < until


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_missing_git_is_said(repo: Repo, tmp_path: Path, sources: Open) -> None:
    job = a_job({}, git_repo=repo.url)

    found = refused(lambda: sources(job, environ={"PATH": str(tmp_path)}).pin(job))

    assert "git cannot be started" in found["git_repo"]


def zipped(*entries: tuple[str | zipfile.ZipInfo, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries:
            archive.writestr(name, text)
    return buffer.getvalue()


def unix(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


ZIP = {"s3_location": "s3://bkt/a/code.zip"}


def test_zip_of_a_bucket_is_fetched_once_and_rerooted(sources: Open) -> None:
    data = zipped(
        ("main.tf", "x"),
        ("empty/", ""),
        (unix("run.sh", stat.S_IFREG | 0o755), "#!"),
        (unix("d/link", stat.S_IFLNK | 0o777), "../main.tf"),
    )
    store = Objects({"bkt/a/code.zip": data})
    job = a_job(ZIP, ZIP, ZIP)

    found = all_code(sources(job, code_store=store), job)

    assert (
        found == [{"main.tf": "x", "empty/": "", "run.sh*": "#!", "d/link": " -> ../main.tf"}] * 3
    )
    assert store.asked == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "reading s3://bkt/a/code.zip: not a sound zip"),
        (zipped(("a", "x" * 999))[:-40], "not a sound zip"),
        (zipped(("a", "x" * 999)).replace(b"K", b"k", 1), "not a sound zip"),
        (zipped(("../a", "x")), "entry '../a' leads out of its folder"),
        (zipped(("/a", "x")), "entry '/a' leads out of its folder"),
        (zipped((unix("a", stat.S_IFLNK), "/etc/passwd")), "link 'a' leads out of its folder"),
        (None, "s3://bkt/a/code.zip cannot be read: reading"),
    ],
    ids=["empty", "truncated", "damaged", "upwards", "absolute", "link", "missing"],
)
def test_zip_that_is_no_code_is_named(data: bytes | None, message: str, sources: Open) -> None:
    store = Objects({} if data is None else {"bkt/a/code.zip": data})
    job = a_job(ZIP, ZIP)
    opened = sources(job, code_store=store)

    for order in job.orders:
        found = refused(lambda order=order: opened.code(order, {}))
        assert found.keys() == {"orders[0].s3_location"}
        assert message in found["orders[0].s3_location"]
    assert store.asked == 1


def test_all_code_of_a_job_has_one_bound_whatever_it_comes_from(
    repo: Repo, sources: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = a_job(ZIP, {"git_repo": repo.url}, ZIP)
    store = Objects({"bkt/a/code.zip": zipped(("main.tf", "x"))})
    first = sources(job, code_store=store)
    commits = first.pin(job)
    sizes = [len(first.code(order, commits) or b"") for order in job.orders]

    def take(bound: int) -> list[str]:
        monkeypatch.setattr("src.process_webhook.sources.code.PACKED_CODE", bound)
        opened = sources(job, code_store=store)
        found: list[str] = []
        for order in job.orders:
            try:
                opened.code(order, commits)
            except PackagingError as error:
                found += [f"{path}: {message}" for path, message in problems(error).items()]
        return found

    assert take(sizes[0] + sizes[1]) == []  # the third order's is the first one's
    left = sizes[1] - 1
    [refusal] = take(sizes[0] + left)
    assert refusal.startswith(f"orders[1].git_repo: packing {repo.url} at HEAD: over the {left} ")


def test_inline_files_and_nothing_at_all(sources: Open) -> None:
    job = a_job(
        {"inline": {"main.tf": "ü", "d/run.sh": "#!/bin/sh\n"}},
        {"inline": {}},
        {},
    )
    opened = sources(job)

    assert opened.pin(job) == {}
    inline, empty, nothing = [opened.code(order, {}) for order in job.orders]
    assert contents(inline) == {"main.tf": "ü", "d/run.sh*": "#!/bin/sh\n"}
    assert contents(empty) == {}
    assert nothing is None


def test_missing_credential_is_named_before_git_is_asked(
    repo: Repo, sources: Open, git_calls: Path
) -> None:
    job = a_job({}, git_repo=repo.url, git_token_location="aws:::ssm:/gone")

    found = refused(lambda: sources(job).pin(job))

    assert found == {
        "git_token_location": 'SSM parameter "/gone" cannot be read: reading /gone: missing'
    }
    assert git_calls.read_text() == ""


def test_trouble_of_the_platform_is_raised_as_it_is(sources: Open) -> None:
    class Broken(Objects):
        def get(self, bucket: str, key: str) -> bytes:  # type: ignore[override]
            raise ConnectionError("platform")

    job = a_job(ZIP)

    with pytest.raises(ConnectionError):
        sources(job, code_store=Broken()).code(job.orders[0], {})
    assert not issubclass(ConnectionError, Permanent)
