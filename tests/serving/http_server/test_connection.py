"""Order, framing and end of HTTP/1.1 connections: a real server, raw bytes, answers that come when a test lets them."""

import asyncio
import contextlib
import functools
import http.client
import io
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
import uvloop

from serving.http_server.connection import PIECE
from serving.http_server.protocol import Protocol

GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


class Server:
    """Answers with path and body; a path with ``wait`` in it only once :meth:`go` was called."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.hung_up: list[str] = []
        self.draining = False
        protocol = functools.partial(
            Protocol,
            max_headers=20,
            max_header_bytes=8192,
            head_seconds=5,
            send_seconds=5,
            on_refused=lambda _: None,
            on_hang_up=lambda scope: self.hung_up.append(scope["path"]),
            render=lambda code, sentence: json.dumps({"error": sentence, "code": code}).encode(),
            is_draining=lambda: self.draining,
        )
        config = uvicorn.Config(
            self._answer, http=protocol, ws="none", lifespan="off", interface="asgi3", log_config=None
        )  # type: ignore[arg-type]
        self._server = uvicorn.Server(config)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._loop = uvloop.new_event_loop()
        self._go = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()])

    async def _serve(self) -> None:
        await self._server.serve([self._listener])

    async def _answer(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.started.append(scope["path"])
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message["body"]
            more = message["more_body"]
        if "wait" in scope["path"]:
            await self._go.wait()
        seen = {"path": scope["path"], "body": len(body), "headers": [name.decode() for name, _ in scope["headers"]]}
        content = json.dumps(seen).encode()
        headers = [(b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def go(self) -> None:
        """Let requests be answered."""
        self._loop.call_soon_threadsafe(self._go.set)

    def stop(self) -> None:
        self._server.should_exit = True

    @property
    def connections(self) -> list[Protocol]:
        return list(self._server.server_state.connections)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        self._thread.start()
        until(lambda: self._server.started)
        try:
            yield self
        finally:
            self.go()
            self.stop()
            self._thread.join()
            self._loop.close()
            self._listener.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(self._listener.getsockname(), timeout=20)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server().running() as one:
        yield one


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    """For tests that wait for nothing."""
    with Server().running() as one:
        yield one


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.002)


def answers(stream: io.BufferedIOBase) -> list[tuple[int, dict[str, str], Any]]:
    """Status, headers and JSON of every answer until the connection ends."""
    found = []
    while line := stream.readline():
        headers = http.client.parse_headers(stream)  # type: ignore[arg-type]
        body = stream.read(int(headers["content-length"]))
        found.append((int(line.split()[1]), {name.lower(): value for name, value in headers.items()}, json.loads(body)))
    return found


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def exchange(server: Server, *sent: bytes) -> list[tuple[int, dict[str, str], Any]]:
    """All answers to this from a client that then ends its sending side."""
    with server.connect() as connection:
        for piece in sent:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        return answers(connection.makefile("rb"))


def test_a_client_that_only_ends_its_sending_side_gets_all_its_answers(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(GET % b"wait" + POST % (b"b", 3) + b"abc" + GET % b"c")
        connection.shutdown(socket.SHUT_WR)
        until(lambda: server.started)
        server.go()
        found = answers(connection.makefile("rb"))
    assert [(status, seen["path"], seen["body"]) for status, _, seen in found] == [
        (200, "/wait", 0),
        (200, "/b", 3),
        (200, "/c", 0),
    ]
    assert ["connection" in headers for _, headers, _ in found] == [False, False, True]
    assert server.hung_up == []
    until(lambda: not server.connections)


def test_held_requests_are_answered_after_the_end_of_the_sending_side(server: Server) -> None:
    count = 3000
    with server.connect() as connection:
        connection.sendall(GET % b"wait" + GET % b"b" * count)
        connection.shutdown(socket.SHUT_WR)
        server.go()
        assert len(answers(connection.makefile("rb"))) == count + 1


@pytest.mark.parametrize("rest", [POST % (b"b", 3) + b"a", b"GET /b HTTP/1.1\r\nHo", b""])
def test_what_the_end_of_the_sending_side_leaves_incomplete_is_dropped(server: Server, rest: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(GET % b"wait" + rest)
        connection.shutdown(socket.SHUT_WR)
        until(lambda: server.started)
        server.go()
        assert [seen["path"] for _, _, seen in answers(connection.makefile("rb"))] == ["/wait"]
    until(lambda: not server.connections)


def test_the_end_in_the_middle_of_a_body_is_a_hang_up(server: Server) -> None:
    assert exchange(server, POST % (b"a", 3) + b"a") == []
    until(lambda: server.hung_up == ["/a"])
    assert exchange(server, b"GET / HT") == []


def test_a_reset_is_a_hang_up_of_the_request_under_way(server: Server) -> None:
    connection = server.connect()
    connection.sendall(GET % b"wait" + GET % b"b")
    until(lambda: server.started)
    reset(connection)
    until(lambda: server.hung_up == ["/wait"])
    server.go()
    until(lambda: not server.connections)
    assert server.started == ["/wait"]


def test_pipelined_requests_wait_unparsed_and_in_order(server: Server) -> None:
    with server.connect() as connection:

        def send() -> None:
            with contextlib.suppress(OSError):  # the test ends first
                connection.sendall(GET % b"wait" + GET % b"b" * 200_000)

        sender = threading.Thread(target=send)
        sender.start()
        until(lambda: server.started and any(one._held for one in server.connections))
        (held,) = server.connections
        assert len(held.pipeline) <= PIECE // len(GET)
        assert len(held._held) <= 262_144  # one read of uvloop
        assert exchange(server, GET % b"other")[0][0] == 200  # others have their turn
        server.go()
        stream = connection.makefile("rb")
        assert b"200" in stream.readline()
        stream.close()
        reset(connection)
        sender.join()
    until(lambda: not server.connections)
    assert set(server.started) == {"/wait", "/b", "/other"}


def test_large_bodies_in_a_pipeline(shared: Server) -> None:
    chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
    chunked = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 30 + b"0\r\nX-A: b\r\n\r\n"
    large = POST % (b"a", 1_000_000) + b"x" * 1_000_000
    found = exchange(shared, (large + chunked + GET % b"b") * 3)
    assert [(seen["path"], seen["body"]) for _, _, seen in found] == [("/a", 1_000_000), ("/c", 300_000), ("/b", 0)] * 3
    assert all("x-a" not in seen["headers"] for _, _, seen in found)  # a trailer is no header


HOSTS = {
    "missing": b"GET / HTTP/1.1\r\n\r\n",
    "twice": b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "twice in 1.0": b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
    "two names": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "not a name": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
}


def test_tiny_chunks_in_a_pipeline(shared: Server) -> None:
    head = b"POST /%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    counts = (1, 100_000, 0, 7)
    found = exchange(shared, *(head % count + b"1\r\na\r\n" * count + b"0\r\n\r\n" for count in counts))
    assert [(seen["path"], seen["body"]) for _, _, seen in found] == [(f"/{count}", count) for count in counts]


HOSTS = {
    "missing": b"GET / HTTP/1.1\r\n\r\n",
    "twice": b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "twice in 1.0": b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
    "two names": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "not a name": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
}


@pytest.mark.parametrize("sent", HOSTS.values(), ids=HOSTS)
def test_one_host_is_needed(shared: Server, sent: bytes) -> None:
    for before in (b"", GET % b"a", POST % (b"a", 3) + b"abc"):
        *first, (status, headers, body) = exchange(shared, before + sent)
        assert (status, headers["connection"], body["code"]) == (400, "close", "bad_request")
        assert "Host" in body["error"]
        assert [answer[0] for answer in first] == ([200] if before else [])


@pytest.mark.parametrize("host", [b"x", b"", b"localhost:80", b"[::1]:80", b"a_b.example"])
def test_hosts(shared: Server, host: bytes) -> None:
    assert exchange(shared, b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")[0][0] == 200
    assert exchange(shared, b"GET / HTTP/1.0\r\n\r\n")[0][0] == 200


_P = b"POST / HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = {
    "two lengths": _P + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a list of lengths": _P + b"Content-Length: 1, 1\r\n\r\na",
    "a signed length": _P + b"Content-Length: +1\r\n\r\na",
    "a length in hex": _P + b"Content-Length: 0x1\r\n\r\na",
    "a length too large": _P + b"Content-Length: 99999999999999999999\r\n\r\na",
    "length and chunks": _P + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": _P + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
    "length and chunks with an offer": _P
    + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in 1.0": b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked last of two": _P + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked first of two": _P + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": _P + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity": _P + b"Transfer-Encoding: identity\r\n\r\n",
    "another coding": _P + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a folded header": _P + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": _P + b"Content-Length : 1\r\n\r\na",
    "a bare LF": b"GET / HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n",
    "a bare CR": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\rc\r\n\r\n",
    "a zero byte": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\0c\r\n\r\n",
    "a length in a trailer": _P + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a chunk that ends with LF": _P + b"Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
    "an endless chunk size": _P + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n",
    "a chunk longer than it says": _P + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2": b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("sent", SMUGGLED.values(), ids=SMUGGLED)
def test_what_two_servers_may_read_differently_is_refused(shared: Server, sent: bytes) -> None:
    """And nothing after it is read."""
    found = exchange(shared, sent + GET % b"smuggled")
    assert [(status, body["code"]) for status, _, body in found] == [(400, "bad_request")]
    assert "/smuggled" not in shared.started


@pytest.mark.parametrize("end", [b"0\r\nX-A: ", b"0\r\n" + b"X-A: b\r\n" * 4000, b"1;a="])
def test_what_a_chunked_body_has_besides_its_content_is_bounded(shared: Server, end: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    ((status, _, body),) = exchange(shared, head + b"1\r\na\r\n" + end + b"b" * 20_000)
    assert (status, body["code"]) == (431, "head_too_large")


def test_an_error_is_read_by_a_client_that_still_sends(shared: Server) -> None:
    with shared.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 2_000_000)
        ((status, _, _),) = answers(connection.makefile("rb"))
        assert status == 431


def test_each_answer_of_a_draining_server_closes_its_connection(server: Server) -> None:
    with server.connect() as before, server.connect() as idle:
        before.sendall(GET % b"wait")
        until(lambda: server.started)
        server.draining = True
        idle.sendall(GET % b"a")
        ((status, headers, _),) = answers(idle.makefile("rb"))
        assert (status, headers["connection"]) == (200, "close")
        server.stop()
        server.go()
        ((status, headers, _),) = answers(before.makefile("rb"))
        assert status == 200


def test_the_last_answer_reaches_a_client_that_has_sent_more_requests(server: Server) -> None:
    server.draining = True
    with server.connect() as connection:
        connection.sendall(GET % b"a" * 30_000)
        ((status, headers, _),) = answers(connection.makefile("rb"))
        assert (status, headers["connection"]) == (200, "close")
    assert server.started == ["/a"]


def test_a_request_that_meets_the_shutdown_on_an_idle_connection_is_answered(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(GET % b"a")
        stream = connection.makefile("rb")
        assert b"200" in stream.readline()
        http.client.parse_headers(stream)
        connection.sendall(b"GET /b HTTP/1.1\r\n")  # its rest is under way when the server stops
        server.draining = True
        server.stop()
        until(lambda: server._server.should_exit and not server._server.servers[0].is_serving())
        connection.sendall(b"Host: x\r\n\r\n")
        assert b'"/b"' in stream.read()
