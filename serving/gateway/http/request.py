"""The little of HTTP that the hot paths need: a request's parts, its body within limits, and an answer."""

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
from serving.gateway.http import compression as compress
from serving.gateway.http.keys_file import Key
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.http.paths import error_form
from serving.gateway.models.routing import Share, point
from serving.gateway.observability.tracing import Trace
from serving.http_server.linger import linger

Header = tuple[bytes, bytes]

JSON = b"application/json"
#: Unread bodies up to this size are left to the server, which throws them away; with larger ones the connection ends.
_SMALL_REST = 65_536
_LONGEST_QUERY = 2048
_TIMEOUT = re.compile(rb"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|)")
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class Disconnected(Exception):
    """The client hung up before it had sent its request; there is nobody to answer."""


@dataclass(slots=True)
class Response:
    """A status, a body and what else the head says. ``version`` is for the metrics: the one that answered."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Sequence[Header] = ()
    version: str = ""


class Request:
    """One request. ``deadline`` is a time of the event loop, ``timeout`` seconds from the request's head; ``key`` is
    what the caller showed, where keys are needed."""

    __slots__ = (
        "_cookie",
        "_receive",
        "_scope",
        "body_read",
        "deadline",
        "form",
        "headers",
        "id",
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
        self.memory: Reservation  # set where the body is to be read
        self.trace: Trace | None = None
        self.task: asyncio.Task[Any] | None = None
        self.stopped: Literal["", "gone", "late"] = ""
        self._cookie: tuple[str, str] | None = None
        self.body_read = False
        self.size = 0  # of the body, once it is read
        self.model = ""  # that it names, in its path or its body
        #: Of errors. The path tells, but that ``:predict`` is asked in TensorFlow Serving's form the body does.
        self.form = error_form(self.path)
        given = self.headers.get(b"x-request-id")
        self.id = given.decode("ascii") if given is not None and _SANE_ID.fullmatch(given) else new_id

    def header(self, name: bytes) -> str:
        """A header's value, empty where there is none."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def address(self) -> str:
        """The address that the request came from.

        Of IPv6 the network, since one host has all of a /64.
        """
        client = self._scope.get("client")
        host: str = client[0] if client else ""
        return _network(host) if ":" in host else host

    @property
    def caller(self) -> str:
        """The key, or the address if no keys are needed: limits apply to it."""
        return f"key {self.key.id}" if self.key is not None else f"address {self.address}"

    def hang_up(self) -> None:
        """The client has gone: whoever works on the request stops."""
        self._stop("gone")

    def expire(self) -> None:
        """The deadline is over: whoever works on the request stops."""
        self._stop("late")

    def _stop(self, why: Literal["gone", "late"]) -> None:
        if self.task is not None:
            self.stopped = why
            self.task.cancel()

    def shorten(self, wanted: bytes) -> None:
        """Brings the deadline forward to what X-Request-Timeout says; never back.

        Raises:
            BadOption: it cannot be read.
        """
        match = _TIMEOUT.fullmatch(wanted)
        seconds = float(match[1]) / (1000 if match[2] == b"ms" else 1) if match else 0
        if not seconds:
            raise BadOption(
                f"X-Request-Timeout is seconds above 0, like 1.5, 1.5s or 250ms, not {wanted.decode('latin-1')[:40]!r}"
            )
        if seconds < self.timeout:
            self.deadline += seconds - self.timeout
            self.timeout = seconds

    def draw(self, model: str, share: Share) -> float:
        """Where the request stands among all, see :func:`serving.gateway.models.routing.point`; by chance where the
        caller is not to be known again, or cannot be."""
        caller = self._known_by(share.sticky) if share.sticky is not None else b""
        return point(model, share, caller) if caller else random.random() * 100

    def _known_by(self, sticky: str) -> bytes:
        kind, _, name = sticky.partition(":")
        if kind == "key":
            return self.key.id.encode("ascii") if self.key is not None else b""
        if kind == "header":
            return self.headers.get(name.lower().encode("ascii"), b"")
        for pair in self.header(b"cookie").split(";"):
            held, _, value = pair.partition("=")
            if held.strip() == name and value:
                return value.strip().encode("latin-1")
        if self._cookie is None:
            self._cookie = name, secrets.token_urlsafe(12)
        return self._cookie[1].encode("ascii")

    def options(self, allowed: frozenset[str]) -> dict[str, str]:
        """The query's parameters.

        Raises:
            BadOption: one is not allowed, or stands there twice; or they are longer than any that are.
        """
        query: bytes = self._scope["query_string"]
        if len(query) > _LONGEST_QUERY:
            raise BadOption(f"the query has {len(query)} bytes; at most {_LONGEST_QUERY} are accepted")
        return _options(query, allowed) if query else {}

    async def body(self, max_bytes: int) -> bytes:
        """The whole body, decompressed. Its bytes stay reserved in ``memory``.

        Raises:
            TooLarge: it is over the limit, as sent or decompressed; no more of it is read then.
            UnsupportedMedia, BadDocument: it is compressed in another way, or not as it says.
            Overloaded: the memory budget is used up.
            Disconnected: the client went away.
        """
        declared = self.headers.get(b"content-length")
        if declared is not None and int(declared) > max_bytes:
            raise TooLarge(f"the body has {int(declared)} bytes; at most {max_bytes} are accepted")
        chunks: list[bytes] = []
        while not self.body_read:
            message = await self._receive()
            if message["type"] != "http.request":
                raise Disconnected
            chunk: bytes = message.get("body", b"")
            if self.size + len(chunk) > max_bytes:
                raise TooLarge(f"the body has more than {max_bytes} bytes")
            self.memory.hold(len(chunk))
            self.size += len(chunk)
            chunks.append(chunk)
            self.body_read = not message.get("more_body", False)
        body = self.memory.joined(chunks)
        encoding = self.header(b"content-encoding")
        if not encoding or encoding.lower() == "identity":
            return body
        plain = await self.memory.run(compress.decompressed, body, encoding, max_bytes, self.memory)
        self.memory.release(len(body))
        self.size = len(plain)
        return plain

    @property
    def _must_close(self) -> bool:
        """Whether so much of the body is still to come that the connection had better end with the answer."""
        if self.body_read:
            return False
        declared = self.headers.get(b"content-length", b"")
        if declared.isdigit():
            return int(declared) > _SMALL_REST
        return b"transfer-encoding" in self.headers

    async def answer(self, answer: Response, send: Send) -> None:
        """Sends the answer, compressed where it is large and the client accepts that. Where the body was not read to
        its end, the connection ends, but not before the client has had time to read why: closing at once would throw
        the answer away with the unread bytes."""
        content = answer.body
        vary: Sequence[Header] = ()
        if len(content) >= compress.WORTH:
            content, vary = await self._compressed(answer)
        headers: list[Header] = [
            (b"content-type", answer.content_type),
            (b"content-length", b"%d" % len(content)),
            *vary,
            (b"x-request-id", self.id.encode("ascii")),
            *answer.headers,
        ]
        if self._cookie is not None:
            secure = "; Secure" if self._scope["scheme"] == "https" else ""
            cookie = f"{self._cookie[0]}={self._cookie[1]}; Path=/; HttpOnly; SameSite=Lax{secure}"
            headers.append((b"set-cookie", cookie.encode("ascii")))
        close = self._must_close
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if self.method == "HEAD" else content
        await send({"type": "http.response.body", "body": body, "more_body": close})
        if close:
            await linger(self._receive)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _compressed(self, answer: Response) -> tuple[bytes, Sequence[Header]]:
        """A large answer's body, and the headers about how it is sent."""
        chosen = compress.way(self.header(b"accept-encoding"), answer.content_type.decode("ascii"))
        vary = (b"vary", b"accept-encoding")
        if chosen is None:
            return answer.body, [vary]
        body = await asyncio.to_thread(compress.compressed, answer.body, chosen)
        return body, [vary, (b"content-encoding", chosen.encode("ascii"))]


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
        taken = (
            f"parameters here are {listed(sorted(allowed))}, each at most once" if allowed else "no parameter is taken"
        )
        raise BadOption(f"{taken}; sent: {listed([name for name, _ in pairs])}")
    return options
