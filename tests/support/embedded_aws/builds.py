"""CodeBuild: a build runs its project's buildspec as a process, with the override of its variables.

ministack records a build as succeeded and drops the override, the token and some of a project's
settings. A build here has its role's credentials; its commands run in one shell, phase by phase,
until one fails.
"""

from __future__ import annotations

import contextvars
import copy
import hashlib
import json
import os
import secrets
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from typing import Any, Final

import yaml

PHASES: Final = ("install", "pre_build", "build", "post_build")
_KEPT: Final = ("queuedTimeoutInMinutes", "logsConfig")  # of a project, which ministack drops

Record = dict[str, Any]


class Builds:
    """Runs builds, and mends what ministack's CodeBuild lacks."""

    def __init__(self) -> None:
        from ministack.services import codebuild

        self._service: Any = codebuild
        self._create = codebuild._create_project
        self._delete = codebuild._delete_project
        self._shape = codebuild._project_shape
        self._start = codebuild._start_build
        self._stop = codebuild._stop_build
        self._update = codebuild._update_project
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._tokens: dict[tuple[str, str, str], tuple[str, Any]] = {}
        self._lock = threading.Lock()
        codebuild._create_project = self.create
        codebuild._delete_project = self.delete
        codebuild._project_shape = self.shape
        codebuild._start_build = self.start
        codebuild._stop_build = self.stop
        codebuild._update_project = self.update

    def create(self, data: Record) -> Any:
        """Create a project, with every setting."""
        answer = self._create(data)
        self._keep(data)
        return answer

    def update(self, data: Record) -> Any:
        """Update a project, which the provider names by its ARN."""
        answer = self._update(_by_name(data))
        self._keep(_by_name(data))
        return answer

    def delete(self, data: Record) -> Any:
        """Delete a project, which the provider names by its ARN."""
        return self._delete(_by_name(data))

    def shape(self, project: Record) -> Record:
        """Return a project as the API shows it."""
        return {
            **self._shape(project),
            **{key: project[key] for key in _KEPT if key in project},
        }

    def _keep(self, data: Record) -> None:
        project = self._service._projects.get(data.get("name", ""))
        if project is not None:
            project.update({key: data[key] for key in _KEPT if key in data})

    def start(self, data: Record) -> Any:
        """Start a build, once for a token; the same token with another request is refused."""
        from ministack.core.responses import error_response_json, get_account_id, get_region

        token = data.get("idempotencyToken")
        if not token:
            return self._begin(data)
        key = (get_account_id(), get_region(), token)
        asked = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
        with self._lock:
            if key not in self._tokens:
                self._tokens[key] = (asked, self._begin(data))
            before, answer = self._tokens[key]
        if before != asked:
            message = "The idempotency token was used with other parameters"
            return error_response_json("InvalidInputException", message, 400)
        return answer

    def _begin(self, data: Record) -> Any:
        status, headers, body = self._start(data)
        if status != 200:
            return status, headers, body
        build = self._service._builds[json.loads(body)["build"]["id"]]
        build.update(buildStatus="IN_PROGRESS", currentPhase="BUILD")
        build.pop("endTime", None)
        project = copy.deepcopy(self._service._projects[data["projectName"]])
        overrides = data.get("environmentVariablesOverride") or []
        declared = project.get("environment", {}).get("environmentVariables") or []
        names = {each["name"] for each in overrides}
        given = [each for each in declared if each["name"] not in names] + overrides
        build["environment"] = {**project.get("environment", {}), "environmentVariables": given}
        context = contextvars.copy_context()  # ministack's stores are the request's account's
        threading.Thread(
            target=context.run, args=(self._run, build, project, given), daemon=True
        ).start()
        return status, headers, json.dumps({"build": build}).encode()

    def _run(self, build: Record, project: Record, variables: list[dict[str, str]]) -> None:
        given = {each["name"]: each["value"] for each in variables}
        log = self._service._log_sink(build)
        with tempfile.TemporaryDirectory(prefix="build-") as folder:
            process = subprocess.Popen(
                ["bash", "-c", _script(project["source"]["buildspec"])],
                cwd=folder,
                env={**os.environ, **_credentials(build, project), **given},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._processes[build["id"]] = process
            limit = threading.Timer(project.get("timeoutInMinutes", 60) * 60, _end, [process])
            limit.daemon = True
            limit.start()
            for line in process.stdout or ():
                log(line.rstrip("\n"))
            code = process.wait()
            limit.cancel()
        self._processes.pop(build["id"], None)
        if build["buildStatus"] == "IN_PROGRESS":  # else it was stopped
            self._service._finish_build(build, "SUCCEEDED" if code == 0 else "FAILED")

    def stop(self, data: Record) -> Any:
        """Stop a build and its process."""
        answer = self._stop(data)
        if process := self._processes.get(data.get("id", "")):
            _end(process)
        return answer


def _by_name(data: Record) -> Record:
    return {**data, "name": str(data.get("name", "")).split("project/")[-1]}


def _script(buildspec: str) -> str:
    phases = yaml.safe_load(buildspec).get("phases", {})
    commands = [each for phase in PHASES for each in phases.get(phase, {}).get("commands", [])]
    return "\n".join(["set -e", *commands])


def _credentials(build: Record, project: Record) -> dict[str, str]:
    """Return the variables that a build gets, with a session of the project's role."""
    from ministack.core.responses import get_region
    from ministack.services import sts

    role = project["serviceRole"]
    account, name = role.split(":")[4], role.rsplit("/", 1)[-1]
    session = f"AWSCodeBuild-{build['id'].rsplit(':', 1)[-1]}"
    key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(), "of-a-build"
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
            "UserId": f"{name}:{session}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
        "AWS_REGION": get_region(),
        "AWS_DEFAULT_REGION": get_region(),
        "CODEBUILD_BUILD_ID": build["id"],
        "CODEBUILD_BUILD_ARN": build["arn"],
    }


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
