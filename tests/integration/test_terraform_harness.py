"""What finds and runs terraform for the plan tests, on stand-ins: no terraform is needed here."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.support.terraform import store
from tests.support.terraform.command import Terraform, TerraformFailedError
from tests.support.terraform.mirrors import PROVIDER, find_mirror
from tests.support.terraform.plan import Plan
from tests.support.terraform.responder import responder
from tests.support.terraform.sentences import hold_no_warnings
from tests.support.terraform.stages import DEPLOY, INFRA, case
from tests.support.terraform.toolchain import MissingError, Toolchain, cli_config

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
VERSION = '{"terraform_version": "1.9.9", "platform": "linux_amd64"}'
Script = Callable[[str], Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Make a program that stands for terraform."""

    def make(body: str) -> Path:
        path = tmp_path / "bin/terraform"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{textwrap.dedent(body)}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return make


@pytest.fixture
def environ(script: Script, tmp_path: Path) -> dict[str, str]:
    """A machine with a terraform on PATH and nothing else."""
    path = script(f"echo '{VERSION}'")
    return {"PATH": f"{path.parent}:/usr/bin:/bin", "HOME": str(tmp_path / "home")}


def put_provider(mirror: Path, version: str) -> Path:
    (mirror / PROVIDER / version / "linux_amd64").mkdir(parents=True)
    return mirror


def test_terraform_is_taken_from_path(environ: dict[str, str], tmp_path: Path) -> None:
    found = Toolchain.find(None, None, environ)

    assert (found.binary, found.version) == (str(tmp_path / "bin/terraform"), "1.9.9")


def test_option_and_variable_name_another_terraform(
    environ: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text(f"#!/bin/sh\necho '{VERSION}'\n")
    other.chmod(0o755)

    assert Toolchain.find(str(other), None, environ).binary == str(other)
    assert Toolchain.find(None, None, environ | {"TERRAFORM": str(other)}).binary == str(other)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"PATH": "/nowhere"}, "install Terraform 1.5 or newer"),
        ({"TERRAFORM": "/nowhere/terraform"}, "no terraform at /nowhere/terraform"),
        ({"TERRAFORM": "/bin/true"}, "does not answer `version -json`"),
    ],
)
def test_a_missing_terraform_is_named_with_its_remedy(
    environ: dict[str, str], given: dict[str, str], says: str
) -> None:
    with pytest.raises(MissingError, match=says):
        Toolchain.find(None, None, environ | given)


@pytest.mark.parametrize("version", ["0.15.5", "1.4.7"])
def test_a_terraform_that_is_too_old_is_named_with_its_remedy(
    environ: dict[str, str], script: Script, version: str
) -> None:
    script(f"""echo '{{"terraform_version": "{version}", "platform": "linux_amd64"}}'""")

    with pytest.raises(MissingError, match=rf"terraform {version}, the stages take 1\.5 or newer"):
        Toolchain.find(None, None, environ)


@pytest.mark.parametrize("version", ["1.5.0", "1.10.0-rc1", "2.0.0"])
def test_a_terraform_that_is_new_enough_is_taken(
    environ: dict[str, str], script: Script, version: str
) -> None:
    script(f"""echo '{{"terraform_version": "{version}", "platform": "linux_amd64"}}'""")

    assert Toolchain.find(None, None, environ).version == version


def test_the_named_mirror_comes_first_then_the_implied_ones_then_a_search(
    environ: dict[str, str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    searched = put_provider(home / "some/where", "5.1.0")
    found = find_mirror(environ, "linux_amd64", pin="5.1.0")
    assert found is not None
    assert (found.folder, found.found_by) == (searched, "found by search")

    implied = put_provider(home / ".terraform.d/plugins", "5.1.0")
    found = find_mirror(environ, "linux_amd64", pin="5.1.0")
    assert found is not None
    assert (found.folder, found.found_by) == (implied, "an implied mirror directory")

    named = put_provider(tmp_path / "named", "5.1.0")
    found = find_mirror(environ | {"TF_PROVIDER_MIRROR": str(named)}, "linux_amd64", pin="5.1.0")
    assert found is not None
    assert (found.folder, found.found_by) == (named, "named by TF_PROVIDER_MIRROR")


def test_versions_of_both_layouts_are_known_in_their_order(
    environ: dict[str, str], tmp_path: Path
) -> None:
    mirror = put_provider(put_provider(tmp_path / "m", "5.100.0"), "5.9.0")
    (mirror / PROVIDER / "terraform-provider-aws_6.1.0_linux_amd64.zip").touch()
    (mirror / PROVIDER / "terraform-provider-aws_6.2.0_darwin_arm64.zip").touch()

    found = find_mirror(environ | {"TF_PROVIDER_MIRROR": str(mirror)}, "linux_amd64")

    assert found is not None
    assert found.versions == ("5.9.0", "5.100.0", "6.1.0")


def test_a_named_mirror_without_the_provider_is_refused(
    environ: dict[str, str], tmp_path: Path
) -> None:
    mirror = put_provider(tmp_path / "m", "5.100.0")

    with pytest.raises(MissingError, match=rf"{tmp_path}/m: no {PROVIDER} 6.0.0 for linux_amd64"):
        Toolchain.find(None, "6.0.0", environ | {"TF_PROVIDER_MIRROR": str(mirror)})


def test_a_cli_configuration_that_exists_is_the_users_own(
    environ: dict[str, str], tmp_path: Path
) -> None:
    own = tmp_path / "own.tfrc"
    own.touch()

    found = Toolchain.find(None, None, environ | {"TF_CLI_CONFIG_FILE": str(own)})
    assert (found.config, found.mirror) == (str(own), None)
    gone = Toolchain.find(None, None, environ | {"TF_CLI_CONFIG_FILE": f"{own}.gone"})
    assert gone.config is None


def test_the_written_configuration_takes_the_provider_from_the_mirror_only() -> None:
    text = cli_config('/a "b"/mirror')

    assert 'path    = "/a \\"b\\"/mirror"' in text
    assert text.count(PROVIDER) == 2  # included there, excluded here


def test_a_command_that_hangs_is_killed_with_its_children(script: Script, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    binary = script(f"sleep 600 & echo $$ $! > {pids}; wait")

    with pytest.raises(TerraformFailedError, match="did not end within 1 s and was killed"):
        Terraform(tmp_path, str(binary), {"PATH": os.defpath}, limit_s=1).init()

    deadline = time.monotonic() + 10
    while any(alive(int(pid)) for pid in pids.read_text().split()):
        assert time.monotonic() < deadline, "it still runs"


def test_nothing_that_is_begun_after_the_kill_goes_on(script: Script, tmp_path: Path) -> None:
    terraform = Terraform(tmp_path, str(script("sleep 600")), {"PATH": os.defpath}, limit_s=30)

    terraform.kill()

    with pytest.raises(TerraformFailedError, match="ended with -9"):
        terraform.init()


def test_a_command_ends_with_the_tests_that_run_it_however_those_end(
    script: Script, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    binary = script(f"sleep 600 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait")
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.support.terraform.command import Terraform
Terraform(Path({str(tmp_path)!r}), {str(binary)!r}, {{"PATH": {os.defpath!r}}}).init()
"""
    tests = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 30
    while not pids.exists():
        assert time.monotonic() < deadline, "it did not begin"

    tests.kill()
    tests.wait()

    while any(alive(int(pid)) for pid in pids.read_text().split()):
        assert time.monotonic() < deadline, "it still runs"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("code", [1, 2, 3])
def test_every_exit_code_but_0_is_a_failure(script: Script, tmp_path: Path, code: int) -> None:
    binary = script(f"echo '│ Error: it broke' >&2; exit {code}")

    with pytest.raises(TerraformFailedError, match="terraform init: Error: it broke"):
        Terraform(tmp_path, str(binary), {"PATH": os.defpath}).init()


def test_the_responder_answers_what_a_plan_asks_and_refuses_the_rest_by_name() -> None:
    with responder() as url:
        scope = {"Authorization": "AWS4 Credential=plan/20260101/us-gov-west-1/sts/aws4_request"}
        identity = requests.post(
            url, data={"Action": "GetCallerIdentity"}, headers=scope, timeout=5
        )
        states = {"X-Amz-Target": "AWSStepFunctions.ValidateStateMachineDefinition"}
        valid = requests.post(url, data="{}", headers=states, timeout=5)
        other = requests.post(url, data={"Action": "DescribeVpcs"}, timeout=5)

    assert "arn:aws-us-gov:iam::123456789012" in identity.text
    assert valid.json()["result"] == "OK"
    assert other.status_code == 400
    assert "not DescribeVpcs" in other.json()["message"]


DEPRECATED = """
Warning: Argument is deprecated

  with aws_dynamodb_table.table["order_events"],
  on dynamodb.tf line 23, in resource "aws_dynamodb_table" "table":
  23: resource "aws_dynamodb_table" "table" {

%s is deprecated. Use %s instead.

(and one more similar warning elsewhere)
"""


def test_what_newer_providers_are_known_to_warn_of_is_no_failure_and_all_else_is() -> None:
    def plan(*words: str) -> Plan:
        return Plan(case(DEPLOY), {"text": DEPRECATED % words}, INFRA / DEPLOY)

    hold_no_warnings(plan("hash_key", "key_schema"))
    with pytest.raises(AssertionError, match=r"Argument is deprecated.*ttl is deprecated"):
        hold_no_warnings(plan("ttl", "expiry"))


def test_a_result_is_made_once_by_all_processes(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.support.terraform import store
def make():
    with open({str(tmp_path / "made")!r}, "a") as file:
        file.write("x")
    return [1]
print(store.make_once(Path({str(tmp_path / "result.json")!r}), make))
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]

    answers = [process.communicate(timeout=30)[0] for process in processes]

    assert answers == ["[1]\n"] * 4
    assert (tmp_path / "made").read_text() == "x"


def test_a_torn_result_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text('{"half')

    assert store.make_once(path, lambda: {"whole": True}) == {"whole": True}
    assert json.loads(path.read_text()) == {"whole": True}


@pytest.mark.parametrize("strict", [False, True])
def test_without_terraform_the_plan_tests_are_skipped_with_one_reason(
    *, strict: bool, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "plan", "-p", "no:cacheprovider"]
    env = {name: value for name, value in os.environ.items() if name != "STRICT"}
    done = subprocess.run(
        [*command, "--terraform=/nowhere/terraform", *(["--strict-layers"] if strict else [])],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip

    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("not run: ")
    assert " plan (no terraform at /nowhere/terraform, which --terraform or TERRAFORM" in last
    assert done.returncode == (1 if strict else 0), done.stdout[-2000:]
    assert "FAILED" not in done.stdout


def test_mutants_that_nobody_knows_are_not_taken_for_noticed() -> None:
    command = [sys.executable, "scripts/mutants.py", "--list", "--only"]
    known, unknown = (
        subprocess.run([*command, text], cwd=ROOT, capture_output=True, text=True, check=False)
        for text in ("01-ecr/main.tf", "01-ecr/mian.tf")
    )

    assert (known.returncode, unknown.returncode) == (0, 2)
    assert all(line.startswith("01-ecr/main.tf: ") for line in known.stdout.splitlines()[:3])
    assert "no mutant has '01-ecr/mian.tf' in its description" in unknown.stderr
