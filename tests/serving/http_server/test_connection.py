"""Order, framing and end of HTTP/1.1 connections: raw bytes to a real server whose responses a test releases."""

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
from serving.http_server.protocol import LimitedHttpProtocol

GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


class Server:
    """Responds with path and body size; to paths with ``wait`` only after :meth:`release`."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.disconnected: list[str] = []
        self.draining = False
        protocol = functools.partial(
            LimitedHttpProtocol,
            max_headers=20,
            max_header_bytes=8192,
            head_seconds=5,
            send_seconds=5,
            on_rejected=lambda _: None,
            on_disconnect=lambda scope: self.disconnected.append(scope["path"]),
            render_error=lambda code, message: json.dumps({"error": message, "code": code}).encode(),
            is_draining=lambda: self.draining,
        )
        config = uvicorn.Config(
            self._respond, http=protocol, ws="none", lifespan="off", interface="asgi3", log_config=None
        )  # type: ignore[arg-type]
        self._server = uvicorn.Server(config)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._loop = uvloop.new_event_loop()
        self._released = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()])

    async def _serve(self) -> None:
        await self._server.serve([self._listener])

    async def _respond(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.started.append(scope["path"])
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message["body"]
            more = message["more_body"]
        if "wait" in scope["path"]:
            await self._released.wait()
        echo = {
            "path": scope["path"],
            "body": len(body),
            "headers": [name.decode() for name, _ in scope["headers"]],
        }
        content = json.dumps(echo).encode()
        headers = [(b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def release(self) -> None:
        """Respond to the waiting requests."""
        self._loop.call_soon_threadsafe(self._released.set)

    def stop(self) -> None:
        self._server.should_exit = True

    @property
    def connections(self) -> list[LimitedHttpProtocol]:
        return list(self._server.server_state.connections)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        self._thread.start()
        wait_until(lambda: self._server.started)
        try:
            yield self
        finally:
            self.release()
            self.stop()
            self._thread.join()
            self._loop.close()
            self._listener.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(self._listener.getsockname(), timeout=20)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server().running() as running:
        yield running


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    """A server for tests that do not stop it."""
    with Server().running() as running:
        yield running


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def read_responses(stream: io.BufferedIOBase) -> list[tuple[int, dict[str, str], Any]]:
    """Return status, headers and JSON of each response until the connection ends."""
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
    """Send this, close the sending side, and return all responses."""
    with server.connect() as connection:
        for piece in sent:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        return read_responses(connection.makefile("rb"))


def test_half_closed_client_gets_all_responses(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(GET % b"wait" + POST % (b"b", 3) + b"abc" + GET % b"c")
        connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: server.started)
        server.release()
        found = read_responses(connection.makefile("rb"))
    assert [(status, echo["path"], echo["body"]) for status, _, echo in found] == [
        (200, "/wait", 0),
        (200, "/b", 3),
        (200, "/c", 0),
    ]
    assert ["connection" in headers for _, headers, _ in found] == [False, False, True]
    assert server.disconnected == []
    wait_until(lambda: not server.connections)


def test_unparsed_requests_are_answered_after_a_half_close(server: Server) -> None:
    count = 3000
    with server.connect() as connection:
        connection.sendall(GET % b"wait" + GET % b"b" * count)
        connection.shutdown(socket.SHUT_WR)
        server.release()
        assert len(read_responses(connection.makefile("rb"))) == count + 1


@pytest.mark.parametrize("rest", [POST % (b"b", 3) + b"a", b"GET /b HTTP/1.1\r\nHo", b""])
def test_half_close_drops_an_incomplete_request(server: Server, rest: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(GET % b"wait" + rest)
        connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: server.started)
        server.release()
        assert [echo["path"] for _, _, echo in read_responses(connection.makefile("rb"))] == ["/wait"]
    wait_until(lambda: not server.connections)


def test_half_close_in_the_middle_of_a_body_is_a_disconnect(server: Server) -> None:
    assert exchange(server, POST % (b"a", 3) + b"a") == []
    wait_until(lambda: server.disconnected == ["/a"])
    assert exchange(server, b"GET / HT") == []


def test_reset_disconnects_the_request_in_progress(server: Server) -> None:
    connection = server.connect()
    connection.sendall(GET % b"wait" + GET % b"b")
    wait_until(lambda: server.started)
    reset(connection)
    wait_until(lambda: server.disconnected == ["/wait"])
    server.release()
    wait_until(lambda: not server.connections)
    assert server.started == ["/wait"]


def test_pipelined_requests_wait_unparsed(server: Server) -> None:
    with server.connect() as connection:

        def send() -> None:
            with contextlib.suppress(OSError):  # the test ends first
                connection.sendall(GET % b"wait" + GET % b"b" * 200_000)

        sender = threading.Thread(target=send)
        sender.start()
        wait_until(lambda: server.started and any(one._unparsed for one in server.connections))
        (waiting,) = server.connections
        assert len(waiting.pipeline) <= PIECE // len(GET)
        assert len(waiting._unparsed) <= 262_144  # one read of uvloop
        assert exchange(server, GET % b"other")[0][0] == 200  # other connections get their turn
        server.release()
        stream = connection.makefile("rb")
        assert b"200" in stream.readline()
        stream.close()
        reset(connection)
        sender.join()
    wait_until(lambda: not server.connections)
    assert set(server.started) == {"/wait", "/b", "/other"}


def test_large_bodies_in_a_pipeline(shared: Server) -> None:
    chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
    chunked = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 30 + b"0\r\nX-A: b\r\n\r\n"
    large = POST % (b"a", 1_000_000) + b"x" * 1_000_000
    found = exchange(shared, (large + chunked + GET % b"b") * 3)
    assert [(echo["path"], echo["body"]) for _, _, echo in found] == [
        ("/a", 1_000_000),
        ("/c", 300_000),
        ("/b", 0),
    ] * 3
    assert all("x-a" not in echo["headers"] for _, _, echo in found)  # a trailer is not a header


def test_tiny_chunks_in_a_pipeline(shared: Server) -> None:
    head = b"POST /%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    counts = (1, 100_000, 0, 7)
    found = exchange(shared, *(head % count + b"1\r\na\r\n" * count + b"0\r\n\r\n" for count in counts))
    assert [(echo["path"], echo["body"]) for _, _, echo in found] == [(f"/{count}", count) for count in counts]


HOSTS = {
    "missing": b"GET / HTTP/1.1\r\n\r\n",
    "twice": b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "twice in 1.0": b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
    "two names": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "not a name": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
}


@pytest.mark.parametrize("sent", HOSTS.values(), ids=HOSTS)
def test_invalid_host_is_rejected(shared: Server, sent: bytes) -> None:
    for before in (b"", GET % b"a", POST % (b"a", 3) + b"abc"):
        *first, (status, headers, body) = exchange(shared, before + sent)
        assert (status, headers["connection"], body["code"]) == (400, "close", "bad_request")
        assert "Host" in body["error"]
        assert [answer[0] for answer in first] == ([200] if before else [])


@pytest.mark.parametrize("host", [b"x", b"", b"localhost:80", b"[::1]:80", b"a_b.example"])
def test_valid_hosts(shared: Server, host: bytes) -> None:
    assert exchange(shared, b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")[0][0] == 200
    assert exchange(shared, b"GET / HTTP/1.0\r\n\r\n")[0][0] == 200


_P = b"POST / HTTP/1.1\r\nHost: x\r\n"
AMBIGUOUS = {
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


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_requests_are_rejected(shared: Server, sent: bytes) -> None:
    """The server reads nothing after them."""
    found = exchange(shared, sent + GET % b"smuggled")
    assert [(status, body["code"]) for status, _, body in found] == [(400, "bad_request")]
    assert "/smuggled" not in shared.started


@pytest.mark.parametrize("end", [b"0\r\nX-A: ", b"0\r\n" + b"X-A: b\r\n" * 4000, b"1;a="])
def test_chunk_extensions_and_trailers_are_limited(shared: Server, end: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    ((status, _, body),) = exchange(shared, head + b"1\r\na\r\n" + end + b"b" * 20_000)
    assert (status, body["code"]) == (431, "head_too_large")


def test_client_that_still_sends_receives_the_error(shared: Server) -> None:
    with shared.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 2_000_000)
        ((status, _, _),) = read_responses(connection.makefile("rb"))
        assert status == 431


def test_draining_server_closes_after_each_response(server: Server) -> None:
    with server.connect() as before, server.connect() as idle:
        before.sendall(GET % b"wait")
        wait_until(lambda: server.started)
        server.draining = True
        idle.sendall(GET % b"a")
        ((status, headers, _),) = read_responses(idle.makefile("rb"))
        assert (status, headers["connection"]) == (200, "close")
        server.stop()
        server.release()
        ((status, headers, _),) = read_responses(before.makefile("rb"))
        assert status == 200


def test_pipelining_client_receives_the_last_response(server: Server) -> None:
    server.draining = True
    with server.connect() as connection:
        connection.sendall(GET % b"a" * 30_000)
        ((status, headers, _),) = read_responses(connection.makefile("rb"))
        assert (status, headers["connection"]) == (200, "close")
    assert server.started == ["/a"]


def test_request_during_shutdown_of_an_idle_connection_is_answered(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(GET % b"a")
        stream = connection.makefile("rb")
        assert b"200" in stream.readline()
        http.client.parse_headers(stream)
        connection.sendall(b"GET /b HTTP/1.1\r\n")  # the rest arrives after the server has begun to stop
        server.draining = True
        server.stop()
        wait_until(lambda: server._server.should_exit and not server._server.servers[0].is_serving())
        connection.sendall(b"Host: x\r\n\r\n")
        assert b'"/b"' in stream.read()
