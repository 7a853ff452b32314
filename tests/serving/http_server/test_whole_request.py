"""Bodies in one call are those of ASGI messages, or are left to them."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from serving.http_server import whole_request
from tests.serving.http_server.asgi_server import serving

POST = b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n"


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer with the way the body came, its length and what comes after it."""

    async def wrapped() -> Any:
        return await receive()

    by = wrapped if scope["path"] == "/wrapped" else receive
    way, body = "whole", whole_request.body(by)
    if body is None:
        way, body, more = "messages", b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
    again = whole_request.body(by)
    answer = f"{way} {len(body)} {body[:3].decode()} {again}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with serving(application) as one:
        yield one


def answered(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as file:
        length = 0
        while (line := file.readline()) != b"\r\n":
            if line.startswith(b"content-length:"):
                length = int(line.split()[1])
        return file.read(length)


def test_a_body_that_has_arrived_is_taken_at_once(address: tuple[str, int]) -> None:
    with socket.create_connection(address, 20) as connection:
        for size in (3, 0, 5):
            connection.sendall(POST % (b"/", b"", size) + b"abcde"[:size])
            assert answered(connection) == b"whole %d %b None" % (size, b"abc"[:size])


def test_a_body_that_arrives_later_comes_by_messages(address: tuple[str, int]) -> None:
    with socket.create_connection(address, 20) as connection:
        connection.sendall(POST % (b"/", b"", 5) + b"ab")
        time.sleep(0.1)
        connection.sendall(b"cde")
        assert answered(connection) == b"messages 5 abc None"


def test_a_client_that_waits_for_100_continue_gets_it(address: tuple[str, int]) -> None:
    with socket.create_connection(address, 20) as connection:
        connection.sendall(POST % (b"/", b"Expect: 100-continue\r\n", 3))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert answered(connection) == b"messages 3 abc None"


def test_another_receive_function_is_asked_for_messages(address: tuple[str, int]) -> None:
    with socket.create_connection(address, 20) as connection:
        connection.sendall(POST % (b"/wrapped", b"", 3) + b"abc")
        assert answered(connection) == b"messages 3 abc None"


def test_a_large_body_does_not_stop_the_connection(address: tuple[str, int]) -> None:
    """uvicorn pauses reading above 64 KiB."""
    with socket.create_connection(address, 20) as connection:
        for _ in range(3):
            connection.sendall(POST % (b"/", b"", 300_000) + b"abc" * 100_000)
            assert answered(connection).split()[1] == b"300000"
