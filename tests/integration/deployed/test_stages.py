"""What was applied: a second plan changes nothing, outputs and settings are what they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from src.local.stack import ORCHESTRATOR
from tests.support.deployed.account import user
from tests.support.deployed.deployer import Deployer
from tests.support.deployed.endpoint import EndpointSite
from tests.support.deployed.site import Site
from tests.support.terraform.stages import STAGES
from tests.support.terraform.toolchain import Toolchain
from tests.support.terraform.workbench import Workbench

pytestmark = [pytest.mark.integration, pytest.mark.endpoint_only]


@pytest.fixture
def endpoint(site: Site) -> EndpointSite:
    assert isinstance(site, EndpointSite)
    return site


@pytest.mark.parametrize("stage", STAGES)
def test_a_second_plan_would_change_nothing(
    endpoint: EndpointSite, stage: str, tmp_path: Path
) -> None:
    applied = endpoint.applied
    bench = Workbench(Toolchain.from_json(applied.toolchain), tmp_path / "c", tmp_path / "r")
    deployer = Deployer(bench, endpoint.account, Path(applied.folder), applied.salt)
    if not deployer.has(stage):
        pytest.skip(f"the account had what {stage} makes, so it was not applied")

    assert deployer.plan_again(stage) == ""


def test_outputs_name_what_the_stack_is_described_as(endpoint: EndpointSite) -> None:
    stack, outputs = endpoint.stack, endpoint.applied.outputs

    assert outputs["lambda_function_arns"] == {
        key: stack.function_arn(key) for key in stack.functions
    }
    assert outputs["s3_bucket_names"] == {key: each.name for key, each in stack.buckets.items()}
    assert outputs["dynamodb_table_names"] == {key: each.name for key, each in stack.tables.items()}
    assert outputs["step_function_arn"] == stack.state_machine_arn
    assert outputs["codebuild_project_name"] == stack.build_project.name


def test_the_orchestrator_may_recur(endpoint: EndpointSite) -> None:
    name = endpoint.stack.functions[ORCHESTRATOR].name

    found = endpoint.clients.lambda_.get_function_recursion_config(FunctionName=name)

    assert found["RecursiveLoop"] == "Allow"


def test_the_state_of_the_stages_lies_in_the_bucket_of_the_first(endpoint: EndpointSite) -> None:
    bucket = f"iac-ci-state-{endpoint.applied.salt}"

    found = endpoint.account.client("s3").list_objects_v2(Bucket=bucket)

    held = {each["Key"] for each in found["Contents"]}
    assert "iac-ci/02-deploy/terraform.tfstate" in held


@pytest.mark.needs("iam")
def test_buckets_refuse_plain_http(endpoint: EndpointSite) -> None:
    """Whoever may do everything with the bucket may do nothing without TLS (a proxy's word)."""
    bucket = endpoint.stack.buckets["internal"].name
    grant = {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    with user(endpoint.account, grant) as who:
        s3 = endpoint.account.client_as("s3", who.access_key, who.secret_key, new=True)
        s3.put_object(Bucket=bucket, Key="tmp/over-tls", Body=b"")
        s3.meta.events.register("before-send.s3", _as_if_by_http)
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=bucket, Key="tmp/in-clear", Body=b"")


def _as_if_by_http(request: Any, **_: Any) -> None:
    request.headers["X-Forwarded-Proto"] = "http"
