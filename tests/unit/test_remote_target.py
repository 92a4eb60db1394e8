"""Which stack is meant: outputs of terraform, variables, and what is said outright."""

from __future__ import annotations

import json

import pytest

from src.common.errors import JobRefused
from src.remote.errors import NotNamed
from src.remote.target import PARTS, find

pytestmark = pytest.mark.unit

OUTPUTS = json.dumps(
    {
        "api_gateway_url": {"sensitive": False, "type": "string", "value": "https://api/webhook"},
        "dynamodb_table_names": {"value": {"orders": "o", "order_events": "e"}},
        "step_function_arn": {"value": "arn:aws-cn:states:cn-north-1:111122223333:stateMachine:w"},
    }
)


def test_outputs_name_parts_region_and_account() -> None:
    target = find(OUTPUTS, {})

    assert target.need("url") == "https://api/webhook"
    assert target.need("orders_table") == "o"
    assert (target.region, target.account) == ("cn-north-1", "111122223333")
    assert (
        target.arn("dynamodb", "table/o") == "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/o"
    )


def test_what_is_given_wins_over_outputs_and_those_over_variables() -> None:
    environ = {"IAC_CI_ORDERS_TABLE": "from-env", "IAC_CI_DONE_BUCKET": "from-env"}

    target = find(OUTPUTS, environ, url="https://given")

    assert target.need("url") == "https://given"
    assert target.need("orders_table") == "o"
    assert target.need("done_bucket") == "from-env"


def test_without_outputs_an_arn_says_what_is_not_known() -> None:
    target = find(None, {})

    assert target.arn("dynamodb", "table/o", region="eu-west-1") == (
        "arn:aws:dynamodb:eu-west-1:*:table/o"
    )


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_nobody_named_is_asked_for_by_output_and_variable(part: str) -> None:
    with pytest.raises(NotNamed) as error:
        find(None, {}).need(part)

    assert PARTS[part].output in str(error.value)
    assert PARTS[part].variable in str(error.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("orders: []", "is not JSON"),
        ("[]", "is not what"),
        ('{"api_gateway_url": "https://x"}', "is not what"),
        ('{"ecr_repo_url": {"value": "x"}}', "its outputs: ecr_repo_url"),
        ("{}", "its outputs: none"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_other_text_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(JobRefused, match=why):
        find(text, {})
