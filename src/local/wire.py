"""Messages between the local world and its worker processes: a JSON head and raw bytes each.

Knows nothing of what the messages mean.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any, Final

_SIZES: Final = struct.Struct("!II")  # of head and body
_CHUNK: Final = 256 * 1024

Message = tuple[dict[str, Any], bytes]


class Wire:
    """One end of a connected stream socket."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._buffer = bytearray()
        self._unsent = b""  # the rest of what was sent soon

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._end.fileno()

    def send(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        """Send one message; waits while the other end is slow.

        Raises:
            EOFError: the other end is gone.
        """
        data, self._unsent = self._unsent + _packed(head, body), b""
        try:
            self._end.sendall(data)
        except OSError:
            raise EOFError from None

    def send_soon(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        """Send one message without waiting: what does not go now goes with a later call.

        Raises:
            EOFError: the other end is gone.
        """
        self._unsent += _packed(head, body)
        self.keeps_up()

    def keeps_up(self) -> bool:
        """Return whether the other end has taken all that was sent soon.

        Raises:
            EOFError: the other end is gone.
        """
        try:
            while self._unsent:
                sent = self._end.send(self._unsent, socket.MSG_DONTWAIT)
                self._unsent = self._unsent[sent:]
        except BlockingIOError:
            return False
        except OSError:
            raise EOFError from None
        return True

    def receive(self) -> Message:
        """Wait for one message.

        Raises:
            EOFError: the other end is gone.
        """
        while (message := self._pop()) is None:
            self._fill()
        return message

    def arrived(self) -> list[Message]:
        """Return the messages that are complete after one read.

        Raises:
            EOFError: the other end is gone.
        """
        self._fill()
        messages = []
        while (message := self._pop()) is not None:
            messages.append(message)
        return messages

    def close(self) -> None:
        """Hang up."""
        self._end.close()

    def _fill(self) -> None:
        try:
            data = self._end.recv(_CHUNK)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError
        self._buffer += data

    def _pop(self) -> Message | None:
        if len(self._buffer) < _SIZES.size:
            return None
        head, body = _SIZES.unpack_from(self._buffer)
        start, end = _SIZES.size + head, _SIZES.size + head + body
        if len(self._buffer) < end:
            return None
        message = json.loads(self._buffer[_SIZES.size : start]), bytes(self._buffer[start:end])
        del self._buffer[:end]
        return message


def _packed(head: Mapping[str, Any], body: bytes) -> bytes:
    text = json.dumps(head).encode()
    return _SIZES.pack(len(text), len(body)) + text + body
