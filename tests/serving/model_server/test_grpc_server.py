"""The gRPC server on real sockets: gRPC's own client, and one that writes frames as few clients do."""

import asyncio
import contextlib
import gzip
import itertools
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import hpack
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from serving.model_server.errors import NotFound
from serving.model_server.grpc_server import Arguments, GrpcServer
from serving.model_server.http2 import frames

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x4, 0x8, 0x20
PROTOCOL_ERROR, FLOW_CONTROL, FRAME_SIZE, REFUSED, COMPRESSION, CALM = 0x1, 0x3, 0x6, 0x7, 0x9, 0xB


class Running:
    """A server in a loop of its own thread, with methods to try it by."""

    def __init__(self, arguments: str = "") -> None:
        self.loop = uvloop.new_event_loop()
        self.entered = threading.Semaphore(0)
        self.cancelled = threading.Event()
        self.errors: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda loop, context: self.errors.append(context))
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.release = self.run(self._event())
        self.server = self.run(self._open(arguments))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.run(self.server.listen("127.0.0.1", self.port))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _event(self) -> asyncio.Event:
        return asyncio.Event()

    async def _open(self, arguments: str) -> GrpcServer:
        unary = {"/t/echo": self.echo, "/t/wait": self.wait, "/t/fail": self.fail, "/t/break": self.break_}
        return GrpcServer(unary, {"/t/count": self.count}, Arguments.parse(arguments))

    async def echo(self, request: bytes) -> bytes:
        return request

    async def wait(self, request: bytes) -> bytes:
        self.entered.release()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return request

    async def fail(self, request: bytes) -> bytes:
        raise NotFound(f"no {request.decode()}: 100 % sure\n")

    async def break_(self, request: bytes) -> bytes:
        raise ZeroDivisionError

    async def count(self, request: bytes) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number
        if request == b"3":
            raise NotFound("a fourth")

    def go_on(self) -> None:
        self.loop.call_soon_threadsafe(self.release.set)

    def stop(self, grace: float) -> None:
        self.run(self.server.stop(grace))

    def close(self) -> None:
        self.stop(0)
        self.loop.call_soon_threadsafe(self.loop.stop)
        assert not self.errors


@contextlib.contextmanager
def running(arguments: str = "") -> Iterator[Running]:
    server = Running(arguments)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as server:
        yield server


UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@contextlib.contextmanager
def channel(server: Running, **more: Any) -> Iterator[grpc.Channel]:
    own = [*UNLIMITED, ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", own, **more) as opened:
        yield opened


class Raw:
    """A client that writes frames one by one and keeps those that come."""

    def __init__(self, server: Running, *, preface: bytes = PREFACE, settings: dict[int, int] | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.rest = b""
        self.socket.sendall(preface)
        self.send(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in (settings or {}).items()))

    def send(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self.socket.sendall(frame(kind, flags, stream, payload))

    def headers(self, path: str = "/t/echo", **more: str) -> bytes:
        pairs = [(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", "application/grpc")]
        return bytes(self.encoder.encode([*pairs, *((name.replace("_", "-"), text) for name, text in more.items())]))

    def call(self, stream: int, message: bytes, path: str = "/t/echo") -> None:
        self.send(HEADERS, END_HEADERS, stream, self.headers(path))
        body = prefixed(message)
        for at in range(0, len(body), 16_384):
            self.send(DATA, END_STREAM * (at + 16_384 >= len(body)), stream, body[at : at + 16_384])

    def read(self) -> tuple[int, int, int, bytes]:
        """The next frame; raises EOFError where the server has closed."""
        while len(self.rest) < 9 or len(self.rest) < 9 + int.from_bytes(self.rest[:3], "big"):
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.rest += data
        size = int.from_bytes(self.rest[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.rest[3:9])
        payload, self.rest = self.rest[9 : 9 + size], self.rest[9 + size :]
        return kind, flags, stream, payload

    def until(self, kind: int, stream: int | None = None) -> tuple[int, int, int, bytes]:
        while True:
            found = self.read()
            if found[0] == kind and stream in (None, found[2]):
                return found

    def answer(self, stream: int) -> tuple[bytes, dict[str, str]]:
        """The body and the last headers of the answer on a stream."""
        body = b""
        while True:
            kind, flags, number, payload = self.read()
            if number == stream and kind == DATA:
                body += payload
            elif kind == HEADERS:
                found = dict(self.decoder.decode(payload))
                if number == stream and flags & END_STREAM:
                    return body, found

    def goaway(self) -> int:
        """The error code with which the server closes."""
        code = int.from_bytes(self.until(GOAWAY)[3][4:8], "big")
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                self.read()
        return code


Connect = Callable[..., Raw]


@pytest.fixture
def connect() -> Iterator[Connect]:
    opened: list[Raw] = []

    def connect(server: Running, **more: Any) -> Raw:
        opened.append(Raw(server, **more))
        return opened[-1]

    yield connect
    for raw in opened:
        raw.socket.close()


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def prefixed(message: bytes, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, len(message)) + message


# --- with gRPC's own client ---


def test_calls_of_all_sizes_at_once_get_their_own_answers(server: Running) -> None:
    sizes = [0, 1, 100, 16_379, 16_384, 70_000, 3_000_000]

    def call(number: int) -> bool:
        message = bytes([number % 251]) * sizes[number % len(sizes)]
        return bool(echo(message, timeout=60) == message)

    with channel(server) as opened, ThreadPoolExecutor(32) as callers:
        echo = opened.unary_unary("/t/echo")
        assert all(callers.map(call, range(600)))


def test_a_message_of_100_megabytes(server: Running) -> None:
    message = bytes(range(256)) * 400_000
    with channel(server) as opened:
        assert opened.unary_unary("/t/echo")(message, timeout=60) == message


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_messages(server: Running, compression: grpc.Compression) -> None:
    with channel(server, compression=compression) as opened:
        assert opened.unary_unary("/t/echo")(b"a" * 10_000, timeout=20) == b"a" * 10_000


@pytest.mark.parametrize(
    ("path", "code", "details"),
    [
        ("/t/fail", grpc.StatusCode.NOT_FOUND, "no ü: 100 % sure\n"),
        ("/t/break", grpc.StatusCode.INTERNAL, "the model server failed; its log says how"),
        ("/t/nosuch", grpc.StatusCode.UNIMPLEMENTED, "Method not found!"),
    ],
)
def test_errors(server: Running, path: str, code: grpc.StatusCode, details: str) -> None:
    with channel(server) as opened, pytest.raises(grpc.RpcError) as raised:
        opened.unary_unary(path)("ü".encode(), timeout=20)
    assert (raised.value.code(), raised.value.details()) == (code, details)


def test_streams(server: Running) -> None:
    with channel(server) as opened:
        count = opened.unary_stream("/t/count")
        assert list(count(b"5", timeout=20)) == [b"0", b"1", b"2", b"3", b"4"]
        found = count(b"3", timeout=20)
        with pytest.raises(grpc.RpcError) as raised:
            for number in itertools.count():
                assert next(found) == b"%d" % number
    assert raised.value.details() == "a fourth"


def test_what_nobody_waits_for_any_more_is_cancelled() -> None:
    with running() as server, channel(server) as opened:
        wait = opened.unary_unary("/t/wait")
        call = wait.future(b"x", timeout=60)
        assert server.entered.acquire(timeout=20)
        call.cancel()
        assert server.cancelled.wait(20)
        server.cancelled.clear()
        with pytest.raises(grpc.RpcError) as raised:
            wait(b"x", timeout=0.2)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert server.cancelled.wait(20)


def test_stopping_lets_calls_end() -> None:
    with running() as server, channel(server) as opened:
        call = opened.unary_unary("/t/wait").future(b"x", timeout=60)
        assert server.entered.acquire(timeout=20)
        stopping = threading.Thread(target=server.stop, args=(30,))
        stopping.start()
        time.sleep(0.1)  # it has asked by now, and waits
        server.go_on()
        assert call.result() == b"x"
        stopping.join(20)
        assert not stopping.is_alive()
        with pytest.raises(grpc.RpcError) as raised:
            opened.unary_unary("/t/echo")(b"x", timeout=5)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_what_does_not_end_in_time_is_cut_off() -> None:
    with running() as server, channel(server) as opened:
        call = opened.unary_unary("/t/wait").future(b"x", timeout=60)
        assert server.entered.acquire(timeout=20)
        server.stop(0.1)
        assert call.exception(timeout=20).code() is grpc.StatusCode.UNAVAILABLE
        assert server.cancelled.wait(20)


def test_no_call_is_lost_where_connections_end_by_age() -> None:
    with running("grpc.max_connection_age_ms=30") as server, channel(server) as opened:
        echo = opened.unary_unary("/t/echo")
        connections = set()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert echo(b"x", timeout=20) == b"x"
            connections |= {id(each) for each in list(server.server._connections)}
    assert len(connections) > 3


def test_the_grace_after_an_age_ends_what_takes_longer() -> None:
    arguments = "grpc.max_connection_age_ms=30,grpc.max_connection_age_grace_ms=30"
    with running(arguments) as server, channel(server) as opened, pytest.raises(grpc.RpcError) as raised:
        opened.unary_unary("/t/wait")(b"x", timeout=20)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_messages_have_the_size_that_is_allowed() -> None:
    arguments = "grpc.max_receive_message_length=1000,grpc.max_send_message_length=500"
    with running(arguments) as server, channel(server) as opened:
        echo = opened.unary_unary("/t/echo")
        assert len(echo(bytes(500), timeout=20)) == 500
        for size, message in (
            (501, "Sent message larger than max (501 vs. 500)"),
            (1001, "SERVER: Received message larger than max (1001 vs. 1000)"),
            (1_000_000, "SERVER: Received message larger than max (1000000 vs. 1000)"),
        ):
            with pytest.raises(grpc.RpcError) as raised:
                echo(bytes(size), timeout=20)
            assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, message)
        assert echo(b"x", timeout=20) == b"x", "the connection goes on"


def test_arguments_without_effect_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    found = Arguments.parse("grpc.keepalive_time_ms=5,grpc.max_concurrent_streams=x,grpc.max_connection_age_ms=7")
    assert found == Arguments(max_connection_age_ms=7)
    assert [record.args for record in caplog.records] == [
        ("grpc.keepalive_time_ms=5",),
        ("grpc.max_concurrent_streams=x",),
    ]


# --- frame by frame ---


def test_frames_that_come_byte_by_byte(connect: Connect, server: Running) -> None:
    raw = connect(server)
    whole = frame(HEADERS, END_HEADERS, 1, raw.headers()) + frame(DATA, END_STREAM, 1, prefixed(b"slow"))
    for byte in whole:
        raw.socket.sendall(bytes([byte]))
    assert raw.answer(1) == (prefixed(b"slow"), {"grpc-status": "0"})


def test_headers_in_parts_with_padding_and_priority(connect: Connect, server: Running) -> None:
    raw = connect(server)
    block = raw.headers(x_long="y" * 3000)
    first = bytes([7]) + bytes(5) + block[:10] + bytes(7)
    raw.send(HEADERS, PADDED | WITH_PRIORITY, 1, first)
    raw.send(CONTINUATION, 0, 1, block[10:2000])
    raw.send(CONTINUATION, END_HEADERS, 1, block[2000:])
    raw.send(DATA, PADDED, 1, bytes([3]) + prefixed(b"padded")[:6] + bytes(3))
    raw.send(PRIORITY, 0, 1, bytes(5))
    raw.send(0xF0, 0xFF, 1, b"of a kind that nobody knows")
    raw.send(DATA, 0, 1, prefixed(b"padded")[6:])
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, raw.encoder.encode([("x-trailer", "1")]))
    assert raw.answer(1) == (prefixed(b"padded"), {"grpc-status": "0"})


def test_requests_that_are_interleaved(connect: Connect, server: Running) -> None:
    raw = connect(server)
    for stream in (1, 3, 5):
        raw.send(HEADERS, END_HEADERS, stream, raw.headers())
    for at in range(2):
        for stream in (5, 1, 3):
            raw.send(DATA, END_STREAM * at, stream, prefixed(bytes([stream]) * 6)[6 * at : 6 * at + 6][: 6 - at])
    found = {}
    while len(found) < 3:
        kind, _, number, payload = raw.read()
        if kind == DATA:
            found[number] = payload
    assert found == {stream: prefixed(bytes([stream]) * 6) for stream in (1, 3, 5)}


def test_an_answer_waits_for_the_clients_windows(connect: Connect, server: Running) -> None:
    raw = connect(server, settings={frames.INITIAL_WINDOW_SIZE: 10})
    raw.call(1, b"m" * 95)
    assert raw.until(DATA) == (DATA, 0, 1, prefixed(b"m" * 95)[:10])
    raw.send(WINDOW_UPDATE, 0, 1, struct.pack(">I", 20))
    assert len(raw.until(DATA)[3]) == 20
    raw.send(SETTINGS, 0, 0, struct.pack(">HI", frames.INITIAL_WINDOW_SIZE, 0))  # the window is now -10
    raw.send(WINDOW_UPDATE, 0, 1, struct.pack(">I", 15))
    assert len(raw.until(DATA)[3]) == 5
    raw.send(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1000))
    assert raw.answer(1) == (b"m" * 65, {"grpc-status": "0"})
    raw.send(SETTINGS, 0, 0, struct.pack(">HI", frames.INITIAL_WINDOW_SIZE, 2**20))
    raw.call(3, bytes(70_000))  # the connection has a window of its own, of 65,535 bytes
    sent = 0
    while sent < 65_535 - 100:
        sent += len(raw.until(DATA)[3])
    assert sent == 65_535 - 100
    raw.send(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**20))
    assert len(raw.answer(3)[0]) == 70_005 - sent


def test_pings_are_answered_and_a_small_table_of_headers_is_told_of(connect: Connect, server: Running) -> None:
    raw = connect(server, settings={frames.HEADER_TABLE_SIZE: 0})
    raw.send(PING, 0, 0, b"12345678")
    assert raw.until(PING) == (PING, frames.ACK, 0, b"12345678")
    raw.call(1, b"x")
    assert raw.until(HEADERS, 1)[3].startswith(b"\x20"), "RFC 7541, 4.2: the next headers begin with the update"
    raw.call(3, b"x")
    assert not raw.until(HEADERS, 3)[3].startswith(b"\x20")


def test_a_stream_that_was_reset_is_no_more(connect: Connect, server: Running) -> None:
    raw = connect(server)
    raw.send(HEADERS, END_HEADERS, 1, raw.headers())
    raw.send(RST_STREAM, 0, 1, bytes(4))
    raw.send(DATA, END_STREAM, 1, prefixed(b"late"))
    raw.call(3, b"next")
    assert raw.answer(3)[0] == prefixed(b"next")


def test_more_streams_than_allowed_are_refused(connect: Connect) -> None:
    with running("grpc.max_concurrent_streams=1") as server:
        raw = connect(server)
        assert frames.read_settings(raw.until(SETTINGS)[3])[-1] == (frames.MAX_CONCURRENT_STREAMS, 1)
        raw.send(HEADERS, END_HEADERS, 1, raw.headers())
        raw.send(HEADERS, END_HEADERS, 3, raw.headers())
        assert raw.until(RST_STREAM) == (RST_STREAM, 0, 3, struct.pack(">I", REFUSED))
        raw.send(DATA, END_STREAM, 1, prefixed(b"x"))
        assert raw.answer(1)[0] == prefixed(b"x")


@pytest.mark.parametrize(
    ("body", "more", "status", "message"),
    [
        (b"", {}, "13", "this one has none"),
        (prefixed(b"x") + prefixed(b"y"), {}, "13", "the message has 7 bytes, but 1 by its prefix"),
        (prefixed(b"xyz")[:-1], {}, "13", "the message has 2 bytes, but 3 by its prefix"),
        (prefixed(b"x", 1), {}, "12", "grpc-encoding 'identity'"),
        (prefixed(b"x", 1), {"grpc_encoding": "snappy"}, "12", "grpc-encoding 'snappy'"),
        (prefixed(b"no gzip", 1), {"grpc_encoding": "gzip"}, "13", "not in grpc-encoding 'gzip'"),
        (prefixed(gzip.compress(b"abc")[:-9], 1), {"grpc_encoding": "gzip"}, "13", "breaks off"),
    ],
)
def test_bodies_that_are_no_message(
    connect: Connect, server: Running, body: bytes, more: dict[str, str], status: str, message: str
) -> None:
    raw = connect(server)
    raw.send(HEADERS, END_HEADERS, 1, raw.headers(**more))
    raw.send(DATA, END_STREAM, 1, body)
    found = raw.answer(1)[1]
    assert (found["grpc-status"], message in found["grpc-message"]) == (status, True), found
    raw.call(3, b"next")
    assert raw.answer(3)[0] == prefixed(b"next")


def test_a_bomb_is_not_unpacked(connect: Connect) -> None:
    with running("grpc.max_receive_message_length=100000") as server:
        raw = connect(server)
        raw.send(HEADERS, END_HEADERS, 1, raw.headers(grpc_encoding="gzip"))
        raw.send(DATA, END_STREAM, 1, prefixed(gzip.compress(bytes(10_000_000)), 1))
        assert raw.answer(1)[1]["grpc-status"] == "8"


@pytest.mark.parametrize(
    ("change", "status"), [({":method": "GET"}, "405"), ({"content-type": "application/json"}, "415")]
)
def test_what_is_no_call(connect: Connect, server: Running, change: dict[str, str], status: str) -> None:
    raw = connect(server)
    own = {":method": "POST", ":scheme": "http", ":path": "/t/echo", "content-type": "application/grpc"}
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, raw.encoder.encode(list((own | change).items())))
    assert raw.answer(1)[1][":status"] == status


def test_a_connection_that_breaks_the_protocol_ends_and_says_why(connect: Connect, server: Running) -> None:
    def after(*wrong: bytes, headers: bool = False) -> int:
        raw = connect(server)
        if headers:
            raw.send(HEADERS, END_HEADERS, 1, raw.headers())
        raw.socket.sendall(b"".join(wrong))
        return raw.goaway()

    block = hpack.Encoder().encode([(":method", "POST"), (":path", "/t/echo")])
    assert after(frame(HEADERS, 0, 1, block), frame(PING, 0, 0, bytes(8))) == PROTOCOL_ERROR
    assert after(frame(CONTINUATION, END_HEADERS, 1, block)) == PROTOCOL_ERROR
    assert after(frame(HEADERS, END_HEADERS, 2, block)) == PROTOCOL_ERROR
    assert after(frame(DATA, 0, 7, b"x")) == PROTOCOL_ERROR
    assert after(frame(RST_STREAM, 0, 7, bytes(4))) == PROTOCOL_ERROR
    assert after(frame(RST_STREAM, 0, 1, bytes(3)), headers=True) == FRAME_SIZE
    assert after(frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff")) == COMPRESSION
    assert after(frame(HEADERS, END_HEADERS, 1, b"\x40\x01\xff\x01\xff")) == COMPRESSION
    assert after(frame(DATA, PADDED, 1, b"\x05abc"), headers=True) == PROTOCOL_ERROR
    assert after(frame(DATA, 0, 1, bytes(16_385)), headers=True) == FRAME_SIZE
    assert after(frame(SETTINGS, 0, 0, bytes(5))) == FRAME_SIZE
    assert after(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31))) == FLOW_CONTROL
    assert after(frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 100))) == PROTOCOL_ERROR
    assert after(frame(PING, 0, 0, bytes(7))) == FRAME_SIZE
    assert after(frame(WINDOW_UPDATE, 0, 0, bytes(4))) == PROTOCOL_ERROR
    assert after(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1))) == FLOW_CONTROL
    large = hpack.Encoder().encode([(f"x-{number}", "y" * 1000, True) for number in range(30)])
    parts = [frame(HEADERS, 0, 1, large[:16_000]), frame(CONTINUATION, END_HEADERS, 1, large[16_000:])]
    assert after(*parts) == CALM
    endless = [frame(CONTINUATION, 0, 1, large[:10_000]) for _ in range(4)]
    assert after(parts[0], *endless) == CALM


def test_clients_that_hang_up_with_answers_under_way_leave_no_error(connect: Connect) -> None:
    with running() as server:  # asserts as it closes
        for _ in range(30):
            raw = connect(server)
            for stream in range(1, 20, 2):
                raw.call(stream, b"x")
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.socket.close()
        with channel(server) as opened:
            assert opened.unary_unary("/t/echo")(b"x", timeout=20) == b"x"


def test_http_1_is_told_and_closed(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while data := plain.recv(1000):
            answer += data
    assert b"must speak HTTP/2" in answer


@given(
    st.lists(
        st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary(max_size=60)),
        max_size=8,
    ),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_frames_are_the_same_however_their_bytes_are_cut(
    sent: list[tuple[int, int, int, bytes]], cuts: list[int]
) -> None:
    whole = PREFACE + b"".join(frame(*each) for each in sent)
    reader, found = frames.Reader(), []
    for start, end in itertools.pairwise([0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]):
        found += reader.feed(whole[start:end])
    assert found == sent
    assert whole == PREFACE + b"".join(frames.frame(*each) for each in sent)
