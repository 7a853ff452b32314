"""HTTP of the hot paths: a request's parts, its body within limits, and the response."""

import asyncio
import functools
import ipaddress
import random
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from serving.gateway.errors import BadOption, TooLarge, listed
from serving.gateway.http import compression
from serving.gateway.http.keys_file import Key
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.http.paths import error_form
from serving.gateway.models.routing import Share, point
from serving.gateway.observability.tracing import Trace
from serving.http_server import whole_request, whole_response
from serving.http_server.linger import linger

Header = tuple[bytes, bytes]

JSON = b"application/json"
#: The server discards the rest of an unread body up to this size. Larger bodies close the connection.
_MAX_DISCARDED_BYTES = 65_536
_MAX_QUERY_BYTES = 2048
_TIMEOUT = re.compile(rb"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|)")
_VALID_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class Disconnected(Exception):
    """The client disconnected before it had sent the whole request."""


@dataclass(slots=True)
class Response:
    """A response.

    Attributes:
        status: HTTP status.
        body: content before compression.
        content_type: media type.
        headers: additional headers.
        version: model version, for the metrics.
    """

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Sequence[Header] = ()
    version: str = ""


class Request:
    """One request.

    Attributes:
        deadline: time of the event loop.
        timeout: seconds from the request's head to the deadline.
        key: the caller's key, if keys are required.
        memory: set before the body is read.
        task: runs the request; cancelled by :meth:`disconnect` and :meth:`expire`.
        stopped: why the task was cancelled.
        size: bytes of the body, after it is read.
        keep_bytes: largest body that is kept for the request log.
        content: the body, if it is kept.
        model: named by the path or the body.
        form: form of error responses. The body may change it: ``:predict`` has two forms.
    """

    __slots__ = (
        "_cookie",
        "_receive",
        "_scope",
        "body_read",
        "content",
        "deadline",
        "form",
        "headers",
        "id",
        "keep_bytes",
        "key",
        "memory",
        "method",
        "model",
        "path",
        "size",
        "stopped",
        "task",
        "timeout",
        "trace",
    )

    def __init__(self, scope: Scope, receive: Receive, new_id: str, now: float, timeout: float) -> None:
        self._scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.timeout = timeout
        self.deadline = now + timeout
        self.key: Key | None = None
        self.memory: Reservation
        self.trace: Trace | None = None
        self.task: asyncio.Task[Any] | None = None
        self.stopped: Literal["", "disconnected", "expired"] = ""
        self._cookie: tuple[str, str] | None = None
        self.body_read = False
        self.size = 0
        self.keep_bytes = 0
        self.content: bytes | None = None
        self.model = ""
        self.form = error_form(self.path)
        given = self.headers.get(b"x-request-id")
        self.id = given.decode("ascii") if given is not None and _VALID_ID.fullmatch(given) else new_id

    def header(self, name: bytes) -> str:
        """Return a header's value; empty if it is missing."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def client(self) -> str:
        """The client's address; behind a proxy that is not trusted, the proxy's."""
        client = self._scope.get("client")
        return client[0] if client else ""

    @property
    def address(self) -> str:
        """The client's address; for IPv6 its network, because one host may use all of a /64."""
        host = self.client
        return _network(host) if ":" in host else host

    @property
    def caller(self) -> str:
        """The key, or the address if no key is required. Limits apply to callers."""
        return f"key {self.key.id}" if self.key is not None else f"address {self.address}"

    def disconnect(self) -> None:
        """Cancel the request, because the client has disconnected."""
        self._stop("disconnected")

    def expire(self) -> None:
        """Cancel the request, because its deadline has passed."""
        self._stop("expired")

    def _stop(self, reason: Literal["disconnected", "expired"]) -> None:
        if self.task is not None:
            self.stopped = reason
            self.task.cancel()

    def shorten_deadline(self, timeout: bytes) -> None:
        """Apply an X-Request-Timeout header. It never extends the deadline.

        Raises:
            BadOption: the header is invalid.
        """
        match = _TIMEOUT.fullmatch(timeout)
        seconds = float(match[1]) / (1000 if match[2] == b"ms" else 1) if match else 0
        if not seconds:
            text = timeout.decode("latin-1")[:40]
            raise BadOption(f"X-Request-Timeout must be a time above 0, like 1.5, 1.5s or 250ms, not {text!r}")
        if seconds < self.timeout:
            self.deadline += seconds - self.timeout
            self.timeout = seconds

    def draw(self, model: str, share: Share) -> float:
        """Return the request's position, see :func:`serving.gateway.models.routing.point`.

        The position is random if the share is not sticky or the caller cannot be identified.
        """
        caller = self._sticky_value(share.sticky) if share.sticky is not None else b""
        return point(model, share, caller) if caller else random.random() * 100  # nosec B311 # a share of traffic

    def _sticky_value(self, sticky: str) -> bytes:
        """Return the value that identifies a caller: key, header or cookie (a new one if the caller has none)."""
        kind, _, name = sticky.partition(":")
        if kind == "key":
            return self.key.id.encode("ascii") if self.key is not None else b""
        if kind == "header":
            return self.headers.get(name.lower().encode("ascii"), b"")
        for pair in self.header(b"cookie").split(";"):
            cookie, _, value = pair.partition("=")
            if cookie.strip() == name and value:
                return value.strip().encode("latin-1")
        if self._cookie is None:
            self._cookie = name, secrets.token_urlsafe(12)
        return self._cookie[1].encode("ascii")

    def options(self, allowed: frozenset[str]) -> dict[str, str]:
        """Return the query's parameters.

        Raises:
            BadOption: a parameter is unknown or repeated, or the query is too long.
        """
        query: bytes = self._scope["query_string"]
        if len(query) > _MAX_QUERY_BYTES:
            raise BadOption(f"the query has {len(query)} bytes; at most {_MAX_QUERY_BYTES} are accepted")
        return _options(query, allowed) if query else {}

    async def body(self, max_bytes: int) -> bytes:
        """Read and decompress the body. Its bytes stay reserved in ``memory``.

        Raises:
            TooLarge: the body exceeds the limit, as sent or decompressed. The rest is not read.
            UnsupportedMedia: unknown Content-Encoding.
            BadDocument: the body does not have its Content-Encoding.
            Overloaded: the memory budget is used up.
            Disconnected: the client has disconnected.
        """
        declared = self.headers.get(b"content-length")
        if declared is not None and int(declared) > max_bytes:
            raise TooLarge(f"the body has {int(declared)} bytes; at most {max_bytes} are accepted")
        body = whole_request.body(self._receive)
        if body is None:
            body = await self._received(max_bytes)
        else:
            self._hold(body, max_bytes)
            self.body_read = True
        if b"content-encoding" in self.headers:
            body = await self._decompressed(body, max_bytes)
        if self.size <= self.keep_bytes:
            self.content = body
        return body

    async def _received(self, max_bytes: int) -> bytes:
        chunks: list[bytes] = []
        while not self.body_read:
            message = await self._receive()
            if message["type"] != "http.request":
                raise Disconnected
            chunk: bytes = message.get("body", b"")
            self._hold(chunk, max_bytes)
            chunks.append(chunk)
            self.body_read = not message.get("more_body", False)
        return self.memory.joined(chunks)

    def _hold(self, chunk: bytes, max_bytes: int) -> None:
        if self.size + len(chunk) > max_bytes:
            raise TooLarge(f"the body has more than {max_bytes} bytes")
        self.memory.hold(len(chunk))
        self.size += len(chunk)

    async def _decompressed(self, body: bytes, max_bytes: int) -> bytes:
        encoding = self.header(b"content-encoding")
        if not encoding or encoding.lower() == "identity":
            return body
        plain = await self.memory.run(compression.decompress, body, encoding, max_bytes, self.memory)
        self.memory.release(len(body))
        self.size = len(plain)
        return plain

    @property
    def _must_close(self) -> bool:
        """Whether too much of the body is unread to keep the connection."""
        if self.body_read:
            return False
        declared = self.headers.get(b"content-length", b"")
        if declared.isdigit():
            return int(declared) > _MAX_DISCARDED_BYTES
        return b"transfer-encoding" in self.headers

    async def respond(self, response: Response, send: Send) -> None:
        """Send a response, compressed if it is large and the client accepts it.

        If too much of the body is unread, the connection closes after a moment, see :func:`linger`.
        """
        content = response.body
        vary: Sequence[Header] = ()
        if len(content) >= compression.MIN_COMPRESSED_BYTES:
            content, vary = await self._compress(response)
        headers: list[Header] = [
            (b"content-type", response.content_type),
            (b"content-length", b"%d" % len(content)),
            *vary,
            (b"x-request-id", self.id.encode("ascii")),
            *response.headers,
        ]
        if self._cookie is not None:
            secure = "; Secure" if self._scope["scheme"] == "https" else ""
            cookie = f"{self._cookie[0]}={self._cookie[1]}; Path=/; HttpOnly; SameSite=Lax{secure}"
            headers.append((b"set-cookie", cookie.encode("ascii")))
        close = self._must_close
        if close:
            headers.append((b"connection", b"close"))
        elif whole_response.respond(send, response.status, headers, content):
            return
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        body = b"" if self.method == "HEAD" else content
        await send({"type": "http.response.body", "body": body, "more_body": close})
        if close:
            await linger(self._receive)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _compress(self, response: Response) -> tuple[bytes, Sequence[Header]]:
        """Return the content of a large response and the headers for its encoding."""
        encoding = compression.choose_encoding(self.header(b"accept-encoding"), response.content_type.decode("ascii"))
        vary = (b"vary", b"accept-encoding")
        if encoding is None:
            return response.body, [vary]
        body = await asyncio.to_thread(compression.compress, response.body, encoding)
        return body, [vary, (b"content-encoding", encoding.encode("ascii"))]


@functools.lru_cache(maxsize=1024)
def _network(host: str) -> str:
    address = ipaddress.IPv6Address(host)
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


@functools.lru_cache(maxsize=256)
def _options(query: bytes, allowed: frozenset[str]) -> dict[str, str]:
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    options = dict(pairs)
    unknown = options.keys() - allowed
    if unknown or len(options) < len(pairs):
        accepted = (
            f"parameters are {listed(sorted(allowed))}, each at most once" if allowed else "no parameter is accepted"
        )
        raise BadOption(f"{accepted}; sent: {listed([name for name, _ in pairs])}")
    return options
