"""The server's process: `python -m tests.support.embedded_aws.server OPTIONS_AS_JSON`.

It ends on SIGTERM, on SIGINT and, if tied, when the process that holds its stdin ends. Whatever
ends it, it takes the processes that it started and its temporary files with it.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from src.worker import kin
from tests.support.embedded_aws import certificates
from tests.support.embedded_aws.options import HOST, KEY, Options

_INHERITED: Final = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT")
_END_S: Final = 5.0


def main() -> None:
    """Serve until told to end."""
    options = Options.from_json(sys.argv[1])
    files = options.files
    files.folder.mkdir(parents=True, exist_ok=True)
    lock = files.lock.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"an embedded AWS runs in {files.folder} already")
    kin.adopt_orphans()
    clear(options)
    files.temporary.mkdir()
    certificates.write(files)
    listener = _listener(options.port)
    port = listener.getsockname()[1]
    os.environ.update(_environment(options, port))
    for name in set(os.environ) - set(_environment(options, port)):
        del os.environ[name]
    try:
        asyncio.run(_serve(options, listener, port))
    finally:
        _end_processes()
        clear(options)


def clear(options: Options) -> None:
    """Remove what a server that was killed left behind; its state only if it is not to be kept."""
    files = options.files
    for folder in [files.temporary] if options.keep else [files.temporary, files.state]:
        shutil.rmtree(folder, ignore_errors=True)
    files.running.unlink(missing_ok=True)


def _listener(port: int) -> socket.socket:
    listener = socket.create_server((HOST, port), backlog=256)
    listener.set_inheritable(True)  # hypercorn takes it by its number
    return listener


def _environment(options: Options, port: int) -> dict[str, str]:
    """Return the server's whole environment; functions and builds start from it."""
    files = options.files
    home = files.temporary / "home"
    home.mkdir(exist_ok=True)
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "TMPDIR": str(files.temporary),
        # the image's part
        "PYTHONPATH": str(options.code),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(options.code),
        # the endpoint, for functions and builds
        "AWS_ENDPOINT_URL": f"https://{HOST}:{port}",
        "AWS_CA_BUNDLE": str(files.bundle),
        "REQUESTS_CA_BUNDLE": str(files.bundle),
        "SSL_CERT_FILE": str(files.bundle),
        "AWS_EC2_METADATA_DISABLED": "true",
        # ministack's settings
        "AUTH": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(files.certificate),
        "MINISTACK_SSL_KEY": str(files.certificate),
        "MINISTACK_REGION": options.region,
        "MINISTACK_ACCOUNT_ID": options.account,
        "SFN_WAIT_SCALE": str(options.wait_scale),
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": str(options.retry_s),
        "LAMBDA_WARM_TTL_SECONDS": str(options.warm_s),
        "PERSIST_STATE": str(int(options.keep)),
        "STATE_DIR": str(files.state / "services"),
        "S3_PERSIST": str(int(options.keep)),
        "S3_DATA_DIR": str(files.state / "s3"),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": "unix:///dev/null",  # it shall not look for containers
        "LOG_LEVEL": "WARNING",
    }


async def _serve(options: Options, listener: socket.socket, port: int) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    from tests.support.embedded_aws import contract

    contract.check()
    from ministack import app
    from ministack.core import persistence

    from tests.support.embedded_aws.access_log import AccessLog
    from tests.support.embedded_aws.builds import Builds
    from tests.support.embedded_aws.function_urls import FunctionUrls
    from tests.support.embedded_aws.functions import ImageFunctions
    from tests.support.embedded_aws.state_machines import ResultSelectors

    functions = ImageFunctions(options.at_once)
    Builds()
    FunctionUrls()
    ResultSelectors()
    if options.access_log:
        AccessLog(options.access_log)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.certfile = config.keyfile = str(options.files.certificate)
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    stop = _stop_event(options)
    serving = asyncio.create_task(serve(app.app, config, shutdown_trigger=asyncio.Event().wait))
    _announce(options, port)
    await asyncio.wait(
        [serving, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    if serving.done():
        serving.result()  # tells why
    # hypercorn would wait for clients to close their connections, asyncio for every thread that
    # runs an invocation: neither matters any more.
    functions.close()
    _end_processes()
    if options.keep:
        persistence.save_all(app._build_persistence_save_dict())
    clear(options)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _stop_event(options: Options) -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.tied:
        threading.Thread(target=_await_end, args=(loop, stop.set), daemon=True).start()
    return stop


def _await_end(loop: asyncio.AbstractEventLoop, then: Callable[[], object]) -> None:
    """Wait until nobody holds the other end of stdin."""
    with suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    with suppress(RuntimeError):  # the loop has ended already
        loop.call_soon_threadsafe(then)


def _announce(options: Options, port: int) -> None:
    files = options.files
    said: dict[str, Any] = {
        "pid": os.getpid(),
        "endpoint": f"https://{HOST}:{port}",
        "port": port,
        "ca": str(files.ca),
        "region": options.region,
        "account": options.account,
        "key": KEY,
        "keep": options.keep,
    }
    draft = files.running.with_suffix(".new")
    draft.write_text(json.dumps(said, indent=2))
    draft.replace(files.running)


def _end_processes() -> None:
    """End every process that was started from here."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + _END_S
        while left := [each for each in kin.descendants(frozenset()) if not each.zombie]:
            for each in left:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, number)
            if time.monotonic() > until:
                break
            time.sleep(0.02)


if __name__ == "__main__":
    main()
