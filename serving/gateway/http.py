"""The little of HTTP that the hot paths need: a request's parts, its body within limits, and an answer."""

import asyncio
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from serving.gateway.admission import Admission
from serving.gateway.errors import BadOption, TooLarge, UnsupportedMedia, listed

Header = tuple[bytes, bytes]

JSON = b"application/json"
#: Unread bodies up to this size are left to the server, which throws them away; with larger ones the connection ends.
_SMALL_REST = 65_536
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 4_000_000
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class Disconnected(Exception):
    """The client hung up before it had sent its request; there is nobody to answer."""


@dataclass(slots=True)
class Answer:
    """A status, a body and what else the head says. ``version`` is for the metrics: the one that answered."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Sequence[Header] = ()
    version: str = ""


class Request:
    """One request. ``deadline`` is a time of the event loop."""

    __slots__ = (
        "_receive",
        "_scope",
        "body_read",
        "deadline",
        "headers",
        "id",
        "method",
        "path",
        "size",
        "tensorflow_form",
    )

    def __init__(self, scope: Scope, receive: Receive, new_id: str, deadline: float) -> None:
        self._scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.deadline = deadline
        self.body_read = False
        self.size = 0  # of the body, once it is read
        #: Whether the body was seen to be in TensorFlow Serving's form; errors then are too.
        self.tensorflow_form = False
        given = self.headers.get(b"x-request-id")
        self.id = given.decode("ascii") if given is not None and _SANE_ID.fullmatch(given) else new_id

    def header(self, name: bytes) -> str:
        """A header's value, empty where there is none."""
        return self.headers.get(name, b"").decode("latin-1")

    def options(self, allowed: frozenset[str]) -> dict[str, str]:
        """The query's parameters.

        Raises:
            BadOption: one is not allowed, or stands there twice.
        """
        query: bytes = self._scope["query_string"]
        return _options(query, allowed) if query else {}

    async def body(self, max_bytes: int, admission: Admission) -> bytes:
        """The whole body. Its bytes are held in the admission's count; who calls releases them.

        Raises:
            TooLarge: it is over the limit; no more of it is read then.
            UnsupportedMedia: it is compressed.
            Overloaded: no room for it now.
            Disconnected: the client went away.
        """
        encoding = self.headers.get(b"content-encoding")
        if encoding is not None and encoding.lower() != b"identity":
            raise UnsupportedMedia(f"content encoding {encoding.decode('latin-1')!r} is not read here; send it plain")
        declared = self.headers.get(b"content-length")
        if declared is not None and int(declared) > max_bytes:
            raise TooLarge(f"the body has {int(declared)} bytes; at most {max_bytes} are accepted")
        chunks: list[bytes] = []
        try:
            while not self.body_read:
                message = await self._receive()
                if message["type"] != "http.request":
                    raise Disconnected
                chunk: bytes = message.get("body", b"")
                if self.size + len(chunk) > max_bytes:
                    raise TooLarge(f"the body has more than {max_bytes} bytes")
                admission.hold(len(chunk))
                self.size += len(chunk)
                chunks.append(chunk)
                self.body_read = not message.get("more_body", False)
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except BaseException:
            admission.release(self.size)
            self.size = 0
            raise

    @property
    def _must_close(self) -> bool:
        """Whether so much of the body is still to come that the connection had better end with the answer."""
        if self.body_read:
            return False
        declared = self.headers.get(b"content-length", b"")
        if declared.isdigit():
            return int(declared) > _SMALL_REST
        return b"transfer-encoding" in self.headers

    async def answer(self, answer: Answer, send: Send) -> None:
        """Sends the answer. Where the body was not read to its end, the connection ends, but not before the client has
        had time to read why: closing at once would throw the answer away with the unread bytes."""
        headers: list[Header] = [
            (b"content-type", answer.content_type),
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-request-id", self.id.encode("ascii")),
            *answer.headers,
        ]
        close = self._must_close
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if self.method == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body, "more_body": close})
        if close:
            await self._linger()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _linger(self) -> None:
        left = _LINGER_BYTES
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while left > 0:
                    message = await self._receive()
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return
                    left -= len(message.get("body", b""))
        except TimeoutError:
            return


@functools.lru_cache(maxsize=256)
def _options(query: bytes, allowed: frozenset[str]) -> dict[str, str]:
    pairs = parse_qsl(query[:2048].decode("latin-1"), keep_blank_values=True)
    options = dict(pairs)
    unknown = options.keys() - allowed
    if unknown or len(options) < len(pairs):
        taken = (
            f"parameters here are {listed(sorted(allowed))}, each at most once" if allowed else "no parameter is taken"
        )
        raise BadOption(f"{taken}; sent: {listed([name for name, _ in pairs])}")
    return options
