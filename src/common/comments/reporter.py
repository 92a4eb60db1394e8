"""Reports on a run where its caller asked for it: best effort, whatever happens there (rule 13).

Knows when a comment is made and when it is edited, what it costs and what it may take; how it looks
is `render`'s business, how GitHub is spoken to the adapter's. What goes wrong is logged, and told
among the run's events where nothing later would make it good.

Two processes may write at once, and the slower one last. So whoever wrote looks afterwards whether
the run is over by then, and if so writes its end once more: the end is what stays.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from src.common import budget, bundle, keys
from src.common.codec import decode, encode
from src.common.comments import render
from src.common.comments.note import Note, Posted
from src.common.comments.place import Place
from src.common.comments.render import Line
from src.common.errors import IacCiError
from src.common.outcome import done_summary, gather
from src.common.ports import Clock, Comments, ObjectStore, RunStore
from src.common.records import EVENT_TTL_S, Event, Run

log = logging.getLogger(__name__)

OPEN_S: Final = 15  # at most so long for the first comment
EDIT_S: Final = 8
CLOSE_S: Final = 12  # together with the logs, well within what is left of a lease (lease.py)
LOGS: Final = 50  # at most so many logs are read for the last comment
_MARGIN_S: Final = 5  # of the invocation, kept for what has to follow
_DAY_MS: Final = 24 * 3600 * 1000  # clocks may disagree by less
_MESSAGE: Final = 300


class Reporter:
    """Writes the comment of a run; without a port for comments it does nothing."""

    def __init__(
        self, runs: RunStore, internal: ObjectStore, comments: Comments | None, clock: Clock
    ) -> None:
        self._runs = runs
        self._internal = internal
        self._comments = comments
        self._clock = clock

    def opened(
        self, run: Run, names: Mapping[str, str], token: str | None, identity: str
    ) -> str | None:
        """Make the comment of a run that is packaged; return its address, None without one.

        The token is left to the orchestrator only afterwards, encrypted to `identity` (rule 11): as
        long as it is not there nobody else makes a comment.
        """
        if run.comments_on is None or self._comments is None:
            return None
        posted = self._recorded(run.run_id)  # by a packaging that died, or one that goes on now
        if made := posted is None:
            lines = [Line(num=num, name=name) for num, name in names.items()]
            note = self._note(run, render.progress(run, lines), make=True)
            posted = self._post(run, note, token, OPEN_S)
        if token is not None:
            self._internal.put_new(keys.vcs_key(run.run_id), bundle.encrypt(token, identity))
        if made and posted is not None:
            self._look_again(run)
        return None if posted is None else posted.url

    def nowhere(self, run: Run, git_repo: str | None) -> None:
        """Tell why a run whose job asks for a comment has none."""
        if self._comments is not None and run.comments_on is None:
            self._tell(
                run, f"git_repo: {git_repo or 'none'} is no repository of the form owner/name"
            )

    def refused(self, run: Run, problems: Iterable[tuple[str, str]], token: str | None) -> None:
        """Tell why nothing of a run was started; the orchestrator has no token to do it with."""
        if run.comments_on is not None and self._recorded(run.run_id) is None:
            note = self._note(run, render.refused(run, problems), make=True)
            self._post(run, note, token, OPEN_S)

    def address(self, run_id: str) -> str | None:
        """Return where the comment of a run is, if it has one."""
        recorded = self._recorded(run_id) if self._comments is not None else None
        return None if recorded is None else recorded.url

    def progressed(self, run: Run) -> None:
        """Edit the comment of a run that goes on; one that was deleted stays deleted."""
        if run.comments_on is None or self._comments is None:
            return
        try:
            token, recorded = self._token(run.run_id), self._recorded(run.run_id)
            if token is None or recorded is None:
                return
            nums = [keys.order_num(position) for position in range(1, run.total + 1)]
            rows = self._runs.orders(run.run_id, nums)
            body = render.progress(run, [Line.of(rows[num]) for num in nums if num in rows])
            note = replace(self._note(run, body), comment_id=recorded.id, worth_repeating=False)
            if self._post(run, note, token, EDIT_S) is not None:
                self._look_again(run)
        except Exception:
            log.exception("commenting on %s", run.run_id)

    def closed(self, run: Run, summary: Mapping[str, Any]) -> None:
        """Replace the comment by the summary of a finished run, made anew if need be.

        May be repeated, and is: until the run's lock is completed.
        """
        if run.comments_on is None or self._comments is None:
            return
        try:
            until = self._clock.now_ms() + CLOSE_S * 1000
            token = self._token(run.run_id)
            if token is None:
                return  # packaging failed, and has said so
            lines = self._with_logs(run.run_id, render.of_outcome(summary), until)
            recorded = self._recorded(run.run_id)
            note = replace(
                self._note(run, render.summary(run, lines), make=True),
                comment_id=None if recorded is None else recorded.id,
            )
            self._post(run, note, token, (until - self._clock.now_ms()) / 1000)
        except Exception:
            log.exception("commenting on the end of %s", run.run_id)

    def _look_again(self, run: Run) -> None:
        stored = self._runs.run(run.run_id)
        if stored is not None and stored.finished_at is not None:
            names, rows = gather(self._runs, self._internal, stored)
            self.closed(stored, done_summary(stored, names, rows))

    def _note(self, run: Run, body: str, *, make: bool = False) -> Note:
        assert run.comments_on is not None
        return Note(
            place=Place.parse(run.comments_on),
            tag=run.pr_search_tag,
            body=body,
            make=make,
            # A tag of the run's own is in no older comment.
            since_ms=run.created_at - _DAY_MS if run.run_id in run.pr_search_tag else None,
            worth_repeating=True,
        )

    def _post(self, run: Run, note: Note, token: str | None, within_s: float) -> Posted | None:
        """Write the comment and record where it is; None, with the reason told, if it did not."""
        if self._comments is None:
            return None
        if token is None:
            self._tell(run, f"{note.place}: no token, as git_token_location names none")
            return None
        within_s = min(within_s, budget.left_s() - _MARGIN_S)
        try:
            posted = self._comments.post(note, token, within_s)
            if posted is not None and posted.id != note.comment_id:
                body = encode({"id": posted.id, "url": posted.url})
                self._internal.put(keys.comment_key(run.run_id), body)
        except Exception as error:  # noqa: BLE001 - a comment never fails a run
            message = f"{note.place}: {error}"[:_MESSAGE]
            log.warning("commenting on %s: %s", run.run_id, message)
            if note.worth_repeating:
                self._tell(run, message)
            return None
        return posted

    def _tell(self, run: Run, message: str) -> None:
        now = self._clock.now_ms()
        try:
            self._runs.record(
                Event(
                    trace_id=run.trace_id,
                    run_id=run.run_id,
                    order_name=keys.JOB,
                    epoch=now,
                    event="comment_failed",
                    status=run.status,
                    message=message,
                    ttl=now // 1000 + EVENT_TTL_S,
                )
            )
        except IacCiError as error:
            log.warning("recording an event of %s: %s", run.run_id, error)

    def _recorded(self, run_id: str) -> Posted | None:
        body = self._internal.get(keys.comment_key(run_id))
        if body is None:
            return None
        stored = decode(body)
        return Posted(id=int(stored["id"]), url=str(stored["url"]))

    def _token(self, run_id: str) -> str | None:
        body = self._internal.get(keys.vcs_key(run_id))
        packaging = self._runs.packaging(run_id) if body is not None else None
        if body is None or packaging is None:
            return None
        return bundle.decrypt(body, packaging.identity)

    def _with_logs(self, run_id: str, lines: Sequence[Line], until: int) -> list[Line]:
        """Return the orders with the logs of those that ran, as far as time allows."""
        logs: dict[str, str] = {}
        for line in render.log_order(lines)[:LOGS]:
            if self._clock.now_ms() > until - EDIT_S * 1000:
                break
            body = self._internal.get(keys.result_key(run_id, line.num))
            logs[line.num] = "" if body is None else _log_of(body)
        return [replace(line, log=logs.get(line.num, "")) for line in lines]


def _log_of(result: bytes) -> str:
    """Return the log in a result, which a worker wrote, beside which strangers' commands ran."""
    try:
        text = decode(result).get("log")
    except ValueError:
        return ""
    return text if isinstance(text, str) else ""
