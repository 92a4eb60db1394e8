"""What the bridges rest on: one version of ministack, and the private functions that they replace.

Checked at every start, so another version does not half work; tests/integration has a test of what
each bridge does.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final

VERSION: Final = "1.5.33"

_PREFIX: Final = "ministack."
REPLACED: Final = {
    "app._dispatch_service_request": (
        "method", "path", "headers", "body", "query_params", "request_id"
    ),
    "core.iam_evaluator.enforce": (
        "access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"
    ),
    "services.codebuild._create_project": ("data",),
    "services.codebuild._delete_project": ("data",),
    "services.codebuild._project_shape": ("project",),
    "services.codebuild._start_build": ("data",),
    "services.codebuild._stop_build": ("data",),
    "services.codebuild._update_project": ("data",),
    "services.lambda_svc._build_function_url_event": (
        "url_id", "account_id", "region", "method", "path", "headers", "body", "query_params",
        "source_ip", "anonymous", "trace_root",
    ),
    "services.lambda_svc._execute_function_docker": ("func", "event", "request_id"),
    "services.stepfunctions._apply_result_selector": ("state_def", "data"),
    "services.stepfunctions._execute_task": ("state_def", "raw_input", "execution", "ctx"),
}  # fmt: skip
USED: Final = {
    "app._build_persistence_save_dict": (),
    "core.persistence.save_all": ("services",),
    "core.iam_evaluator.resolve_principal": ("access_key_id", "account_id", "credential"),
    "core.router.extract_access_key_id": ("headers", "query_params"),
    "core.responses.error_response_json": (
        "code",
        "message",
        "status",
        "extra",
        "message_key",
        "content_type",
    ),
    "core.responses.get_account_id": (),
    "core.responses.get_region": (),
    "services.codebuild._finish_build": ("build", "status"),
    "services.codebuild._log_sink": ("build",),
    "services.lambda_svc._execute_function_warm": ("func", "event", "request_id"),
    "services.stepfunctions._resolve_params_obj": ("template", "data", "ctx"),
    "services.sts.register_session": ("access_key", "session"),
}  # fmt: skip


class EmulatorChangedError(Exception):
    """Another ministack than the bridges were made for; the message lists every difference."""


def problems() -> list[str]:
    """Return what differs from what the bridges were made for."""
    installed = version("ministack")
    found = [] if installed == VERSION else [f"its version is {installed}, not {VERSION}"]
    for name, parameters in {**REPLACED, **USED}.items():
        expected = f"({', '.join(parameters)})"
        try:
            now = f"({', '.join(inspect.signature(_find(name)).parameters)})"
        except (ImportError, AttributeError, TypeError) as error:
            now = f"{type(error).__name__}: {error}"
        if now != expected:
            found.append(f"{name} is {now}, not {expected}")
    return found


def check() -> None:
    """Refuse another ministack.

    Raises:
        EmulatorChangedError: naming every difference.
    """
    if found := problems():
        raise EmulatorChangedError(
            "the bridges to ministack do not fit the one that is installed: " + "; ".join(found)
        )


def _find(name: str) -> Any:
    module, function = name.rsplit(".", 1)
    return getattr(import_module(_PREFIX + module), function)
