"""What is asked of a place that holds comments, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from src.common.comments.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One state of a run's comment.

    `comment_id` is what is known of where it lies; without one it is looked for by `tag`, among
    comments changed after `since_ms`. `make`: where there is none, make one; else leave it.
    """

    place: Place
    tag: str
    body: str
    comment_id: int | None = None
    make: bool = False
    since_ms: int | None = None
    worth_repeating: bool = False  # nothing comes after it that would make it good


@dataclass(frozen=True, slots=True)
class Posted:
    """A comment that was written."""

    id: int
    url: str
