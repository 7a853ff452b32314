"""Calls between the supervisor and a worker, in both directions, over a socket pair.

Each message is a JSON array on a line: ``[id, method, argument]`` is a call, ``[id, result]`` its result.
"""

import asyncio
import itertools
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

import orjson

_MAX_MESSAGE_BYTES = 64_000_000

Handler = Callable[[Any], Awaitable[Any]]

log = logging.getLogger("vitrine.workers")


class ControlConnection:
    """One end of a socket pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handlers: Mapping[str, Handler]):
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._ids = itertools.count()
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, end: socket.socket, handlers: Mapping[str, Handler]) -> Self:
        """Wrap a connected socket. The other end calls ``handlers`` by name."""
        end.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=_MAX_MESSAGE_BYTES)
        return cls(reader, writer, handlers)

    async def run(self) -> None:
        """Handle calls and receive results until the other end closes the connection."""
        try:
            while (line := await self._reader.readline()).endswith(b"\n"):  # else the other end died while writing
                self._receive(orjson.loads(line))
        except ConnectionError:
            pass
        except ValueError:  # not a message, or above the size limit
            log.exception("control connection broken")
        finally:
            self._writer.close()
            for future in self._pending.values():
                future.cancel()

    async def call(self, method: str, argument: Any, seconds: float) -> Any:
        """Call a handler of the other end.

        Raises:
            TimeoutError: no result within ``seconds``, or the connection is closed.
        """
        if self._writer.is_closing():
            raise TimeoutError
        number = next(self._ids)
        future = self._pending[number] = asyncio.get_running_loop().create_future()
        self._send([number, method, argument])
        try:
            await asyncio.wait([future], timeout=seconds)
            if not future.done() or future.cancelled():
                raise TimeoutError
            return future.result()
        finally:
            del self._pending[number]

    def _send(self, message: list[Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(orjson.dumps(message) + b"\n")

    def _receive(self, message: list[Any]) -> None:
        if len(message) == 2:
            future = self._pending.get(message[0])
            if future is not None and not future.done():
                future.set_result(message[1])
            return
        task = asyncio.create_task(self._answer(*message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, method: str, argument: Any) -> None:
        try:
            result = await self._handlers[method](argument)
        except Exception:  # the caller times out
            log.exception("control call %s failed", method)
        else:
            self._send([number, result])
