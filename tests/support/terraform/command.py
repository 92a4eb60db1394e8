"""Terraform's command line through tftest, made safe: no call hangs, none sees the caller's setup.

tftest runs a command without a time limit, in the caller's environment, and takes exit code 3 (of
`fmt -check`) for success. It knows nothing of stages, mirrors or caches.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import tftest

LIMITS_S: Final = {"init": 300.0}  # it may download a provider of hundreds of megabytes
LIMIT_S: Final = 90.0  # of every other command; a plan takes 3 s

# A command shares its group with a keeper, who reads from a pipe that this process holds open. Once
# it is gone, however it went, the keeper kills the group: a provider would stay for ever.
_KEPT: Final = (
    'exec 3<&0 </dev/null; (read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 & exec "$@" 3<&-'
)
_FRAME: Final = re.compile(r"^[╷│╵] ?", re.MULTILINE)


class TerraformFailedError(Exception):
    """A command ended with an error, or did not end in time."""

    def __init__(self, command: str, text: str) -> None:
        super().__init__(f"terraform {command}: {text}")
        self.command = command
        self.text = text


class Terraform(tftest.TerraformTest):
    """Terraform in one folder, which belongs to the test.

    Args:
        folder: where the commands run.
        binary: the CLI.
        env: the commands' whole environment.
        limit_s: seconds for each command; None: the usual ones.
    """

    def __init__(
        self, folder: Path, binary: str, env: Mapping[str, str], limit_s: float | None = None
    ) -> None:
        super().__init__(str(folder), binary=binary)
        self.env = dict(env)
        self._limit_s = limit_s
        self._process: subprocess.Popen[str] | None = None
        self._killed = False

    def kill(self) -> None:
        """Kill the command that runs in another thread, and every one that is begun later."""
        self._killed = True
        if (process := self._process) is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def execute_command(self, cmd: str, *cmd_args: str) -> tftest.TerraformCommandOutput:
        """Run a command to its end.

        Raises:
            TerraformFailedError: it ended with another code than 0, or was killed at its limit.
        """
        code, out, err = self.run(cmd, *cmd_args)
        if code != 0:
            raise TerraformFailedError(cmd, explain(err or out) or f"ended with {code}")
        return tftest.TerraformCommandOutput(code, out, err)

    def run(self, cmd: str, *cmd_args: str) -> tuple[int, str, str]:
        """Run a command; return its exit code, output and errors."""
        limit = self._limit_s or LIMITS_S.get(cmd, LIMIT_S)
        kept, ours = os.pipe()
        process = subprocess.Popen(
            ["/bin/sh", "-c", _KEPT, "keeper", self.binary, cmd, *cmd_args],
            cwd=self.tfdir,
            env=self.env,
            stdin=kept,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # its providers end with it
        )
        os.close(kept)
        self._process = process
        if self._killed:  # maybe before there was a process to kill
            self.kill()
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise TerraformFailedError(
                cmd,
                f"did not end within {limit:g} s and was killed; its command line was "
                f"{' '.join([self.binary, cmd, *cmd_args])}",
            ) from None
        finally:
            self._process = None
            _end(process)
            os.close(ours)
        return process.returncode, out, err

    def plan_file(self, variables: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Plan with the given variables; return what terraform prints and the plan's JSON."""
        folder = Path(self.tfdir)
        (folder / "case.json").write_text(json.dumps(variables))
        options = tftest.parse_args(input=False, color=False, tf_var_file="case.json")
        text = self.execute_command("plan", *options, "-lock=false", "-out=plan.bin").out
        shown = self.execute_command("show", "-json", "plan.bin").out
        return text, dict(self._plan_formatter(shown))


def explain(text: str) -> str:
    """Return what terraform said, without its frames and colours."""
    return _FRAME.sub("", re.sub(r"\x1b\[[0-9;]*m", "", text)).strip()


def _end(process: subprocess.Popen[str]) -> None:
    """Kill what is left of the command's process group, and reap the command."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    process.wait()
