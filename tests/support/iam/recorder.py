"""Notes the AWS calls of handlers, and the URLs that they presign: who, what, on which resource.

Hangs on botocore's event `before-parameter-build`, which comes once for each call, before any
retry, and for each presigned URL, whose signer needs the permission that the URL makes use of.
Calls outside of handlers are the tests' own and not noted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from src.local.calls import current_handler
from src.local.stack import Stack
from tests.support.iam.arns import Place, requests, resource

if TYPE_CHECKING:
    from boto3.session import Session


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """One operation of a handler on one resource; `presigned`: made by whoever has the URL."""

    handler: str
    service: str
    operation: str
    resource: str
    presigned: bool = False

    def to_item(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


Listener = Callable[[Call], None]


class Recorder:
    """Tells listeners of every call of the sessions that it is attached to."""

    def __init__(self, account: str = Stack.account) -> None:
        self._account = account
        self._listeners: list[Listener] = []

    def attach(self, session: Session) -> None:
        """Watch every client that the session makes from now on."""
        place = Place(session.region_name, self._account)

        def note(params: Any, model: Any, context: Any, **_: Any) -> None:
            if current_handler() and self._listeners:
                presigned = bool(context.get("is_presign_request"))
                self._note(place, model, params, presigned=presigned)

        session.events.register("before-parameter-build.*.*", note, unique_id=f"iam-{id(self)}")

    @contextmanager
    def told_to(self, listener: Listener) -> Iterator[None]:
        """Tell the listener of each call inside."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def _note(self, place: Place, model: Any, params: Any, *, presigned: bool) -> None:
        service = model.service_model.signing_name
        for operation, single in requests(model.name, params):
            touched = resource(service, single, place)
            call = Call(current_handler(), service, operation, touched, presigned)
            for listener in self._listeners:
                listener(call)
