"""What jobs may not name."""

import pytest

from src.common.clock import SystemClock
from src.common.errors import Permanent
from src.local.memory import MemoryBuckets, MemoryCodeStore, MemorySecrets
from src.process_webhook.reserved import JobCode, JobSecrets

pytestmark = pytest.mark.unit

OWN = "/iac-ci/webhook_secret"
WAYS = [
    OWN,
    "iac-ci/webhook_secret",
    f"{OWN}:3",
    f"arn:aws:ssm:eu-west-1:123456789012:parameter{OWN}",
    f"arn:aws:ssm:eu-west-1:123456789012:parameter{OWN}:label",
]


@pytest.mark.parametrize("path", WAYS)
def test_a_job_cannot_ask_for_the_webhooks_secret_in_any_way_that_ssm_takes(path: str) -> None:
    source = MemorySecrets(dict.fromkeys(WAYS, "the secret"))

    with pytest.raises(Permanent, match="the webhook's own secret"):
        JobSecrets(source, OWN).ssm(path)


def test_a_job_may_ask_for_any_other_parameter_and_secret() -> None:
    secrets = JobSecrets(MemorySecrets({"/iac-ci/webhook_secret2": "a", "name": "b"}), OWN)

    assert secrets.ssm("/iac-ci/webhook_secret2") == "a"
    assert secrets.secretsmanager("name") == "b"
    assert JobSecrets(MemorySecrets({"/x": "c"}), None).ssm("/x") == "c"


def test_a_job_cannot_name_what_lies_under_tmp_in_the_internal_bucket() -> None:
    buckets = MemoryBuckets()
    for bucket, key in (("internal", "tmp/exec/r/0001/exec.zip"), ("internal", "code/a.zip")):
        buckets.bucket(bucket, SystemClock()).put(key, b"zip")
    buckets.bucket("other", SystemClock()).put("tmp/b.zip", b"zip")
    code = JobCode(MemoryCodeStore(buckets), "internal")

    with pytest.raises(Permanent, match="iac-ci's own"):
        code.get("internal", "tmp/exec/r/0001/exec.zip")
    assert code.get("internal", "code/a.zip") == b"zip"
    assert code.get("other", "tmp/b.zip") == b"zip"
