"""Plans each case once for all tests, processes and runs.

A failure is told in full to the first test that meets it, and in a line to the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.support.terraform import store
from tests.support.terraform.command import TerraformFailedError
from tests.support.terraform.mirrors import MIRROR_VARIABLE
from tests.support.terraform.plan import Plan
from tests.support.terraform.stages import INFRA, Case, sources
from tests.support.terraform.toolchain import MissingError, Toolchain
from tests.support.terraform.workbench import LOCK_FILE, Workbench, harness

_UNREACHABLE: Final = re.compile(
    r"could not connect|failed to request discovery|failed to retrieve|no such host|"
    r"connection refused|timeout|timed out|network is unreachable|proxyconnect|did not end within",
    re.IGNORECASE,
)


_T = TypeVar("_T")


class PlanFailedError(Exception):
    """A stage cannot be planned; the message names the cause and how to see it."""


class Planner:
    """Makes plans with one toolchain.

    Args:
        toolchain: which terraform and provider.
        cache: a folder that outlives the run.
        run: a folder of this run, shared by its processes.
        infra: the folder of the stages.
    """

    def __init__(self, toolchain: Toolchain, cache: Path, run: Path, infra: Path = INFRA) -> None:
        self.toolchain, self.cache, self.infra = toolchain, cache, infra.absolute()
        self.bench = Workbench(toolchain, cache, run)
        self._run = run
        self._plans: dict[str, Plan] = {}

    def plan(self, case: Case) -> Plan:
        """Return the case's plan.

        Raises:
            MissingError: the provider is not to be had.
            PlanFailedError: terraform refuses the stage.
        """
        name = str(case)
        if name not in self._plans:
            made = self._planned(case)
            self._plans[name] = Plan(case, made, self.infra / case.stage)
        return self._plans[name]

    def refusals(self, stage: str, given: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return with which words terraform refuses each set of variables; empty: it takes it.

        A validation refers to its variable alone, so variables.tf is planned by itself: without a
        provider that takes no time.
        """
        path = self.infra / stage / "variables.tf"
        files = {path.name: path.read_text()}
        key = store.digest(harness(), self.toolchain.version, files, [dict(each) for each in given])

        def make() -> list[str]:
            return [self.bench.refusal(files, each) for each in given]

        return list(store.make_once(self.cache / f"refusals-{key}.json", make))

    def once(self, name: str, inputs: Any, make: Callable[[], Any]) -> Any:
        """Return what `make` answers, kept between runs under a key of its inputs."""
        return store.make_once(self.cache / f"{name}-{store.digest(inputs)}.json", make)

    def _planned(self, case: Case) -> dict[str, Any]:
        files = sources(self.infra / case.stage)

        def make() -> dict[str, Any]:
            return self.bench.make_plan(case, files, init)

        def get() -> dict[str, Any]:
            lock = (init / LOCK_FILE).read_text()
            key = store.digest(init.name, lock, files, dict(case.variables), case.workspace)
            return dict(store.make_once(self.cache / f"plan-{key}.json", make))

        init: Path = self._told_once(
            case.stage, case, lambda: self.bench.initialised(case.stage, files)
        )
        return self._told_once(str(case), case, get)

    def _told_once(self, what: str, case: Case, get: Callable[[], _T]) -> _T:
        told = self._run / f"failed {what}.json"
        with store.locked(told.with_suffix(".lock")):
            failure = store.read(told)
            if failure is not None:
                raise (
                    MissingError(failure["missing"])
                    if failure["missing"]
                    else PlanFailedError(
                        f"{what}: terraform {failure['command']} failed; "
                        "the first test that met it tells why"
                    )
                )
            try:
                return get()
            except TerraformFailedError as error:
                missing = self._missing(error)
                store.write(told, {"command": error.command, "missing": missing})
                if missing:
                    raise MissingError(missing) from None
                raise PlanFailedError(self._message(what, case, error)) from None

    def _missing(self, error: TerraformFailedError) -> str:
        """Return that the provider is not to be had, if that is why `init` failed."""
        chain = self.toolchain
        if error.command != "init" or chain.mirror or not _UNREACHABLE.search(error.text):
            return ""
        return (
            f"no aws provider: {chain.origin} did not answer; unpack one into a filesystem mirror "
            f"and name that with {MIRROR_VARIABLE}"
        )

    def _message(self, what: str, case: Case, error: TerraformFailedError) -> str:
        return (
            f"{what}: terraform {error.command} failed\n\n{error.text}\n\n"
            f"{self.toolchain.header}\nto see it: {case.to_see_it(self.infra)}"
        )
