"""House rules of the HCL that no plan shows. `--infra DIR` looks at another copy of the stages."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.terraform.hcl import Block, blocks, of_kind, strings
from tests.support.terraform.stages import BOOTSTRAP, DEPLOY, ECR

pytestmark = pytest.mark.unit

# Which file holds what, as the specification names the files; the last five are additions.
FILES = {
    BOOTSTRAP: {"main.tf": ("aws_s3_bucket",)},
    ECR: {"main.tf": ("aws_ecr_",)},
    DEPLOY: {
        "main.tf": ("data.aws_caller_identity", "data.aws_partition", "data.aws_region"),
        "api_gateway.tf": ("aws_apigatewayv2_", "aws_lambda_permission.api"),
        "lambdas.tf": ("aws_lambda_function", "aws_lambda_permission.sns"),
        "step_functions.tf": ("aws_sfn_state_machine",),
        "dynamodb.tf": ("aws_dynamodb_table",),
        "s3.tf": (
            "aws_s3_bucket",
            "aws_s3_bucket_lifecycle_",
            "aws_s3_bucket_policy",
            "aws_s3_bucket_public_access_block",
            "aws_s3_bucket_server_side_encryption_",
            "data.aws_iam_policy_document.encrypted_transport",
        ),
        "s3_notifications.tf": ("aws_lambda_permission.s3", "aws_s3_bucket_notification"),
        "codebuild.tf": ("aws_codebuild_project",),
        "iam.tf": ("aws_iam_role", "data.aws_iam_policy_document"),
        "alarms.tf": ("aws_cloudwatch_metric_alarm",),
        "failures.tf": ("aws_sqs_queue",),
        "logs.tf": ("aws_cloudwatch_log_group",),
    },
}
CONSTRAINT = ">= 5.100, < 7.0"


def address(block: Block) -> str:
    prefix = "data." if block.kind == "data" else ""
    return prefix + ".".join(block.labels)


def home(stage: str, block: Block) -> str:
    """Return the file that a resource belongs to: of the longest beginning that fits."""
    found = [
        (len(start), file)
        for file, starts in FILES[stage].items()
        for start in starts
        if address(block).startswith(start)
    ]
    return max(found)[1] if found else "(no file is meant for it)"


def test_every_resource_lies_in_the_file_of_its_kind(stage: Path) -> None:
    entities = [block for block in blocks(stage) if block.kind in ("resource", "data")]

    misplaced = {
        f"{block.place}: {address(block)} belongs in {home(stage.name, block)}"
        for block in entities
        if block.path.name != home(stage.name, block)
    }
    assert misplaced == set()


def test_a_stage_has_the_specified_files_and_the_additions_only(stage: Path) -> None:
    found = {path.name for path in stage.glob("*.tf")} - {"backend.tf"}

    assert found == {*FILES[stage.name], "outputs.tf", "variables.tf"}
    assert (stage / "README.md").is_file()


@pytest.mark.parametrize("kind", ["variable", "output"])
def test_variables_and_outputs_are_alphabetical_in_their_file(stage: Path, kind: str) -> None:
    found = of_kind(stage, kind)

    assert [block.name for block in found] == sorted(block.name for block in found)
    assert {block.path.name for block in found} == {f"{kind}s.tf"}
    assert {block.kind for block in blocks(stage) if block.path.name == f"{kind}s.tf"} == {kind}


@pytest.mark.parametrize("kind", ["variable", "output"])
def test_every_variable_and_output_is_described(stage: Path, kind: str) -> None:
    undescribed = {
        f"{block.place}: {block.name}"
        for block in of_kind(stage, kind)
        if not re.fullmatch(r"\S.{8,}\.", str(block.body.get("description", "")))
    }

    assert undescribed == set()


def test_every_variable_says_its_type_and_whether_null_means_something(stage: Path) -> None:
    for block in of_kind(stage, "variable"):
        assert "type" in block.body, block.place
        nullable = block.body.get("nullable", True)
        assert nullable is ("default" in block.body and block.body["default"] is None), block.place


def test_every_validations_message_names_its_variable(stage: Path) -> None:
    for block in of_kind(stage, "variable"):
        for validation in block.children("validation"):
            assert validation["error_message"].startswith(f"{block.name} must "), block.place


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("account id", r"(?<!\d)\d{12}(?!\d)"),
        ("region", r"\b(af|ap|ca|cn|eu|il|me|mx|sa|us|us-gov)-[a-z]+-\d\b"),
        ("partition", r"arn:aws"),
        ("domain of a partition", r"amazonaws\.com\.cn|\.amazonaws\.com/"),
    ],
    ids=["account", "region", "partition", "domain"],
)
def test_no_literal_account_region_or_partition(stage: Path, what: str, pattern: str) -> None:
    def code(block: Block) -> list[str]:
        """The strings of a block, without what it tells people."""
        told = {block.body.get("description")} | {
            each.get("error_message") for each in block.children("validation")
        }
        return [text for text in strings(block.body) if text not in told]

    found = {
        f"{block.place}: {text}"
        for block in blocks(stage)
        for text in code(block)
        if re.search(pattern, text)
    }
    assert found == set(), f"a literal {what}"


def test_the_provider_is_pinned_to_what_is_tested(stage: Path) -> None:
    (terraform,) = of_kind(stage, "terraform")
    (providers,) = terraform.children("required_providers")

    expected = {"source": "hashicorp/aws", "version": CONSTRAINT}
    assert {name: value for name, value in providers.items() if name != "__is_block__"} == {
        "aws": expected
    }
    assert terraform.path.name == "main.tf"


def test_there_is_one_provider_block_in_main(stage: Path) -> None:
    (provider,) = of_kind(stage, "provider")

    assert (provider.name, provider.path.name) == ("aws", "main.tf")


def test_no_stage_has_a_backend(stage: Path) -> None:
    found = [
        block.place for block in of_kind(stage, "terraform") if {"backend", "cloud"} & {*block.body}
    ]

    assert found == []


def test_no_backend_tf_is_in_the_repository(stage: Path) -> None:
    command = ["git", "-C", str(stage), "ls-files", "--", "backend.tf"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    in_git = done.returncode == 0

    assert done.stdout == ""
    assert in_git or not (stage / "backend.tf").exists()


def test_no_attribute_that_only_one_major_version_of_the_provider_has(stage: Path) -> None:
    text = "\n".join(path.read_text() for path in stage.glob("*.tf"))

    assert re.findall(r"data\.aws_region\.\w+\.\w+", text) == []  # 6.x warns of `id` too


def test_nothing_is_counted(stage: Path) -> None:
    assert [block.place for block in blocks(stage) if "count" in block.body] == []


def test_lines_have_100_columns_at_most(stage: Path) -> None:
    long = [
        f"{path.name}:{number}"
        for path in stage.glob("*.tf")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if len(line) > 100
    ]

    assert long == []


@pytest.mark.parametrize(("kind", "column"), [("variable", "input"), ("output", "output")])
def test_the_readme_lists_every_input_and_output_and_no_other(
    stage: Path, kind: str, column: str
) -> None:
    text = (stage / "README.md").read_text()

    table = re.search(rf"^\| {column} \|.*\n((?:\|.*\n?)+)", text, re.MULTILINE)
    assert table is not None, f"a table of {column}s"
    listed = re.findall(r"^\| `(\w+)`", table[1], re.MULTILINE)
    assert sorted(listed) == sorted(block.name for block in of_kind(stage, kind))
