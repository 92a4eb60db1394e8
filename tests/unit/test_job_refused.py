"""Every way in which a job is no job: named by field and value, all at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.errors import JobRefused, Problem
from src.common.job import parse_job

pytestmark = pytest.mark.unit

ORDER: dict[str, Any] = {"order_name": "a", "cmds": ["true"], "timeout": 60}
LONG = "x" * 200


def problems(raw: object, **options: Any) -> dict[str, str]:
    with pytest.raises(JobRefused) as refused:
        parse_job(raw, **options)
    return {problem.path: problem.message for problem in refused.value.problems}


def of_order(**fields: Any) -> dict[str, str]:
    return problems({"username": "ada", "orders": [{**ORDER, **fields}]})


def of_job(**fields: Any) -> dict[str, str]:
    return problems({"username": "ada", "orders": [ORDER], **fields})


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"timeout": 0}, "timeout", "must be greater than 0, got 0"),
        ({"timeout": -5}, "timeout", "must be greater than 0, got -5"),
        ({"timeout": "60"}, "timeout", 'must be a whole number, got "60"'),
        ({"timeout": True}, "timeout", "must be a whole number, got true"),
        ({"timeout": 1.5}, "timeout", "must be a whole number, got 1.5"),
        ({"timeout": None}, "timeout", "must be a whole number, got null"),
        ({"timeout": 541}, "timeout", "is over the 540 s that a worker Lambda can run"),
        ({"timeout": 10_801, "use_lambda": False}, "timeout", "is over the 10800 s"),
        ({"timeout": 10**30}, "timeout", "a very large number"),
        ({"use_lambda": 1}, "use_lambda", "must be true or false, got 1"),
        ({"must_succeed": "yes"}, "must_succeed", 'must be true or false, got "yes"'),
        ({"cmds": []}, "cmds", "must not be empty"),
        ({"cmds": "make"}, "cmds", 'must be a list, got "make"'),
        ({"cmds": ["a", 3]}, "cmds[1]", "must be text, got 3 (quote it)"),
        ({"cmds": [" "]}, "cmds[0]", "must not be empty"),
        ({"cmds": ["a\0b"]}, "cmds[0]", "NUL"),
        ({"cmds": ["é" * 70_000]}, "cmds[0]", "over 131071 bytes"),
        ({"order_name": "_x"}, "order_name", 'must not start with _, which is reserved, got "_x"'),
        ({"order_name": "_job"}, "order_name", "reserved"),
        ({"order_name": "../x"}, "order_name", "must be 1 to 80 of the characters"),
        ({"order_name": "a\nb"}, "order_name", r'got "a\nb"'),
        ({"order_name": "a\n"}, "order_name", r'got "a\n"'),
        ({"order_name": ""}, "order_name", 'got ""'),
        ({"order_name": LONG}, "order_name", "..."),
        ({"order_name": 5}, "order_name", "must be text, got 5"),
        ({"env": {"1A": "x"}}, "env.1A", "must be a variable's name"),
        (
            {"env": {"IAC_CI_X": "x"}},
            "env.IAC_CI_X",
            "must not start with IAC_CI_, which is reserved",
        ),
        ({"env": {"A": 80}}, "env.A", "must be text, got 80 (quote it)"),
        ({"env": {"A": "x\0"}}, "env.A", "NUL"),
        ({"env": ["A=b"]}, "env", "must be a map, got a list"),
        ({"git_repo": "ext::sh -c id"}, "git_repo", "must not hold spaces"),
        ({"git_repo": "ext::id"}, "git_repo", "must be an https or ssh URL"),
        ({"git_repo": "h:x::y"}, "git_repo", "must be an https or ssh URL"),
        ({"git_repo": "http://h/x"}, "git_repo", "must be an https or ssh URL, not http"),
        ({"git_repo": "HTTPS://h/x"}, "git_repo", "must be an https or ssh URL, not HTTPS"),
        ({"git_repo": "FILE:///etc"}, "git_repo", "must be an https or ssh URL, not FILE"),
        ({"git_repo": "--upload-pack=id"}, "git_repo", "must be an https or ssh URL"),
        ({"git_repo": "ssh://-oProxyCommand=id/x"}, "git_repo", "must be of the form ssh://"),
        ({"git_repo": "git@-oProxyCommand:x"}, "git_repo", "must be an https or ssh URL"),
        ({"git_repo": "/srv/repo"}, "git_repo", "must be an https or ssh URL"),
        ({"git_repo": "file:///srv/repo"}, "git_repo", "file URLs work in local runs only"),
        ({"git_repo": "https://h"}, "git_repo", "must be of the form https://host/path"),
        ({"git_repo": "https://h:99999/x"}, "git_repo", "no valid URL"),
        ({"git_repo": "https://h/x", "git_ref": "--upload-pack=id"}, "git_ref", "--upload-pack=id"),
        ({"git_repo": "https://h/x", "git_ref": "a..b"}, "git_ref", "must be a branch"),
        ({"git_repo": "https://h/x", "git_ref": "a b"}, "git_ref", "must be a branch"),
        ({"git_repo": "https://h/x", "git_ref": "x.lock"}, "git_ref", "must be a branch"),
        ({"git_repo": "https://h/x", "git_ref": "+main:x"}, "git_ref", "must be a branch"),
        ({"git_repo": "https://h/x", "git_folder": "../y"}, "git_folder", "must not lead out"),
        ({"git_repo": "https://h/x", "git_folder": "a/../../y"}, "git_folder", "must not lead out"),
        ({"git_repo": "https://h/x", "git_folder": "/etc"}, "git_folder", "relative"),
        ({"git_repo": "https://h/x", "git_folder": "/"}, "git_folder", "relative"),
        ({"git_repo": "https://h/x", "git_folder": "a\0"}, "git_folder", "control characters"),
        ({"git_folder": "x"}, "git_folder", "is given without a git_repo"),
        ({"git_ref": "x"}, "git_ref", "is given without a git_repo"),
        ({"inline": {"../x": ""}}, 'inline["../x"]', "must not lead out"),
        ({"inline": {"/x": ""}}, "inline./x", "relative"),
        ({"inline": {"a//b": ""}}, "inline.a//b", "plain relative path"),
        ({"inline": {"a/": ""}}, "inline.a/", "plain relative path"),
        ({"inline": {"": ""}}, 'inline[""]', "1 to 1024 bytes"),
        ({"inline": {"a": "", "a/b/c": ""}}, "inline.a/b/c", 'lies within "a", which is a file'),
        ({"inline": {LONG + LONG: ""}}, f'inline["{LONG[:60]}"...]', "a name of over 255 bytes"),
        ({"inline": {"a": 5}}, "inline.a", "must be text, got 5"),
        ({"inline": {"a": ""}, "s3_location": "s3://bkt/k.zip"}, "", "s3_location, inline"),
        ({"inline": {}, "git_repo": "https://h/x"}, "", "more than one source of code"),
        (
            {"s3_location": "s3://bkt/k.tar"},
            "s3_location",
            "must be s3://bucket/key.zip, the bucket with 3 to 63 of a-z 0-9 . -",
        ),
        ({"s3_location": "https://bkt/k.zip"}, "s3_location", "must be s3://bucket/key.zip"),
        ({"ssm_paths": ["/a/1"]}, "ssm_paths[0]", "would name the variable '1'"),
        ({"ssm_paths": ["/a/iac-ci-x"]}, "ssm_paths[0]", "would name the variable 'IAC_CI_X'"),
        ({"ssm_paths": ["/a b"]}, "ssm_paths[0]", "must be a path of the characters"),
        ({"ssm_paths": ["/a/"]}, "ssm_paths[0]", "would name the variable ''"),
        ({"ssm_paths": {"9X": "/a"}}, "ssm_paths.9X", "must be a variable's name"),
        ({"ssm_paths": {"X": 5}}, "ssm_paths.X", "must be text, got 5"),
        ({"ssm_paths": "/a"}, "ssm_paths", 'must be a list or a map, got "/a"'),
        ({"ssm_paths": ["/a/x", "/b/x"]}, "ssm_paths[1]", 'sets the variable "X"'),
        (
            {"ssm_paths": {"X": "/a"}, "secret_manager_paths": ["x"]},
            "secret_manager_paths[0]",
            'sets the variable "X", as orders[0].ssm_paths.X does',
        ),
        ({"queue_id": "\ud800"}, "queue_id", r"\ud800"),
        ({"cmds": ["\ud800"]}, "cmds[0]", "valid Unicode"),
        ({"env": {"A": "\ud800"}}, "env.A", "valid Unicode"),
        ({"inline": {"a": "\ud800"}}, "inline.a", "valid Unicode"),
        ({"git_repo": "https://h/\ud800"}, "git_repo", "valid Unicode"),
        ({"queue_id": ""}, "queue_id", "must be 1 to 128 printable characters"),
        ({"dependencies": "a"}, "dependencies", "must be a list"),
        ({"dependencies": [1]}, "dependencies[0]", "must be text"),
        ({"dependencies": ["a"]}, "dependencies", "is part of a cycle: a -> a"),
        ({"tiemout": 5}, "tiemout", 'is not a known field; did you mean "timeout"?'),
        ({"num": "0007"}, "num", "is not a known field"),
        ({"code": {}}, "code", "is not a known field"),
    ],
)
def test_field_of_an_order_is_refused(fields: dict[str, Any], path: str, message: str) -> None:
    found = of_order(**fields)

    joint = "" if path.startswith("[") or not path else "."
    assert list(found) == [f"orders[0]{joint}{path}"]
    assert message in next(iter(found.values()))


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"username": 5}, "username", "must be text, got 5"),
        ({"username": "a\nb"}, "username", "printable"),
        ({"username": "\ud800"}, "username", "printable"),
        ({"pr_number": 0}, "pr_number", "must be greater than 0, got 0"),
        ({"issue_number": "7"}, "issue_number", "must be a whole number"),
        ({"max_parallel": 0}, "max_parallel", "must be greater than 0"),
        ({"job_timeout": 79_201}, "job_timeout", "must be at most 79200, got 79201"),
        ({"presign_expiry": 43_201}, "presign_expiry", "must be at most 43200, got 43201"),
        ({"presign_expiry": 659}, "presign_expiry", "must be at least 660"),
        ({"pr_comment_search_tag": "a-->b"}, "pr_comment_search_tag", "would end the comment"),
        ({"flow_lable": "x"}, "flow_lable", 'did you mean "flow_label"?'),
        ({"zzz": 1}, "zzz", "is not a known field"),
        ({"a\nb": 1}, r'["a\nb"]', "is not a known field"),
        ({"orders": []}, "orders", "must hold 1 to 1000 orders, got 0"),
        ({"orders": {}}, "orders", "must hold 1 to 1000 orders, got 0"),
        ({"orders": 5}, "orders", "must be a list or a map, got 5"),
        ({"orders": None}, "orders", "must be a list or a map, got null"),
        ({"orders": [5]}, "orders[0]", "must be a map, got 5"),
        ({"orders": {"a": None}}, "orders.a", "must be a map, got null"),
    ],
)
def test_field_of_a_job_is_refused(fields: dict[str, Any], path: str, message: str) -> None:
    found = of_job(**fields)

    assert list(found) == [path]
    assert message in found[path]


@pytest.mark.parametrize("raw", [None, [], "x", 5, True])
def test_job_must_be_a_map(raw: object) -> None:
    assert problems(raw)[""].startswith("a job must be a map, got")


def test_missing_fields_are_named() -> None:
    assert problems({}) == {"username": "is required", "orders": "is required"}
    assert problems({"username": "a", "orders": [{}]}) == {
        "orders[0].order_name": "is required",
        "orders[0].cmds": "is required",
        "orders[0].timeout": "is required",
    }


def test_more_than_a_thousand_orders_are_refused() -> None:
    orders = [{**ORDER, "order_name": f"o{at}"} for at in range(1001)]

    assert problems({"username": "ada", "orders": orders}) == {
        "orders": "must hold 1 to 1000 orders, got 1001"
    }
    parse_job({"username": "ada", "orders": orders[:1000]})


@pytest.mark.parametrize("as_map", [False, True])
def test_of_too_many_orders_the_first_are_looked_at_each_by_itself(*, as_map: bool) -> None:
    orders: Any = [{**ORDER, "order_name": f"o{at}"} for at in range(1002)]
    orders[999] |= {"timeout": -1, "dependencies": ["o1001"]}
    orders[1001] |= {"timeout": -1}
    if as_map:
        orders = {order["order_name"]: order for order in orders}

    assert problems({"username": "ada", "orders": orders}) == {
        "orders": "must hold 1 to 1000 orders, got 1002",
        f"orders{'.o999' if as_map else '[999]'}.timeout": "must be greater than 0, got -1",
    }


def test_presign_expiry_is_measured_by_the_longest_timeout() -> None:
    orders = [ORDER, {**ORDER, "order_name": "b", "timeout": 9000, "use_lambda": False}]

    found = problems({"username": "ada", "orders": orders, "presign_expiry": 9599})

    assert found == {
        "presign_expiry": "must be at least 9600, the longest timeout (9000, of orders[1]) plus"
        " 10 minutes, got 9599"
    }


def test_timeout_that_is_refused_itself_says_nothing_about_presign_expiry() -> None:
    orders = [ORDER, {**ORDER, "order_name": "b", "timeout": 5000}]

    found = problems({"username": "ada", "orders": orders, "presign_expiry": 700})

    assert found.keys() == {"orders[1].timeout"}


def test_order_whose_name_is_taken_makes_no_cycle() -> None:
    orders = [ORDER, {**ORDER, "order_name": "b", "dependencies": ["a"]}]
    orders.append({**ORDER, "dependencies": ["b"]})

    assert problems({"username": "ada", "orders": orders}).keys() == {"orders[2].order_name"}


def test_name_used_twice_names_both_places() -> None:
    found = problems({"username": "ada", "orders": [ORDER, ORDER]})

    assert found == {"orders[1].order_name": '"a" is the name of orders[0] too'}


def test_unknown_dependency_names_the_nearest_order() -> None:
    orders = {"apply": {"cmds": ["x"], "timeout": 1, "dependencies": ["paln"]}, "plan": ORDER}
    orders["plan"] = {"cmds": ["x"], "timeout": 1}

    found = problems({"username": "ada", "orders": orders})

    assert found == {
        "orders.apply.dependencies[0]": 'no order is called "paln"; did you mean "plan"?'
    }


def test_key_and_name_of_an_order_must_agree() -> None:
    found = problems({"username": "ada", "orders": {"b": ORDER}})

    assert found == {"orders.b.order_name": 'must equal the key "b", got "a"'}


def test_every_cycle_is_spelled_out() -> None:
    needs = {
        "a": ["b"],
        "b": ["c", "a"],
        "c": ["a"],
        "d": ["d"],
        "e": ["a"],
        "f": ["g"],
        "g": ["f"],
    }
    orders = {name: {"cmds": ["x"], "timeout": 1, "dependencies": on} for name, on in needs.items()}

    with pytest.raises(JobRefused) as refused:
        parse_job({"username": "ada", "orders": orders})

    assert [str(problem).partition("cycle: ")[2] for problem in refused.value.problems] == [
        "a -> b -> a",
        "a -> b -> c -> a",
        "d -> d",
        "f -> g -> f",
    ]


def test_a_long_cycle_is_spelled_out_at_both_ends() -> None:
    orders = [
        {**ORDER, "order_name": f"o{at}", "dependencies": [f"o{(at + 1) % 1000}"]}
        for at in range(1000)
    ]

    found = problems({"username": "ada", "orders": orders})

    assert found["orders[0].dependencies"] == (
        "is part of a cycle: o0 -> o1 -> o2 -> o3 -> o4 -> o5 -> (989 more of 1000 orders)"
        " -> o995 -> o996 -> o997 -> o998 -> o999 -> o0"
    )


@pytest.mark.parametrize("length", [2, 12, 13, 14])
def test_a_cycle_that_can_be_read_is_spelled_out_in_full(length: int) -> None:
    orders = [
        {**ORDER, "order_name": f"o{at}", "dependencies": [f"o{(at + 1) % length}"]}
        for at in range(length)
    ]

    found = problems({"username": "ada", "orders": orders})["orders[0].dependencies"]

    assert ("more of" in found) is (length > 13)
    assert len(set(found.partition(": ")[2].split(" -> "))) == (length if length < 14 else 12)


def test_all_problems_show_at_once_even_beside_malformed_fields() -> None:
    found = problems(
        {
            "username": 5,
            "presign_expiry": 650,
            "max_paralel": 1,
            "orders": {
                "a": {"cmds": "x", "timeout": "1", "dependencies": ["b"]},
                "b": {"cmds": ["x"], "timeout": 60, "dependencies": ["a", "zz"]},
                "_c": 7,
            },
        }
    )

    assert set(found) == {
        "username",
        "presign_expiry",
        "max_paralel",
        "orders.a.cmds",
        "orders.a.timeout",
        "orders.b.dependencies[1]",
        "orders.a.dependencies",
        "orders._c",
    }


SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "raw",
    [
        {"git_repo": f"https://ada:{SECRET}@h/x"},
        {"git_repo": f"https://{SECRET}@h/x"},
        {"git_repo": f"ssh://git:{SECRET}@h/x"},
        {"git_repo": f"https://h/x?token={SECRET}"},
        {"git_repo": f"ada:{SECRET}@h/x"},
        {"git_repo": f"https://ada:{SECRET}@h:x/x"},
        {"git_repo": f"https://{SECRET}@h/x y"},
        {"git_token_location": SECRET},
        {"git_ssh_key_location": f"-----BEGIN {SECRET}"},
        {"env": {"A": f"{SECRET}\0"}},
        {"orders": [{**ORDER, "env": {"A": f"{SECRET}\0"}}]},
        {"orders": [{**ORDER, "git_repo": f"https://{SECRET}@h/x"}]},
        {"orders": [{**ORDER, "pasword": SECRET}]},
    ],
)
def test_what_may_be_a_credential_is_not_repeated(raw: dict[str, Any]) -> None:
    found = of_job(**raw)

    assert len(found) == 1
    assert SECRET not in str(found)


def test_bucket_that_nobody_admitted_is_named_with_the_variable() -> None:
    raw = {"username": "ada", "orders": [{**ORDER, "s3_location": "s3://my-code/k.zip"}]}

    found = problems(raw, code_buckets=["other"])["orders[0].s3_location"]

    assert "my-code" in found
    assert "code_bucket_arns" in found
    assert parse_job(raw, code_buckets=["my-code"]).orders[0].code is not None
    assert parse_job(raw, code_buckets=None).orders[0].code is not None


def test_file_urls_are_admitted_in_local_runs() -> None:
    raw = {"username": "ada", "orders": [ORDER], "git_repo": "file:///srv/repo"}

    assert parse_job(raw, file_urls=True).git_repo == "file:///srv/repo"


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/o/r.git",
        "https://h:8443/o/r",
        "ssh://git@h:22/o/r.git",
        "git@github.com:o/r.git",
        "h.example:r",
    ],
)
def test_usual_repository_urls_are_admitted(url: str) -> None:
    assert parse_job({"username": "ada", "orders": [ORDER], "git_repo": url}).git_repo == url


@pytest.mark.parametrize("ref", ["main", "feature/x-1", "v1.2.3", "refs/pull/7/head", "a" * 40])
def test_usual_refs_are_admitted(ref: str) -> None:
    raw = {"username": "ada", "orders": [ORDER], "git_repo": "https://h/x", "git_ref": ref}

    assert parse_job(raw).git_ref == ref


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("cmds", [1] * 10_001),
        ("dependencies", ["b"] * 10_001),
        ("env", {f"-{at}": 1 for at in range(10_001)}),
        ("inline", {f"/{at}": 1 for at in range(10_001)}),
        ("ssm_paths", {f"-{at}": 1 for at in range(10_001)}),
        ("secret_manager_paths", [1] * 10_001),
    ],
)
def test_entries_of_what_has_too_many_are_not_looked_at(field: str, given: Any) -> None:
    """Each wrong entry costs a kilobyte, and a body of 4 MiB holds two million."""
    found = of_order(**{field: given})

    message = f"must hold at most 10000 entries, not 10001, got a {_kind(given)}"
    assert found[f"orders[0].{field}"] == message
    assert not [path for path in found if path.startswith(f"orders[0].{field}.")]


def _kind(given: Any) -> str:
    return "map" if isinstance(given, dict) else "list"


def test_orders_beyond_the_limit_are_not_looked_at_one_by_one() -> None:
    """A body of 4 MiB holds a million of them."""
    found = problems({"username": "ada", "orders": [{}] * 1_000_000})

    assert found["orders"] == "must hold 1 to 1000 orders, got 1000000"
    assert "orders[999].cmds" in found
    assert "orders[1000].cmds" not in found


def test_answer_is_bounded_by_its_text_too() -> None:
    orders = {"é" * 100 + str(at): {"é" * 100 + str(n): 1 for n in range(50)} for at in range(200)}

    with pytest.raises(JobRefused) as refused:
        parse_job({"username": "ada", "orders": orders})

    told = refused.value.problems
    assert 500 < len(told) < 5000
    assert told[-1] == Problem("", f"there are more problems than these {len(told) - 1}")
    assert len(json.dumps([problem.as_dict() for problem in told])) < 3_000_000


def test_answer_is_bounded_whatever_the_body_holds() -> None:
    with pytest.raises(JobRefused) as refused:
        parse_job({"username": "ada", "orders": [ORDER], **{f"x{at}": 1 for at in range(9000)}})

    assert len(refused.value.problems) == 5001
    assert refused.value.problems[-1] == Problem("", "there are more problems than these 5000")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = [
    *("username", "orders", "env", "git_repo", "git_ref", "presign_expiry", "job_timeout"),
    *("order_name", "cmds", "timeout", "dependencies", "use_lambda", "inline", "s3_location"),
    *("ssm_paths", "secret_manager_paths", "git_folder", "git_token_location", "queue_id"),
]
TEXTS = st.sampled_from(["a", "b", "https://u:p@h/x", "s3://bkt/k.zip", "../x", "\0", "/a/b", "_x"])
VALUES = TEXTS | JSON | st.lists(TEXTS, max_size=3) | st.dictionaries(TEXTS, TEXTS, max_size=3)
MAPS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8)


@given(
    raw=JSON | MAPS, orders=st.none() | st.lists(MAPS, max_size=3) | st.dictionaries(TEXTS, MAPS)
)
def test_any_json_is_a_job_or_refused_with_a_printable_answer(raw: Any, orders: Any) -> None:
    if orders is not None and isinstance(raw, dict):
        raw = {"username": "ada", **raw, "orders": orders}

    found: tuple[Problem, ...] = ()
    try:
        parse_job(raw)
    except JobRefused as refused:
        found = (Problem("", str(refused)), *refused.problems)

    assert len(found) != 1
    assert json.dumps([problem.as_dict() for problem in found], ensure_ascii=False).encode()
