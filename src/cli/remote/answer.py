"""From what goes wrong to messages and exit codes: one place for all commands on a stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from src.cli import record
from src.cli.exit_codes import INTERRUPTED, NOT_SUCCEEDED, REFUSED
from src.cli.problems import FileRefused
from src.cli.say import complain, say
from src.cli.text import clean, count
from src.common.errors import IacCiError, JobRefused
from src.remote.errors import Denied, NotNamed, Refused, UnknownRun

AVAILABLE_AGAIN = 500  # from this HTTP status on it is not the request that is wrong


def answered(command: Callable[[], int], *, as_json: bool) -> int:
    """Run a command; return its exit code after saying what went wrong, if anything did."""
    try:
        return command()
    except FileRefused as refused:
        return _refused("refused", refused.details, refused.shown, as_json=as_json)
    except JobRefused as refused:
        shown = [clean(str(problem)) for problem in refused.problems]
        return _refused("refused", _details(refused), shown, as_json=as_json)
    except (NotNamed, UnknownRun, Denied) as error:
        return _refused(str(error), (), (), as_json=as_json)
    except Refused as refused:
        code = REFUSED if refused.status < AVAILABLE_AGAIN else NOT_SUCCEEDED
        shown = [clean(str(p)) for p in refused.problems if p.message != refused.error]
        answer = f"the webhook answered {refused.status}: {refused.error}"
        return _refused(answer, _details(refused), shown, as_json=as_json, code=code)
    except IacCiError as error:
        return _refused(str(error), (), (), as_json=as_json, code=NOT_SUCCEEDED)
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED


def _details(refused: JobRefused | Refused) -> list[dict[str, str]]:
    return [problem.as_dict() for problem in refused.problems]


def _refused(
    error: str,
    details: Sequence[Mapping[str, object]],
    shown: Sequence[str],
    *,
    as_json: bool,
    code: int = REFUSED,
) -> int:
    if as_json:
        say(record.dumps({"error": error, "details": list(details)}))
    for line in shown:
        complain(line)
    complain(clean(error) + (f": {count(len(shown), 'problem')}" if shown else ""))
    return code
