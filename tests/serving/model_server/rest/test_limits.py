"""Limits of the REST interface's requests, in this process, over real sockets."""

import asyncio
import contextlib
import http.client
import json
import select
import socket
import threading
from collections.abc import Iterator
from typing import cast

from serving.model_server.inference.inference import Inference
from serving.model_server.rest.api import RestApi
from serving.model_server.rest.http import HttpLimits, HttpServer
from tests.programs import free_port

PREDICT = "/v1/models/line:predict"


@contextlib.contextmanager
def limited(limits: HttpLimits) -> Iterator[int]:
    """An HTTP server in this process that has no model; yields its port. The limits are checked before any model is."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    port = free_port()

    async def start() -> HttpServer:
        server = HttpServer(
            RestApi(cast(Inference, None), threads=1, max_body_bytes=limits.max_body_bytes), "127.0.0.1", port, limits
        )
        server.start()
        return server

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    yield port
    asyncio.run_coroutine_threadsafe(server.stop(5), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def sent(port: int, data: bytes) -> tuple[int, str]:
    """Status and error message; the connection must end after them."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        response = http.client.HTTPResponse(connection)
        response.begin()
        text = response.read()
        assert connection.recv(1) == b""
        return response.status, json.loads(text)["error"]


def test_heads_and_bodies_are_bounded() -> None:
    tight = HttpLimits(max_headers=5, max_header_bytes=1000, max_body_bytes=2000, head_seconds=0.5, body_seconds=0.5)
    post = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\n".encode()
    with limited(tight) as port:
        assert sent(port, post + b"a: 1\r\n" * 5 + b"\r\n")[0] == 431
        assert sent(port, post + b"a: " + b"1" * 1000 + b"\r\n\r\n")[0] == 431
        assert sent(port, post)[0] == 408
        assert sent(port, b"nonsense\r\n\r\n")[0] == 400
        too_large = 413, "the body has 2001 bytes; at most 2000 are accepted"
        assert sent(port, post + b"Content-Length: 2001\r\n\r\n") == too_large
        chunked = post + b"Transfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n%b\r\n" % bytes(1000) * 3
        assert sent(port, chunked)[0] == 413
        late = 408, "the body was not received within 0.5 s; send it again"
        assert sent(port, post + b"Content-Length: 20\r\n\r\nhalf") == late


def test_all_bodies_together_are_bounded() -> None:
    post = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n".encode()
    with limited(HttpLimits(max_bytes_held=5000)) as port, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", port)
        held = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(3)]
        for connection in held:
            connection.sendall(post + bytes(2500))
        refused, _, _ = select.select(held, [], [], 20)
        assert refused[0].recv(12) == b"HTTP/1.1 503"
        for connection in held:
            connection.close()
