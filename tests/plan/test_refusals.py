"""Negative plans: each validation of a variable refuses its bad value, with its message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.terraform.hcl import of_kind
from tests.support.terraform.planner import Planner
from tests.support.terraform.stages import BOOTSTRAP, CASES, DEPLOY, ECR, STAGES, case

pytestmark = pytest.mark.plan

REGIONS = [
    "", "eu", "eu-west", "eu-west-", "eu--1", "e-west-1", "EU-WEST-1", "eu-west-1a", "eu-west-1 ",
]  # fmt: skip
BAD: dict[str, dict[str, list[Any]]] = {
    BOOTSTRAP: {
        "aws_region": REGIONS,
        "state_bucket_name": ["", "ab", "Some-State", "-state", "state-", "s" * 64, "a_b", "a/b"],
    },
    ECR: {"aws_region": REGIONS},
    DEPLOY: {
        "alarm_topic_arn": [
            "topic",
            "arn:aws:sns:eu-west-1:123:topic",
            "arn:aws:sqs:eu-west-1:123456789012:x",
            "arn:aws:sns:eu-west-1:123456789012:x.fifo",
            "arn::sns:eu-west-1:123456789012:x",
            " arn:aws:sns:eu-west-1:123456789012:x",
            "",
        ],
        "aws_region": REGIONS,
        "code_bucket_arns": [
            ["bucket"],
            ["arn:aws:s3:::bucket/*"],
            ["arn:aws:s3:::*"],
            ["arn:aws:s3:::good-one", "no"],
            ["arn:aws:s3:::ab"],
            [" arn:aws:s3:::bucket"],
        ],
        "ecr_repo": [
            "",
            "iac-ci",
            "https://host/iac-ci",
            "host/iac-ci:latest",
            "host/Iac",
            "host/",
            "host:/iac-ci",
        ],
        "image_tag": ["", ".latest", "-x", "a b", "a:b", "t" * 129],
        "log_retention_days": [0, 2, 13, 4000, -1],
        "permissions_boundary": [
            "boundary",
            "arn:aws:iam::123:policy/x",
            "arn:aws:iam::123456789012:role/x",
            "arn:aws:iam::123456789012:policy/",
            " arn:aws:iam::123456789012:policy/x",
            "",
        ],
        "salt": ["a b", "é", "s" * 65, "a/b"],
        "secret_path_prefix": ["", "/", "iac-ci", "/iac-ci/", "*/", "a//", "a b/", "a/*/"],
        "sns_topic_arns": [
            ["topic"],
            ["arn:aws:sns:eu-west-1:123456789012:*"],
            ["arn:aws:sns:eu-west-1:123456789012:x.fifo"],
            [" arn:aws:sns:eu-west-1:123456789012:x"],
            [""],
        ],
        "webhook_secret_parameter": ["", "/", "iac-ci/secret", "/a/*", "/a/", "/a//b"],
        "worker_ephemeral_storage_mb": [511, 10241, 1024.5, -1],
    },
}


RETENTIONS = [  # all that CloudWatch Logs offers
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
]  # fmt: skip

# Values on the good side of an edge: a validation that refuses too much is as wrong.
GOOD: dict[str, dict[str, list[Any]]] = {
    BOOTSTRAP: {
        "aws_region": ["us-gov-west-1", "ap-southeast-2", "us-isob-east-1"],
        "state_bucket_name": ["a-1", "s" * 63],
    },
    ECR: {"aws_region": ["us-gov-west-1", "ap-southeast-2", "us-isob-east-1"]},
    DEPLOY: {
        "alarm_topic_arn": [None, "arn:aws-cn:sns:cn-north-1:123456789012:A_b-3"],
        "aws_region": ["us-gov-west-1", "ap-southeast-2", "us-isob-east-1"],
        "code_bucket_arns": [[], ["arn:aws:s3:::abc", f"arn:aws-cn:s3:::{'s' * 61}.0"]],
        "ecr_repo": ["localhost:5000/iac-ci", "1.dkr.ecr.cn-north-1.amazonaws.com.cn/a/b_c/d.e-f"],
        "image_tag": ["_", "T" * 128, "v1.2-3_x"],
        "log_retention_days": RETENTIONS,
        "permissions_boundary": [
            None,
            "arn:aws:iam::aws:policy/a/b",
            "arn:aws:iam::123456789012:policy/x",
        ],
        "salt": ["", "s" * 64, "a.b_c-D1"],
        "secret_path_prefix": ["a/", "a_b/c.d/E-1/"],
        "sns_topic_arns": [[], ["arn:aws:sns:eu-west-1:123456789012:A_b-3"]],
        "webhook_secret_parameter": ["/a", "/a_b/c.d/E-1"],
        "worker_ephemeral_storage_mb": [512, 10_240],
    },
}


VALIDATED = [
    pytest.param(stage, name, marks=pytest.mark.stage(stage), id=f"{stage}-{name}")
    for stage, variables in BAD.items()
    for name in variables
]


def rounds(stage: str) -> list[dict[str, Any]]:
    """Return sets of variables, in each of which every variable has its next bad value.

    Terraform refuses all bad variables of a plan at once, each for itself; so a stage takes as many
    plans as a variable has bad values at most. A variable that has no more of them is good again.
    """
    good, bad = dict(case(stage).variables), BAD[stage]
    return [good | each for each in turns(bad)]


def turns(values: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return the first value of every variable, the second of every one that has it, ..."""
    return [
        {name: given[turn] for name, given in values.items() if turn < len(given)}
        for turn in range(max(map(len, values.values())))
    ]


def refused(answers: Sequence[str]) -> list[dict[str, str]]:
    """Return what was said of which variable in each answer; nothing but variables is refused."""
    found = []
    for answer in answers:
        errors = [" ".join(each.split()) for each in answer.split("Error: ")[1:]]
        names = [re.search(r"\bvar\.(\w+) is ", each) for each in errors]
        said = {match[1]: each for match, each in zip(names, errors, strict=True) if match}
        assert len(said) == len(errors), answer
        found.append(said)
    return found


@pytest.mark.parametrize(("stage", "name"), VALIDATED)
def test_validation_refuses_bad_values_with_its_message(
    planner: Planner, stage: str, name: str
) -> None:
    block = next(each for each in of_kind(planner.infra / stage, "variable") if each.name == name)
    (validation,) = block.children("validation")

    answers = refused(planner.refusals(stage, rounds(stage)))

    for value, said in zip(BAD[stage][name], answers, strict=False):
        at = f"{name} = {value!r} ({block.place})"
        assert name in said, f"{at} was not refused"
        assert said[name].startswith("Invalid value for variable"), f"{at}: {said[name]}"
        words = validation["error_message"]
        assert words in said[name], f"{at} was refused in other words: {said[name]}"
    for said in answers[len(BAD[stage][name]) :]:
        assert name not in said, f"a good value was refused: {said[name]}"


@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=pytest.mark.stage(stage)) for stage in STAGES]
)
def test_every_validation_has_bad_values_here(planner: Planner, stage: str) -> None:
    blocks = of_kind(planner.infra / stage, "variable")

    validated = {each.name for each in blocks if each.children("validation")}
    assert validated == set(BAD[stage])
    unchecked = {each.name: each.body["type"] for each in blocks if each.name not in validated}
    assert {*unchecked.values()} <= {"bool"}, f"variables without a validation: {unchecked}"


@pytest.mark.parametrize(
    "given",
    [pytest.param(each, marks=pytest.mark.stage(each.stage), id=str(each)) for each in CASES],
)
def test_good_values_are_taken(planner: Planner, given: Any) -> None:
    assert planner.refusals(given.stage, [given.variables]) == [""]


@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=pytest.mark.stage(stage)) for stage in STAGES]
)
def test_values_on_the_good_side_of_an_edge_are_taken(planner: Planner, stage: str) -> None:
    assert set(GOOD[stage]) == set(BAD[stage])
    given = [dict(case(stage).variables) | each for each in turns(GOOD[stage])]

    for variables, said in zip(given, planner.refusals(stage, given), strict=True):
        assert said == "", f"{variables} were refused: {said}"


@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=pytest.mark.stage(stage)) for stage in STAGES]
)
def test_null_is_refused_where_it_means_nothing(planner: Planner, stage: str) -> None:
    required = dict(case(stage).variables)

    answers = planner.refusals(stage, [{**required, name: None} for name in required])

    for name, said in zip(required, answers, strict=True):
        assert name in said, f"{name} = null was taken"
