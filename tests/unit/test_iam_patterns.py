"""IAM's wildcards and conditions, by the rules of its documentation."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.iam.patterns import covers_action, covers_arn, fixed_part, holds

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("pattern", "arn", "expected"),
    [
        ("*", "arn:aws:s3:::bucket/key", True),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a/b:c", True),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket", False),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket2/a", False),
        ("arn:aws:s3:::bucket/a?c", "arn:aws:s3:::bucket/abc", True),
        ("arn:aws:s3:::bucket/a?c", "arn:aws:s3:::bucket/ac", False),
        ("arn:aws:s3:::bucket/a.c", "arn:aws:s3:::bucket/abc", False),
        ("arn:aws:s3:::Bucket/*", "arn:aws:s3:::bucket/a", False),
        (
            "arn:aws:logs:*:1:log-group:g:*",
            "arn:aws:logs:eu:1:log-group:g:log-stream:s",
            True,
        ),
        ("arn:aws:logs:*:log-group:g", "arn:aws:logs:eu:1:log-group:g", False),
        ("arn:*:function:f", "arn:aws:lambda:eu-west-1:1:function:f", False),
    ],
)
def test_a_wildcard_stays_in_its_segment_and_the_last_holds_all(
    pattern: str, arn: str, expected: bool
) -> None:
    assert covers_arn(pattern, arn) is expected


def test_a_policy_variable_is_refused_rather_than_misread() -> None:
    with pytest.raises(NotImplementedError, match="username"):
        covers_arn("arn:aws:s3:::bucket/${aws:username}/*", "arn:aws:s3:::bucket/x/y")


def test_the_case_of_actions_means_nothing() -> None:
    assert covers_action("dynamodb:*", "dynamodb:GetItem")
    assert covers_action("S3:getobject", "s3:GetObject")
    assert not covers_action("s3:Get*", "s3:PutObject")


def test_the_fixed_part_ends_at_the_first_wildcard() -> None:
    assert fixed_part("arn:aws:s3:::b/tmp/?/*") == "arn:aws:s3:::b/tmp/"
    assert fixed_part("arn:aws:s3:::b") == "arn:aws:s3:::b"


ACCOUNT = {"StringEquals": {"aws:SourceAccount": "1"}}
PLAIN = {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({}, {}, True),
        (ACCOUNT, {"aws:SourceAccount": "1"}, True),
        (ACCOUNT, {"AWS:sourceaccount": "1"}, True),
        (ACCOUNT, {"aws:SourceAccount": "2"}, False),
        (ACCOUNT, {}, False),
        ({"StringEqualsIfExists": {"a": "1"}}, {}, True),
        ({"StringNotEquals": {"a": ["1", "2"]}}, {"a": "2"}, False),
        ({"StringNotEquals": {"a": ["1", "2"]}}, {}, True),
        ({"StringLike": {"a": ["x*", "y*"]}}, {"a": "yes"}, True),
        ({"ArnLike": {"a": "arn:aws:s3:::b*"}}, {"a": "arn:aws:s3:::bucket"}, True),
        ({**ACCOUNT, **PLAIN}, {"aws:SourceAccount": "1", "aws:SecureTransport": "true"}, False),
        (PLAIN, {"aws:SecureTransport": "false"}, True),
    ],
)
def test_a_condition_holds_when_each_clause_does(
    condition: dict[str, Any], context: dict[str, str], expected: bool
) -> None:
    assert holds(condition, context) is expected


def test_an_operator_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedError, match="IpAddress"):
        holds({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {})
