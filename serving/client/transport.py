"""Send a request with retries, one deadline for the whole call, and a size limit for the response.

The header X-Request-Timeout tells the gateway how much time is left, so that it does not compute results too late.
"""

import asyncio
import math
import time
import zlib
from typing import Any

import httpx

from serving.client import errors, retries
from serving.client.errors import VitrineError
from serving.client.requests import ClientRequest

_LAG = 0.05  # seconds; httpx's time-outs come first because their errors say more


class Transport:
    """Sends requests to one gateway. Calls need a running event loop."""

    def __init__(
        self, url: str, key: str | None, timeout: float, max_answer_bytes: int, retry: bool, options: dict[str, Any]
    ) -> None:
        """Create the HTTP client.

        Raises:
            VitrineError: An argument is invalid.
            TypeError: httpx does not know an option.
        """
        self._url = url
        self._timeout = _checked_timeout(timeout)
        self._max_answer_bytes = max_answer_bytes
        self._retry = retry
        headers = {"Authorization": f"Bearer {_checked_key(key)}"} if key else {}
        try:
            parsed = httpx.URL(url)
            if parsed.scheme not in ("http", "https") or not parsed.host:
                raise ValueError("http:// or https:// and a host are expected")
            self._http = httpx.AsyncClient(base_url=parsed, headers=headers, **options)
        except Exception as error:
            if options and isinstance(error, TypeError):
                raise  # httpx does not know an option
            text = f"no client for the gateway at {url!r}: {error or type(error).__name__}"
            raise VitrineError(text, "bad_option") from error

    async def send(self, request: ClientRequest[Any]) -> httpx.Response:
        """Send a request and return the complete, successful response.

        Raises:
            VitrineError: No such response arrived within the time-out.
        """
        try:
            async with asyncio.timeout(self._timeout + _LAG):
                return await self._send_with_retries(request, time.monotonic() + self._timeout)
        except VitrineError:
            raise
        except TimeoutError as error:
            raise errors.timed_out(self._url) from error
        except Exception as error:  # httpx does not wrap all, for example those of idna
            raise errors.from_failure(error, self._url) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _send_with_retries(self, request: ClientRequest[Any], deadline: float) -> httpx.Response:
        tries = 0
        while True:
            prepared = self._prepare(request, max(deadline - time.monotonic(), 0.001))
            tries += 1
            failure: Exception | None = None
            retryable, retry_after = False, None
            try:
                response = await self._receive(prepared)
            except httpx.HTTPError as error:
                failure = error
                retryable = isinstance(error, retries.RETRYABLE_ERRORS)
            else:
                if response.is_success:
                    return response
                retryable = response.status_code in retries.RETRYABLE_STATUSES
                retry_after = response.headers.get("retry-after")
            left = deadline - time.monotonic()
            wait = retries.pause(tries, retry_after, left) if retryable and self._retry else None
            if wait is None:
                raise failure or errors.from_response(response)
            await asyncio.sleep(wait)

    def _prepare(self, request: ClientRequest[Any], left: float) -> httpx.Request:
        headers = {"X-Request-Timeout": f"{left:.3f}", "Accept-Encoding": "gzip"}
        content = {**request.content, "headers": {**request.content.get("headers", {}), **headers}}
        try:
            return self._http.build_request(request.method, request.path, timeout=left, **content)
        except (ValueError, TypeError, httpx.InvalidURL) as error:
            raise VitrineError(f"the request cannot be sent: {error}", "bad_option") from error

    async def _receive(self, request: httpx.Request) -> httpx.Response:
        """Send a request once and read the decompressed response.

        httpx's own decoders have no size limit: a few bytes can become gigabytes.
        """
        response = await self._http.send(request, stream=True)
        try:
            encoding = response.headers.get("content-encoding", "identity").lower()
            if encoding not in ("identity", "gzip"):
                raise errors.from_unreadable(response, ValueError(f"content-encoding is {encoding[:40]!r}, not gzip"))
            inflater = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == "gzip" else None
            body = bytearray()
            async for chunk in response.aiter_raw():
                if inflater is not None:
                    chunk = inflater.decompress(chunk, self._max_answer_bytes + 1 - len(body))
                    if inflater.unused_data:
                        raise errors.from_unreadable(response, ValueError("bytes follow the gzip data"))
                body += chunk
                if len(body) > self._max_answer_bytes:
                    raise errors.too_large(response, self._max_answer_bytes)
            if body and inflater is not None and not inflater.eof:
                raise errors.from_unreadable(response, ValueError("the gzip data is cut short"))
        except zlib.error as error:
            raise errors.from_unreadable(response, error) from error
        finally:
            await response.aclose()
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
        return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)


def _checked_timeout(timeout: float) -> float:
    try:
        if 0 < timeout < math.inf:
            return timeout
    except TypeError:
        pass
    raise VitrineError(f"timeout is {timeout!r}; a finite number of seconds above 0 is expected", "bad_option")


def _checked_key(key: str) -> str:
    if isinstance(key, str) and key.isascii() and key.isprintable() and " " not in key:
        return key
    raise VitrineError("the key must be printable ASCII without spaces; strip the line end", "bad_option")
