"""``Client`` and ``AsyncClient``, which share their operations."""

from types import TracebackType
from typing import Any, Self, TypeVar

from serving.client.background import Background
from serving.client.operations import Operations
from serving.client.requests import ClientRequest
from serving.client.transport import Transport

T = TypeVar("T")

_URL = "http://127.0.0.1:8000"
_MAX_ANSWER_BYTES = 32_000_000


class Client(Operations):
    """Blocking client of one gateway.

    Use it as a context manager, or close it. Threads may share it.
    """

    def __init__(
        self,
        url: str = _URL,
        key: str | None = None,
        timeout: float = 30.0,
        *,
        max_answer_bytes: int = _MAX_ANSWER_BYTES,
        retry: bool = True,
        **options: Any,
    ) -> None:
        """Prepare a client. It connects with the first call.

        Args:
            url: Address of the gateway.
            key: API key, if the gateway requires one.
            timeout: Seconds for a whole call, retries included, from connecting to the last byte of the response.
            max_answer_bytes: Size limit of a response after decompression.
            retry: Whether the client retries rejected (429, 503) and broken requests.
            options: Arguments of ``httpx.AsyncClient`` (``verify``, ``proxy``, …).

        Raises:
            VitrineError: An argument is invalid.
        """
        self._transport = Transport(url, key, timeout, max_answer_bytes, retry, options)
        self._background = Background()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Calls that still run in other threads fail."""
        self._background.close(self._transport.close())

    def _send(self, request: ClientRequest[T]) -> T:
        return request.parse(self._background.run(self._transport.send(request)))


class AsyncClient(Operations):
    """Asynchronous client of one gateway, with the methods of :class:`Client` as coroutines."""

    def __init__(
        self,
        url: str = _URL,
        key: str | None = None,
        timeout: float = 30.0,
        *,
        max_answer_bytes: int = _MAX_ANSWER_BYTES,
        retry: bool = True,
        **options: Any,
    ) -> None:
        """Prepare a client. See :class:`Client` for the arguments."""
        self._transport = Transport(url, key, timeout, max_answer_bytes, retry, options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def _send_async(self, request: ClientRequest[T]) -> T:
        return request.parse(await self._transport.send(request))
