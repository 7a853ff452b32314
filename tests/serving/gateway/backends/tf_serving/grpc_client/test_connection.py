"""One connection against a server that sends scripted frames."""

import asyncio
import contextlib
import math
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator
from functools import partial

import pytest

from serving.gateway.backends.tf_serving.grpc_client import frames, keepalive
from serving.gateway.backends.tf_serving.grpc_client.connection import Connection
from serving.gateway.backends.tf_serving.grpc_client.stream import (
    ResponseTooLarge,
    Stream,
    StreamError,
    StreamResponse,
)
from tests.serving.gateway.backends.tf_serving.grpc_client.conftest import StartServer
from tests.serving.gateway.backends.tf_serving.grpc_client.frame_server import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_FLAG,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ClientConnection,
    FrameServer,
    frame,
    prefixed,
    settings_payload,
    uint32,
)

MAX_RESPONSE = 100_000
PIECE = bytes(10_000)


@contextlib.asynccontextmanager
async def connected(server: FrameServer) -> AsyncIterator[Connection]:
    protocol = partial(Connection, lambda: None, MAX_RESPONSE)
    _, connection = await asyncio.get_running_loop().create_connection(protocol, "127.0.0.1", server.port)
    try:
        await connection.ready
        yield connection
    finally:
        connection.abort()


def send_request(connection: Connection, body: bytes = b"\0\0\0\0\0") -> Stream:
    return connection.request(b"\x83\x86\x84", body)  # POST http /


async def stream_error(stream: Stream) -> StreamError:
    with pytest.raises(StreamError) as failed:
        async with asyncio.timeout(20):
            await stream.response
    return failed.value


# --- SETTINGS, PING, GOAWAY, RST_STREAM ---


async def test_settings_are_announced_and_acknowledged(start_server: StartServer) -> None:
    received: dict[int, int] = {}

    def script(client: ClientConnection) -> None:
        received.update(frames.read_settings(client.read_until(SETTINGS)[3]))
        assert client.read_until(WINDOW_UPDATE)[2:] == (0, uint32(frames.MAX_WINDOW - frames.DEFAULT_WINDOW))
        assert client.read_until(SETTINGS)[1] == frames.ACK
        client.send(SETTINGS, frames.ACK, 0)
        client.respond(client.read_request()[0], b"ok")

    async with connected(start_server(script)) as connection:
        assert (await send_request(connection).response).body == prefixed(b"ok")
    assert received == {
        frames.ENABLE_PUSH: 0,
        frames.INITIAL_WINDOW_SIZE: MAX_RESPONSE + 1,
        frames.MAX_HEADER_LIST_SIZE: 65_536,
    }


async def test_pings_are_answered_with_their_payload(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        client.send(PING, 0, 0, b"payload!")
        assert client.read_until(PING)[1:] == (frames.ACK, 0, b"payload!")
        client.send(PING, frames.ACK, 0, b"nobodys!")  # unsolicited
        client.respond(stream, b"ok")

    async with connected(start_server(script)) as connection:
        assert (await send_request(connection).response).body == prefixed(b"ok")


async def test_max_concurrent_streams(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        first, _, _ = client.read_request()
        second, _, _ = client.read_request()
        client.respond(first, b"first")
        client.respond(second, b"second")
        client.wait_for_close()

    server = start_server(script, settings={frames.MAX_CONCURRENT_STREAMS: 2})
    async with connected(server) as connection:
        first = send_request(connection)
        assert connection.has_capacity
        second = send_request(connection)
        assert not connection.has_capacity
        await first.response
        assert connection.has_capacity
        await second.response


async def test_goaway_refuses_later_streams_and_lets_earlier_ones_finish(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        streams = [client.read_request()[0] for _ in range(3)]
        client.send(GOAWAY, 0, 0, uint32(frames.MAX_STREAM_ID, 0) + b"soon")
        client.send(GOAWAY, 0, 0, uint32(streams[0], 0))
        client.respond(streams[0], b"ok")
        client.wait_for_close()

    async with connected(start_server(script)) as connection:
        streams = [send_request(connection) for _ in range(3)]
        assert [(await stream_error(stream)).refused for stream in streams[1:]] == [True, True]
        assert not connection.has_capacity and connection.draining.done()
        assert (await streams[0].response).body == prefixed(b"ok")
        assert not connection.failure, "a regular end is not a failure"


@pytest.mark.parametrize(("code", "refused"), [(frames.REFUSED_STREAM, True), (frames.INTERNAL_ERROR, False)])
async def test_reset_ends_one_stream(start_server: StartServer, code: int, refused: bool) -> None:
    def script(client: ClientConnection) -> None:
        first, _, _ = client.read_request()
        client.send(RST_STREAM, 0, first, uint32(code))
        client.send(RST_STREAM, 0, first, uint32(code))  # of an ended stream
        client.respond(client.read_request()[0], b"ok")

    async with connected(start_server(script)) as connection:
        failed = await stream_error(send_request(connection))
        assert (failed.code, failed.refused) == (code, refused)
        assert (await send_request(connection).response).body == prefixed(b"ok")


async def test_cancel_resets_the_stream_and_late_frames_are_ignored(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        assert client.read_until(RST_STREAM)[2:] == (stream, uint32(frames.CANCEL))
        client.respond(stream, b"late")
        client.send(WINDOW_UPDATE, 0, stream, uint32(5))
        client.respond(client.read_request()[0], b"ok")

    async with connected(start_server(script)) as connection:
        connection.cancel(send_request(connection))
        assert (await send_request(connection).response).body == prefixed(b"ok")


# --- responses ---


async def test_headers_in_parts_with_padding_priority_and_unknown_frames(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        block = client.encoder.encode([(":status", "200"), ("x-long", "y" * 3000)])
        client.send(HEADERS, PADDED | PRIORITY_FLAG, stream, bytes([7]) + bytes(5) + block[:10] + bytes(7))
        client.send(CONTINUATION, 0, stream, block[10:2000])
        client.send(CONTINUATION, END_HEADERS, stream, block[2000:])
        client.send(DATA, PADDED, stream, bytes([3]) + b"pad" + bytes(3))
        client.send(PRIORITY, 0, stream, bytes(5))
        client.send(0xF0, 0xFF, stream, b"unknown type")
        client.send(SETTINGS, 0, 0, settings_payload({0xF0F0: 1}))
        client.send(DATA, 0, stream, b"ded")
        client.send_headers(stream, True, grpc_status="0")

    async with connected(start_server(script)) as connection:
        headers, body, trailers = await send_request(connection).response
    assert headers == {":status": "200", "x-long": "y" * 3000}
    assert (body, trailers) == (b"padded", {"grpc-status": "0"})


async def test_frames_byte_by_byte(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = frame(HEADERS, END_HEADERS, stream, b"\x88")
        for byte in headers + frame(DATA, END_STREAM, stream, b"slow"):
            client.socket.sendall(bytes([byte]))
        client.wait_for_close()

    async with connected(start_server(script)) as connection:
        assert await send_request(connection).response == ({":status": "200"}, b"slow", {})


async def test_trailers_only(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        client.send_headers(client.read_request()[0], True, status="200", grpc_status="5")
        client.wait_for_close()

    async with connected(start_server(script)) as connection:
        headers, body, trailers = await send_request(connection).response
    assert headers == trailers == {":status": "200", "grpc-status": "5"} and body == b""


async def test_endless_response_is_reset_and_the_connection_goes_on(start_server: StartServer) -> None:
    sent: list[int] = []

    def script(client: ClientConnection) -> None:
        window = frames.read_settings(client.read_until(SETTINGS)[3])[frames.INITIAL_WINDOW_SIZE]
        stream, _, _ = client.read_request()
        client.send_headers(stream, False, status="200")
        while sum(sent) + len(PIECE) <= window:
            client.send(DATA, 0, stream, PIECE)
            sent.append(len(PIECE))
        sent.append(window - sum(sent))
        client.send(DATA, 0, stream, bytes(sent[-1]))
        assert client.read_until(RST_STREAM)[2:] == (stream, uint32(frames.CANCEL))
        client.respond(client.read_request()[0], b"next")
        client.wait_for_close()

    async with connected(start_server(script)) as connection:
        assert isinstance(await stream_error(send_request(connection)), ResponseTooLarge)
        assert (await send_request(connection).response).body == prefixed(b"next")
    assert sum(sent) == MAX_RESPONSE + 1, "one byte over the limit shows that the response is too large"


async def test_server_that_ignores_the_reset_is_disconnected(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        while True:
            client.send(DATA, 0, stream, PIECE)

    async with connected(start_server(script)) as connection:
        stream = send_request(connection)
        assert isinstance(await stream_error(stream), ResponseTooLarge)
        async with asyncio.timeout(20):
            await connection.draining
        assert "more data on ended streams" in connection.failure


async def test_padding_does_not_use_up_the_window(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        client.send_headers(stream, False, status="200")
        for _ in range(4 * MAX_RESPONSE // 256):
            client.send(DATA, PADDED, stream, bytes([255]) + b"x" + bytes(255))
            while (found := client.read_until(WINDOW_UPDATE))[2] != stream:
                pass
            assert found[3] == uint32(256)
        client.send_headers(stream, True, grpc_status="0")
        client.wait_for_close()

    async with connected(start_server(script)) as connection:
        assert (await send_request(connection).response).body == b"x" * (4 * MAX_RESPONSE // 256)


async def test_incomplete_responses_are_bounded_together(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        streams = [client.read_request()[0] for _ in range(12)]
        for stream in streams:
            client.send_headers(stream, False, status="200")
        for _ in range(9):
            for stream in streams:
                client.send(DATA, 0, stream, PIECE)
        for stream in streams:
            client.send_headers(stream, True, grpc_status="0")
        client.wait_for_close()

    async with connected(start_server(script)) as connection:
        results = await asyncio.gather(*(send_request(connection).response for _ in range(12)), return_exceptions=True)
    failed = [result for result in results if isinstance(result, StreamError)]
    assert {error.code for error in failed} == {frames.ENHANCE_YOUR_CALM}
    complete = [result for result in results if isinstance(result, StreamResponse)]
    assert len(complete) >= 4 and len(failed) + len(complete) == 12
    assert all(len(response.body) == 90_000 for response in complete)


async def test_small_frames_cost_no_more_memory_than_their_bytes(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        client.send_headers(stream, False, status="200")
        for _ in range(100):
            client.socket.sendall((frame(DATA, 0, stream, b"x") + 9 * frame(DATA, 0, stream)) * 100)
        client.send_headers(stream, True, grpc_status="0")
        client.wait_for_close()

    async with connected(start_server(script)) as connection:
        stream = send_request(connection)
        tracemalloc.start()
        try:
            assert (await stream.response).body == b"x" * 10_000
            assert tracemalloc.get_traced_memory()[1] < 700_000, "one object per frame would take a megabyte"
        finally:
            tracemalloc.stop()


# --- flow control of requests ---


async def test_request_body_follows_both_windows(start_server: StartServer) -> None:
    body = prefixed(bytes(range(256)) * 312)
    steps = [  # stream id of a window update, increment, bytes that it releases
        (1, 7, 7),
        (1, 20_000, 20_000),
        (1, 50_000, 65_535 - 20_017),  # the connection's window ends first
        (0, 100_000, 70_017 - 65_535),
        (1, 100_000, len(body) - 70_017),
    ]

    def script(client: ClientConnection) -> None:
        received = b""

        def receive(size: int) -> int:
            nonlocal received
            end = len(received) + size
            while len(received) < end:
                _, flags, _, payload = client.read_until(DATA)
                assert len(payload) <= frames.DEFAULT_MAX_FRAME_SIZE
                received += payload
            assert len(received) == end
            return flags

        receive(10)
        for stream, increment, released in steps:
            client.send(PING, 0, 0, bytes(8))
            while (found := client.read())[:2] != (PING, frames.ACK):
                assert found[0] != DATA, "more data than the windows allow"
            client.send(WINDOW_UPDATE, 0, stream, uint32(increment))
            flags = receive(released)
        assert flags == END_STREAM and received == body
        client.respond(1, b"ok")

    server = start_server(script, settings={frames.INITIAL_WINDOW_SIZE: 10})
    async with connected(server) as connection:
        assert (await send_request(connection, body).response).body == prefixed(b"ok")


async def test_response_before_the_request_is_complete(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        _, _, stream, _ = client.read_until(HEADERS)
        client.send_headers(stream, True, status="200", grpc_status="8")
        assert client.read_until(RST_STREAM)[2] == stream
        client.respond(client.read_request()[0], b"ok")

    server = start_server(script, settings={frames.INITIAL_WINDOW_SIZE: 10})
    async with connected(server) as connection:
        assert (await send_request(connection, bytes(100)).response).trailers["grpc-status"] == "8"
        assert (await send_request(connection).response).body == prefixed(b"ok")


async def test_smaller_initial_window_applies_to_open_streams(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        _, _, stream, _ = client.read_until(HEADERS)
        assert len(client.read_until(DATA)[3]) == 10
        client.send(SETTINGS, 0, 0, settings_payload({frames.INITIAL_WINDOW_SIZE: 0}))  # the window becomes -10
        client.send(WINDOW_UPDATE, 0, stream, uint32(10))
        client.send(PING, 0, 0, bytes(8))
        assert client.read_until(PING)[1] == frames.ACK
        client.send(WINDOW_UPDATE, 0, stream, uint32(5))
        assert client.read_until(DATA)[1:] == (END_STREAM, stream, bytes(5))
        client.respond(stream, b"ok")

    server = start_server(script, settings={frames.INITIAL_WINDOW_SIZE: 10})
    async with connected(server) as connection:
        assert (await send_request(connection, bytes(15)).response).body == prefixed(b"ok")


async def test_many_settings_with_many_streams_cost_little(start_server: StartServer) -> None:
    """Applied to each stream one by one, these settings would block the event loop for minutes."""
    values = b"".join(struct.pack(">HI", frames.INITIAL_WINDOW_SIZE, number % 7) for number in range(2700))

    def script(client: ClientConnection) -> None:
        first, _, _ = client.read_request()
        client.socket.sendall(frame(SETTINGS, 0, 0, values) * 50)
        client.send(PING, 0, 0, b"12345678")
        client.read_until(PING)
        client.respond(first, b"done")
        client.wait_for_close()

    async with connected(start_server(script)) as connection:
        first = send_request(connection)
        others = [send_request(connection) for _ in range(3000)]
        started = time.monotonic()
        assert (await first.response).body == prefixed(b"done")
        assert time.monotonic() - started < 10
        assert not any(stream.response.done() for stream in others)


# --- violations of the protocol ---

VIOLATIONS = {
    "DATA on stream 0": (frame(DATA, 0, 0, b"x"), frames.PROTOCOL_ERROR),
    "DATA on an idle stream": (frame(DATA, 0, 99, b"x"), frames.PROTOCOL_ERROR),
    "DATA on a server stream": (frame(DATA, 0, 2, b"x"), frames.PROTOCOL_ERROR),
    "DATA with too much padding": (frame(DATA, PADDED, 1, b"\x05abc"), frames.PROTOCOL_ERROR),
    "HEADERS on an idle stream": (frame(HEADERS, END_HEADERS, 99, b"\x88"), frames.PROTOCOL_ERROR),
    "HEADERS that are not HPACK": (frame(HEADERS, END_HEADERS, 1, b"\xff\xff"), frames.COMPRESSION_ERROR),
    "HEADERS with a large table size": (frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\x7f"), frames.COMPRESSION_ERROR),
    "CONTINUATION first": (frame(CONTINUATION, END_HEADERS, 1, b"\x88"), frames.PROTOCOL_ERROR),
    "CONTINUATION missing": (frame(HEADERS, 0, 1, b"\x88") + frame(PING, 0, 0, bytes(8)), frames.PROTOCOL_ERROR),
    "CONTINUATION elsewhere": (frame(HEADERS, 0, 1) + frame(CONTINUATION, END_HEADERS, 3), frames.PROTOCOL_ERROR),
    "PUSH_PROMISE": (frame(PUSH_PROMISE, END_HEADERS, 1, uint32(2) + b"\x82\x86\x84"), frames.PROTOCOL_ERROR),
    "RST_STREAM on an idle stream": (frame(RST_STREAM, 0, 99, uint32(0)), frames.PROTOCOL_ERROR),
    "RST_STREAM of five bytes": (frame(RST_STREAM, 0, 1, bytes(5)), frames.FRAME_SIZE_ERROR),
    "SETTINGS of five bytes": (frame(SETTINGS, 0, 0, bytes(5)), frames.FRAME_SIZE_ERROR),
    "SETTINGS on a stream": (frame(SETTINGS, 0, 1), frames.PROTOCOL_ERROR),
    "SETTINGS with push": (frame(SETTINGS, 0, 0, settings_payload({frames.ENABLE_PUSH: 1})), frames.PROTOCOL_ERROR),
    "SETTINGS with a large window": (
        frame(SETTINGS, 0, 0, settings_payload({frames.INITIAL_WINDOW_SIZE: 2**31})),
        frames.FLOW_CONTROL_ERROR,
    ),
    "SETTINGS with small frames": (
        frame(SETTINGS, 0, 0, settings_payload({frames.MAX_FRAME_SIZE: 100})),
        frames.PROTOCOL_ERROR,
    ),
    "PING of seven bytes": (frame(PING, 0, 0, bytes(7)), frames.FRAME_SIZE_ERROR),
    "PING on a stream": (frame(PING, 0, 1, bytes(8)), frames.PROTOCOL_ERROR),
    "GOAWAY of seven bytes": (frame(GOAWAY, 0, 0, bytes(7)), frames.FRAME_SIZE_ERROR),
    "GOAWAY on a stream": (frame(GOAWAY, 0, 1, bytes(8)), frames.PROTOCOL_ERROR),
    "WINDOW_UPDATE by 0": (frame(WINDOW_UPDATE, 0, 0, uint32(0)), frames.PROTOCOL_ERROR),
    "WINDOW_UPDATE of three bytes": (frame(WINDOW_UPDATE, 0, 0, bytes(3)), frames.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE on an idle stream": (frame(WINDOW_UPDATE, 0, 99, uint32(1)), frames.PROTOCOL_ERROR),
    "WINDOW_UPDATE beyond 2^31 - 1": (frame(WINDOW_UPDATE, 0, 0, uint32(2**31 - 1)), frames.FLOW_CONTROL_ERROR),
    "stream WINDOW_UPDATE beyond it": (frame(WINDOW_UPDATE, 0, 1, uint32(2**31 - 1)), frames.FLOW_CONTROL_ERROR),
    "oversized frame": ((16_385).to_bytes(3, "big") + bytes(6), frames.FRAME_SIZE_ERROR),
    "HTTP/1.1": (b"HTTP/1.1 400 Bad Request\r\n\r\n", frames.FRAME_SIZE_ERROR),
}


@pytest.mark.parametrize(("sent", "code"), VIOLATIONS.values(), ids=VIOLATIONS)
async def test_violation_closes_the_connection(start_server: StartServer, sent: bytes, code: int) -> None:
    codes: list[int] = []

    def script(client: ClientConnection) -> None:
        client.read_request()
        client.socket.sendall(sent)
        codes.append(client.read_goaway())
        client.wait_for_close()

    server = start_server(script)
    async with connected(server) as connection:
        failed = await stream_error(send_request(connection))
        assert failed.code is None and not failed.refused
        assert "violates HTTP/2" in str(failed) and connection.failure == str(failed)
        assert not connection.has_capacity
        await asyncio.to_thread(server.join)
    assert codes == [code]


@pytest.mark.parametrize("how", ["long", "many", "empty"])
@pytest.mark.parametrize("trailers", [False, True])
async def test_endless_headers_close_the_connection(start_server: StartServer, how: str, trailers: bool) -> None:
    codes: list[int] = []

    def script(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        if trailers:
            client.send_headers(stream, False, status="200")
        if how == "long":
            client.send_headers(stream, True, status="200", long="x" * 70_000)
        elif how == "many":
            client.send(HEADERS, END_HEADERS | END_STREAM, stream, b"\x88" * 10_000)
        else:
            client.send(HEADERS, END_STREAM, stream, b"")
            with contextlib.suppress(OSError):
                while True:
                    client.socket.sendall(frame(CONTINUATION, 0, stream) * 1000)
        with contextlib.suppress(OSError):  # unread data may reset the connection
            codes.append(client.read_goaway())

    server = start_server(script)
    async with connected(server) as connection:
        failed = await stream_error(send_request(connection))
        assert failed.code is None and "headers exceed" in str(failed)
        await asyncio.to_thread(server.join)
    assert codes in ([], [frames.ENHANCE_YOUR_CALM])


@pytest.mark.parametrize("kind", [PING, SETTINGS])
async def test_flood_of_frames_whose_acknowledgements_are_not_read(kind: int) -> None:
    """The Unix socket has no TCP time-out that would end it."""

    def flood(accepted: socket.socket) -> None:
        with contextlib.closing(accepted), contextlib.suppress(OSError):
            while True:
                accepted.sendall(frame(kind, 0, 0, b"12345678" if kind == PING else b"") * 1000)

    ours, theirs = socket.socketpair()
    protocol = partial(Connection, lambda: None, MAX_RESPONSE)
    _, connection = await asyncio.get_running_loop().create_connection(protocol, sock=ours)
    flooding = asyncio.create_task(asyncio.to_thread(flood, theirs))
    async with asyncio.timeout(60):
        await connection.draining
        await flooding
    assert "1000 acknowledgements are not read" in connection.failure


async def test_closed_by_the_server(start_server: StartServer) -> None:
    def script(client: ClientConnection) -> None:
        client.read_request()

    async with connected(start_server(script)) as connection:
        failed = await stream_error(send_request(connection))
        assert (failed.code, failed.refused) == (None, False)
        assert connection.draining.done()


async def test_server_without_settings_is_never_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept_and_close() -> None:
            listener.accept()[0].close()

        threading.Thread(target=accept_and_close, daemon=True).start()
        protocol = partial(Connection, lambda: None, MAX_RESPONSE)
        port = listener.getsockname()[1]
        _, connection = await asyncio.get_running_loop().create_connection(protocol, "127.0.0.1", port)
        with pytest.raises(ConnectionError):
            await connection.ready


# --- keep-alive ---


async def test_tcp_keepalive(start_server: StartServer) -> None:
    async with connected(start_server(ClientConnection.wait_for_close)) as connection:
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = [socket.TCP_USER_TIMEOUT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT]
        assert [sock.getsockopt(socket.IPPROTO_TCP, each) for each in options] == [2000, 30, 2, 1]


async def test_one_ping_while_a_call_is_pending(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepalive, "IDLE_TIME", 0.05)
    monkeypatch.setattr(keepalive, "PING_INTERVAL", math.inf)
    pings: list[bytes] = []

    def script(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        pings.append(client.read_until(PING)[3])
        client.send(PING, frames.ACK, 0, bytes(8))
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            pings.append(client.read_until(PING)[3])
        client.respond(stream, b"late")

    async with connected(start_server(script)) as connection:
        assert (await send_request(connection).response).body == prefixed(b"late")
    assert len(pings) == 1
