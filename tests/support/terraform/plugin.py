"""pytest's side of the plans: options, the header, fixtures and what is skipped.

The controlling process looks around on the machine once and hands what it found to the workers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.terraform.stages import CASES, INFRA, PLAIN, STAGES, Case, case
from tests.support.terraform.toolchain import MissingError, Toolchain

if TYPE_CHECKING:  # other layers' runs do not wait for these
    from tests.support.terraform.plan import Plan
    from tests.support.terraform.planner import Planner

TOOLCHAIN: Final = pytest.StashKey[Toolchain | str]()
_TIMEOUT_S: Final = 420  # a first init may download; every terraform call has its own limit

MakePlan = Callable[..., "Plan"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("terraform", "plans of the stages in infra/")
    group.addoption("--stage", choices=STAGES, help="plan tests of this stage only")
    # A path goes after `=`: pytest takes a path that stands alone for one that has tests.
    group.addoption("--terraform", metavar="PATH", help="the CLI (or TERRAFORM; default: on PATH)")
    group.addoption("--provider", metavar="X.Y.Z", help="the AWS provider's version, or newest")
    group.addoption("--infra", metavar="DIR", default=str(INFRA), help="where the stages lie")
    group.addoption("--show-plan", action="store_true", help="print the plan of --stage too")
    names = sorted({each.name for each in CASES})
    group.addoption("--case", choices=names, default=PLAIN, help="the case that --show-plan prints")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "stage(name): a plan test of that stage")
    if hasattr(config, "workerinput"):
        found = config.workerinput["terraform"]
        config.stash[TOOLCHAIN] = found[1] if found[0] else Toolchain.from_json(found[1])
    elif config.option.markexpr != "unit":
        config.stash[TOOLCHAIN] = _find(config)
    if not _to_show(config.option.stage, config.option.case):
        raise pytest.UsageError(f"{config.option.stage} has no case {config.option.case}")
    if config.option.markexpr == "plan" and config.option.durations is None:
        config.option.durations = 10


def _find(config: pytest.Config) -> Toolchain | str:
    option = config.option
    try:
        pin = None if option.provider == "newest" else option.provider
        return Toolchain.find(option.terraform, pin, os.environ)
    except MissingError as error:
        return str(error)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    found = node.config.stash.get(TOOLCHAIN, "not looked for")
    missing = isinstance(found, str)
    node.workerinput["terraform"] = (missing, found if missing else found.as_json())


def pytest_report_header(config: pytest.Config) -> str | None:
    found = config.stash.get(TOOLCHAIN, None)
    return f"terraform: {found}" if isinstance(found, str) else found and found.header


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    stage = config.option.stage
    left_out = []
    for item in items:
        if item.get_closest_marker("plan"):
            item.add_marker(pytest.mark.timeout(_TIMEOUT_S))
            of = item.get_closest_marker("stage")
            if stage and of and of.args[0] != stage:
                left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before the failures
def pytest_terminal_summary(
    terminalreporter: Any, config: pytest.Config
) -> Generator[None, None, None]:
    found = config.stash.get(TOOLCHAIN, "--show-plan is for -m plan")
    if config.option.show_plan and isinstance(found, Toolchain):
        for each in _to_show(config.option.stage, config.option.case):
            terminalreporter.write_line(_shown(config, each))
    return (yield)


def _to_show(stage: str | None, name: str) -> list[Case]:
    return [each for each in CASES if each.name == name and stage in (None, each.stage)]


def _shown(config: pytest.Config, given: Case) -> str:
    """Return the plan as terraform prints it, without what it read; the tests have made it."""
    plan = planned(config, given)
    return plan if isinstance(plan, str) else plan.text[max(0, plan.text.find("Terraform used ")) :]


def planned(config: pytest.Config, given: Case) -> Plan | str:
    """Return a case's plan outside of any test, or why there is none."""
    from tests.support.terraform.planner import PlanFailedError

    found = config.stash.get(TOOLCHAIN, "not looked for")
    if isinstance(found, str):
        return found
    try:
        planner = _planner(config, found, config._tmp_path_factory)  # type: ignore[attr-defined]
        return planner.plan(given)
    except (MissingError, PlanFailedError) as error:
        return str(error)


@pytest.fixture(scope="session")
def planner(request: pytest.FixtureRequest) -> Planner:
    """What plans the stages; skips when this machine cannot."""
    config = request.config
    found = config.stash.get(TOOLCHAIN, "not looked for")
    if isinstance(found, str):
        pytest.skip(found)
    return _planner(config, found, request.getfixturevalue("tmp_path_factory"))


def _planner(config: pytest.Config, found: Toolchain, factory: pytest.TempPathFactory) -> Planner:
    from tests.support.terraform import store
    from tests.support.terraform.planner import Planner

    base = factory.getbasetemp()
    run = base.parent if hasattr(config, "workerinput") else base  # one for all workers
    kept = getattr(config, "cache", None)  # `-p no:cacheprovider`: for this run only
    cache = kept.mkdir("terraform") if kept else run / "cache"
    store.prune(cache)
    return Planner(found, cache, run / "terraform", Path(config.option.infra))


@pytest.fixture(scope="session")
def make_plan(planner: Planner) -> MakePlan:
    """Plan a case of a stage: `make_plan("02-deploy", "everything")`."""
    from tests.support.terraform.planner import PlanFailedError

    def make(stage: str, name: str = PLAIN) -> Plan:
        try:
            return planner.plan(case(stage, name))
        except MissingError as error:
            pytest.skip(str(error))
        except PlanFailedError as error:
            why = str(error)
        pytest.fail(why, pytrace=False)  # out here: inside, the report would tell it twice

    return make
