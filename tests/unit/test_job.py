"""What a checked job says: numbers, graph, clocks, sources of code."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.job import GitCode, InlineCode, Job, S3Code, digest, parse_job

pytestmark = pytest.mark.unit


def order(name: str, *needs: str, **fields: Any) -> dict[str, Any]:
    base = {"order_name": name, "cmds": ["true"], "timeout": 60, "dependencies": list(needs)}
    return {**base, **fields}


def job(*orders: dict[str, Any], **fields: Any) -> Job:
    return parse_job({"username": "ada", "orders": list(orders), **fields}, file_urls=True)


def test_orders_are_numbered_by_appearance_in_both_forms() -> None:
    as_list = job(order("b"), order("a"))
    entry = {"cmds": ["true"], "timeout": 60}
    as_map = parse_job({"username": "ada", "orders": {"b": entry, "a": entry}})

    for parsed in (as_list, as_map):
        assert parsed.numbers == {"b": "0001", "a": "0002"}
    assert [o.path for o in as_list.orders] == ["orders[0]", "orders[1]"]
    assert [o.path for o in as_map.orders] == ["orders.b", "orders.a"]


def test_graph_answers_in_numbers() -> None:
    parsed = job(order("c", "a", "b", "a"), order("a"), order("b", "a"))

    assert parsed.dependents("0002") == ("0001", "0003")
    assert [parsed.waits_for(num) for num in ("0001", "0002", "0003")] == [2, 0, 1]


def test_job_timeout_leaves_every_order_its_time_between_an_hour_and_22_hours() -> None:
    """Packaging, and along the longest path the start windows and the timeouts."""

    def build(timeout: int, *needs: str, name: str) -> dict[str, Any]:
        return order(name, *needs, timeout=timeout, use_lambda=False)

    short = job(order("a"), order("b", "a"))
    path = job(build(3000, name="a"), build(2000, "a", name="b"), build(900, name="c"))
    chain = [build(10_800, *([f"o{at - 1}"] if at else []), name=f"o{at}") for at in range(9)]

    assert (short.longest_path, short.effective_job_timeout) == (2 * (600 + 60), 3600)
    assert path.longest_path == 2 * 3600 + 3000 + 2000
    assert path.effective_job_timeout == 1200 + path.longest_path
    assert job(*chain).effective_job_timeout == 79_200
    assert job(order("a"), job_timeout=5).effective_job_timeout == 5


@pytest.mark.parametrize(
    ("use_lambda", "expiry", "window", "lifetime"),
    [
        (True, None, 600, 600 + 60 + 300),
        (False, None, 3600, 3600 + 60 + 300),
        (True, 660, 480, 660),
        (True, 780, 600, 780),
        (False, 1000, 820, 1000),
    ],
)
def test_url_outlives_window_and_timeout(
    use_lambda: bool, expiry: int | None, window: int, lifetime: int
) -> None:
    only = job(order("a", use_lambda=use_lambda), presign_expiry=expiry).orders[0]

    assert (only.start_window, only.url_lifetime) == (window, lifetime)
    assert only.start_window + only.timeout < only.url_lifetime


def test_environment_of_the_order_overrides_the_jobs() -> None:
    parsed = job(order("a", env={"A": "order"}), env={"A": "job", "B": "job"})

    assert parsed.plain_env(parsed.orders[0]) == {"A": "order", "B": "job"}


def test_code_comes_from_the_order_else_from_the_jobs_repository() -> None:
    parsed = job(
        order("own", git_repo="ssh://git@other.example/x"),
        order("inherited", git_folder="./infra/"),
        order("ref", git_ref="v1"),
        order("zip", s3_location="s3://my-bucket/a/b.zip"),
        order("inline", inline={"main.tf": ""}),
        order("empty", inline={}),
        order("same", git_repo="https://vcs.example/a"),
        git_repo="https://vcs.example/a",
        git_ref="main",
    )

    assert [o.code for o in parsed.orders] == [
        GitCode("ssh://git@other.example/x", trusted=False),
        GitCode("https://vcs.example/a", "main", "infra"),
        GitCode("https://vcs.example/a", "v1"),
        S3Code("my-bucket", "a/b.zip"),
        InlineCode({"main.tf": ""}),
        InlineCode({}),
        GitCode("https://vcs.example/a", "main"),
    ]
    assert job(order("a")).orders[0].code is None


def test_credentials_go_to_the_host_of_the_jobs_repository_alone() -> None:
    repos = [
        "https://vcs.example/b",
        "https://VCS.example/b",
        "git@vcs.example:b",
        "git@evil.example:b",
    ]

    parsed = job(
        *(order(f"o{at}", git_repo=repo) for at, repo in enumerate(repos)),
        git_repo="https://vcs.example/a",
    )
    without = job(order("a", git_repo="https://any.example/b"))

    assert [o.code.trusted for o in parsed.orders if isinstance(o.code, GitCode)] == [
        True,
        True,
        True,
        False,
    ]
    assert isinstance(without.orders[0].code, GitCode)
    assert without.orders[0].code.trusted


def test_chain_of_a_thousand_orders_is_no_problem() -> None:
    parsed = job(*(order(f"o{at}", *([f"o{at - 1}"] if at else [])) for at in range(1000)))

    assert parsed.longest_path == 1000 * (600 + 60)
    assert parsed.dependents("0001") == ("0002",)


def test_digest_ignores_the_order_of_keys_but_not_of_orders() -> None:
    one = {"username": "ada", "orders": {"a": {"x": 1, "y": 2}, "b": {}}}
    same = {"orders": {"a": {"y": 2, "x": 1}, "b": {}}, "username": "ada"}
    other = {"username": "ada", "orders": {"b": {}, "a": {"x": 1, "y": 2}}}

    assert digest(one) == digest(same) != digest(other)


@given(
    st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none(), max_size=5)
)
def test_digest_takes_any_json(value: dict[str, Any]) -> None:
    assert len(digest(value)) == 64
