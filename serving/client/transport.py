"""One call to the gateway: its tries, its deadline and the size of its answer.

A refused (429, 503) or broken request is made again, with a pause and within the same time (``retries.py``). The
gateway gets the time that is left in X-Request-Timeout, so that it computes nothing that is too late.
"""

import asyncio
import math
import time
import zlib
from typing import Any

import httpx

from serving.client import errors, retries
from serving.client.errors import VitrineError
from serving.client.requests import Question

_LAG = 0.05  # seconds that httpx's own time-outs, which say more, are ahead of the call's


class Sender:
    """Sends questions to one gateway. Needs a running event loop."""

    def __init__(
        self, url: str, key: str | None, timeout: float, max_answer_bytes: int, retry: bool, options: dict[str, Any]
    ) -> None:
        """
        Raises:
            VitrineError: one of them cannot be used.
        """
        self._url = url
        self._timeout = _checked_timeout(timeout)
        self._max_answer_bytes = max_answer_bytes
        self._retry = retry
        headers = {"Authorization": f"Bearer {_checked_key(key)}"} if key else {}
        try:
            parsed = httpx.URL(url)
            if parsed.scheme not in ("http", "https") or not parsed.host:
                raise ValueError("it must begin with http:// or https:// and name a host")
            self._http = httpx.AsyncClient(base_url=parsed, headers=headers, **options)
        except Exception as error:
            if options and isinstance(error, TypeError):
                raise  # an option that httpx does not know
            text = f"the gateway at {url!r} cannot be asked: {error or type(error).__name__}"
            raise VitrineError(text, "bad_option") from error

    async def answer(self, question: Question[Any]) -> httpx.Response:
        """The whole answer, which is a success.

        Raises:
            VitrineError: there is none within the time.
        """
        try:
            async with asyncio.timeout(self._timeout + _LAG):
                return await self._until(question, time.monotonic() + self._timeout)
        except VitrineError:
            raise
        except TimeoutError as error:
            raise errors.late(self._url) from error
        except Exception as error:  # also those that httpx does not wrap, like idna's
            raise errors.from_failure(error, self._url) from error

    async def close(self) -> None:
        await self._http.aclose()

    async def _until(self, question: Question[Any], end: float) -> httpx.Response:
        made = 0
        while True:
            left = max(end - time.monotonic(), 0.001)
            request = self._request(question, left)
            made += 1
            failure: Exception | None = None
            may_pass, retry_after = False, None
            try:
                response = await self._send(request)
            except httpx.HTTPError as error:
                failure = error
                may_pass = isinstance(error, retries.PASSING)
            else:
                if response.is_success:
                    return response
                may_pass = response.status_code in retries.STATUSES
                retry_after = response.headers.get("retry-after")
            wait = retries.pause(made, retry_after, end - time.monotonic()) if may_pass and self._retry else None
            if wait is None:
                raise failure or errors.from_response(response)
            await asyncio.sleep(wait)

    def _request(self, question: Question[Any], left: float) -> httpx.Request:
        own = {"X-Request-Timeout": f"{left:.3f}", "Accept-Encoding": "gzip"}
        content = {**question.content, "headers": {**question.content.get("headers", {}), **own}}
        try:
            return self._http.build_request(question.method, question.path, timeout=left, **content)
        except (ValueError, TypeError, httpx.InvalidURL) as error:
            raise VitrineError(f"the request cannot be sent: {error}", "bad_option") from error

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """The answer and its body, decompressed.

        The decoders of httpx would turn a few bytes into gigabytes.
        """
        response = await self._http.send(request, stream=True)
        try:
            encoding = response.headers.get("content-encoding", "identity").lower()
            if encoding not in ("identity", "gzip"):
                raise errors.from_unreadable(response, ValueError(f"its encoding is {encoding[:40]!r}, not gzip"))
            inflater = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == "gzip" else None
            body = bytearray()
            async for chunk in response.aiter_raw():
                if inflater is not None:
                    chunk = inflater.decompress(chunk, self._max_answer_bytes + 1 - len(body))
                    if inflater.unused_data:
                        raise errors.from_unreadable(response, ValueError("bytes follow its gzip data"))
                body += chunk
                if len(body) > self._max_answer_bytes:
                    raise errors.too_large(response, self._max_answer_bytes)
            if body and inflater is not None and not inflater.eof:
                raise errors.from_unreadable(response, ValueError("its gzip data is cut short"))
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
    raise VitrineError(f"timeout is {timeout!r}; a number of seconds above 0 is expected", "bad_option")


def _checked_key(key: str) -> str:
    if isinstance(key, str) and key.isascii() and key.isprintable() and " " not in key:
        return key
    raise VitrineError("the key must be printable ASCII without spaces; strip its line end", "bad_option")
