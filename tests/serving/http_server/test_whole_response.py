"""Responses by one call have the bytes and the effects of responses by ASGI messages."""

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from serving.http_server import whole_response
from tests.serving.http_server.asgi_server import serving


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Respond by one call or by messages, as the path says."""
    body = b"" if scope["path"].endswith("empty") else b'{"class": "dress"}'
    value = b"1\r\nx-injected: 2" if "break" in scope["path"] else b"1"
    headers = [(b"content-length", b"%d" % len(body)), (b"x-model-version", value)]

    async def wrapped(message: Any) -> None:
        await send(message)

    by = wrapped if "wrapped" in scope["path"] else send
    whole = not scope["path"].startswith("/messages") and whole_response.respond(by, 201, headers, body)
    if not whole:
        assert scope["method"] == "HEAD" or not scope["path"].startswith("/whole")
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with serving(application) as one:
        yield one


def responses(address: tuple[str, int], request: bytes) -> bytes:
    """Return what a connection receives for the request and for a last one, without dates."""
    with socket.create_connection(address, 20) as connection:
        connection.sendall(request)
        received = b""
        while part := connection.recv(65_536):
            received += part
    return re.sub(rb"date: [^\r]*", b"date: -", received)


@pytest.mark.parametrize("path", [b"", b"/empty"])
@pytest.mark.parametrize(
    "request_line",
    [b"GET %b HTTP/1.1", b"HEAD %b HTTP/1.1", b"GET %b HTTP/1.0"],
    ids=["keep-alive", "HEAD", "HTTP/1.0"],
)
def test_the_bytes_are_those_of_messages(address: tuple[str, int], request_line: bytes, path: bytes) -> None:
    def asked(by: bytes) -> bytes:
        one = (request_line + b"\r\nHost: x\r\n\r\n") % (by + path)
        return responses(address, one + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    whole = asked(b"/whole")
    assert whole == asked(b"/messages") == asked(b"/wrapped")
    assert whole.count(b"HTTP/1.1 201 Created") == (1 if b"1.0" in request_line else 2)
    assert whole.count(b"connection: close") == 1


def test_a_header_with_a_line_break_is_not_sent(address: tuple[str, int]) -> None:
    answer = responses(address, b"GET /whole/break HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500") and b"injected" not in answer
