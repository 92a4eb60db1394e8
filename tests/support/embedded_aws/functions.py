"""Functions of images: their command runs from the source tree, in warm processes of its own.

ministack would start a container. Its runner for uploaded code does all that is wanted (processes
that stay warm, the role's credentials, time limits, logs), so an image's function is handed to it.
"""

from __future__ import annotations

import io
import threading
import zipfile
from typing import Any, Final

RUNTIME: Final = "python3.12"  # means this interpreter, whatever its version

Record = dict[str, Any]


class ImageFunctions:
    """Runs functions of package type Image."""

    def __init__(self, at_once: int) -> None:
        from ministack.services import lambda_svc

        self._at_once = at_once
        self._slots: dict[str, threading.BoundedSemaphore] = {}
        self._slots_lock = threading.Lock()

        self._docker = lambda_svc._execute_function_docker
        self._warm = lambda_svc._execute_function_warm
        self._delivery = threading.local()
        self._closed = False
        lambda_svc._execute_function_docker = self.execute

    def close(self) -> None:
        """Run nothing any more: the server ends."""
        self._closed = True

    def execute(self, func: Record, event: Any, request_id: str) -> Record:
        """Run an invocation; return its result as ministack's runners do."""
        config = func.get("config") or func
        if config.get("PackageType") != "Image":
            return dict(self._docker(func, event, request_id))
        if self._closed:
            return _failed("Runtime.ExitError", "the embedded AWS ends")
        command = _command(config)
        if not command:
            message = f"{config.get('FunctionName')}: its image_config has no command"
            return _failed("Runtime.InvalidEntrypoint", message)
        runnable = {**config, "Handler": command, "Runtime": RUNTIME}
        record = {**func, "config": runnable, "code_zip": _NO_CODE}
        with self._slot(config["FunctionName"]):
            return dict(self._warm(record, event, self._request_id(event, request_id)))

    def _slot(self, function: str) -> threading.BoundedSemaphore:
        """Return what an invocation waits for: a machine bears a few processes of a function.

        AWS would run a thousand, and queue asynchronous events beyond that.
        """
        with self._slots_lock:
            made = threading.BoundedSemaphore(self._at_once)
            return self._slots.setdefault(function, made)

    def _request_id(self, event: Any, new: str) -> str:
        """Return the id that the event's first attempt had: Lambda repeats an event under its id.

        ministack repeats in the thread of the first attempt, and with the very same event. What is
        neither map nor list (`null`, a number) may be the very same in two invocations.
        """
        repeated = getattr(self._delivery, "event", None) is event
        if not (repeated and isinstance(event, dict | list)):
            self._delivery.event, self._delivery.request_id = event, new
        return str(self._delivery.request_id)


def _command(config: Record) -> str:
    image = config.get("ImageConfigResponse", {}).get("ImageConfig") or config.get("ImageConfig")
    return str(((image or {}).get("Command") or [""])[0])


def _failed(kind: str, message: str) -> Record:
    return {"body": {"errorType": kind, "errorMessage": message}, "error": True, "log": message}


def _nothing() -> bytes:
    """Return an archive of next to nothing: the code comes by PYTHONPATH, from the source tree."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("image", "see PYTHONPATH")
    return archive.getvalue()


_NO_CODE: Final = _nothing()
