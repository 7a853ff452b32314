"""What a client's connection holds, with servers that send too much of everything."""

import asyncio
import contextlib
import math
import socket
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import pytest

from serving.gateway.backends.tf_serving.grpc_client import frames, keepalive
from serving.gateway.backends.tf_serving.grpc_client.connection import Connection
from serving.gateway.backends.tf_serving.grpc_client.stream import ResponseTooLarge, Stream, StreamError, StreamResponse
from tests.serving.gateway.backends.tf_serving.grpc_client.frame_server import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Fake,
    Peer,
    frame,
)

Serve = Callable[..., Fake]
LARGEST = 100_000
PIECE = bytes(10_000)


@pytest.fixture
def serve() -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:
        yield lambda *scripts, **more: stack.enter_context(contextlib.closing(Fake(*scripts, **more)))


@contextlib.asynccontextmanager
async def connected(fake: Fake) -> AsyncIterator[Connection]:
    made = partial(Connection, lambda: None, LARGEST)
    _, connection = await asyncio.get_running_loop().create_connection(made, "127.0.0.1", fake.port)
    try:
        await connection.ready
        yield connection
    finally:
        connection.abort()


def ask(connection: Connection) -> Stream:
    return connection.request(b"\x83\x86\x84", b"\0\0\0\0\0")  # POST http /


async def failure(stream: Stream) -> StreamError:
    with pytest.raises(StreamError) as failed:
        async with asyncio.timeout(20):
            await stream.response
    return failed.value


async def test_an_endless_answer_is_reset_and_the_connection_goes_on(serve: Serve) -> None:
    sent: list[int] = []

    def endless(peer: Peer) -> None:
        window = dict(frames.read_settings(peer.until(SETTINGS)[3]))[frames.INITIAL_WINDOW_SIZE]
        stream, _, _ = peer.request()
        peer.headers(stream, False, status="200")
        while sum(sent) + len(PIECE) <= window:
            peer.send(DATA, 0, stream, PIECE)
            sent.append(len(PIECE))
        sent.append(window - sum(sent))
        peer.send(DATA, 0, stream, bytes(sent[-1]))
        assert peer.until(RST_STREAM)[2:] == (stream, struct.pack(">I", frames.CANCEL))
        stream, _, _ = peer.request()
        peer.answer(stream, b"next")
        peer.until(GOAWAY)  # the client never says it: until it has closed

    async with connected(serve(endless)) as connection:
        assert isinstance(await failure(ask(connection)), ResponseTooLarge)
        assert (await ask(connection).response).body[5:] == b"next"
    assert sum(sent) == LARGEST + 1, "the window shows whether an answer is too large, and has no room for more"


async def test_a_server_that_does_not_heed_the_reset_is_left(serve: Serve) -> None:
    def endless(peer: Peer) -> None:
        stream, _, _ = peer.request()
        while True:
            peer.send(DATA, 0, stream, PIECE)

    async with connected(serve(endless)) as connection:
        stream = ask(connection)
        assert isinstance(await failure(stream), ResponseTooLarge)
        async with asyncio.timeout(20):
            await connection.draining
        assert "more data on ended streams" in connection.failure


async def test_padding_does_not_use_up_the_window(serve: Serve) -> None:
    def pad(peer: Peer) -> None:
        stream, _, _ = peer.request()
        peer.headers(stream, False, status="200")
        for _ in range(4 * LARGEST // 256):
            peer.send(DATA, PADDED, stream, bytes([255]) + b"x" + bytes(255))
            while (found := peer.until(WINDOW_UPDATE))[2] != stream:
                pass
            assert found[3] == struct.pack(">I", 256)
        peer.headers(stream, True, grpc_status="0")
        peer.until(GOAWAY)

    async with connected(serve(pad)) as connection:
        assert (await ask(connection).response).body == b"x" * (4 * LARGEST // 256)


async def test_answers_under_way_are_bounded_together(serve: Serve) -> None:
    def all_at_once(peer: Peer) -> None:
        streams = [peer.request()[0] for _ in range(12)]
        for stream in streams:
            peer.headers(stream, False, status="200")
        for _ in range(9):
            for stream in streams:
                peer.send(DATA, 0, stream, PIECE)
        for stream in streams:
            peer.headers(stream, True, grpc_status="0")
        peer.until(GOAWAY)

    async with connected(serve(all_at_once)) as connection:
        answers = await asyncio.gather(*(ask(connection).response for _ in range(12)), return_exceptions=True)
        failed = [answer for answer in answers if isinstance(answer, StreamError)]
        assert {each.code for each in failed} == {frames.ENHANCE_YOUR_CALM}
        whole = [answer for answer in answers if isinstance(answer, StreamResponse)]
        assert len(whole) >= 4 and len(failed) + len(whole) == 12
        assert all(len(answer.body) == 90_000 for answer in whole)


async def test_small_frames_cost_no_more_than_their_bytes(serve: Serve) -> None:
    def drip(peer: Peer) -> None:
        stream, _, _ = peer.request()
        peer.headers(stream, False, status="200")
        for _ in range(100):
            peer.socket.sendall((frame(DATA, 0, stream, b"x") + 9 * frame(DATA, 0, stream)) * 100)
        peer.headers(stream, True, grpc_status="0")
        peer.until(GOAWAY)

    async with connected(serve(drip)) as connection:
        stream = ask(connection)
        tracemalloc.start()
        try:
            assert (await stream.response).body == b"x" * 10_000
            assert tracemalloc.get_traced_memory()[1] < 700_000, "one object a frame would take a megabyte"
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("trailers", [False, True])
@pytest.mark.parametrize("how", ["long", "many", "empty"])
async def test_headers_without_end_end_the_connection(serve: Serve, how: str, trailers: bool) -> None:
    codes: list[int] = []

    def talk(peer: Peer) -> None:
        stream, _, _ = peer.request()
        if trailers:
            peer.headers(stream, False, status="200")
        if how == "long":
            peer.headers(stream, True, status="200", long="x" * 70_000)
        elif how == "many":
            peer.send(HEADERS, END_HEADERS | END_STREAM, stream, b"\x88" * 10_000)
        else:
            peer.send(HEADERS, END_STREAM, stream, b"")
            with contextlib.suppress(OSError):
                while True:
                    peer.socket.sendall(frame(CONTINUATION, 0, stream) * 1000)
        with contextlib.suppress(OSError):  # what it had not read yet may reset the connection
            codes.append(int.from_bytes(peer.until(GOAWAY)[3][4:8], "big"))

    async with connected(serve(talk)) as connection:
        failed = await failure(ask(connection))
        assert failed.code is None and "headers exceed" in str(failed)
    assert codes in ([], [frames.ENHANCE_YOUR_CALM])


async def test_a_push_ends_the_connection(serve: Serve) -> None:
    def push(peer: Peer) -> None:
        stream, _, _ = peer.request()
        peer.send(PUSH_PROMISE, END_HEADERS, stream, struct.pack(">I", 2) + b"\x82\x86\x84")
        peer.until(GOAWAY)

    async with connected(serve(push)) as connection:
        assert "push" in str(await failure(ask(connection)))


async def test_many_settings_with_many_streams_cost_little(serve: Serve) -> None:
    """Applied to each stream one by one, these would hold the gateway for minutes."""
    values = b"".join(struct.pack(">HI", frames.INITIAL_WINDOW_SIZE, number % 7) for number in range(2700))

    def settle(peer: Peer) -> None:
        first, _, _ = peer.request()
        peer.socket.sendall(frame(SETTINGS, 0, 0, values) * 50)
        peer.send(PING, 0, 0, b"12345678")
        peer.until(PING)
        peer.answer(first, b"done")
        peer.until(GOAWAY)

    async with connected(serve(settle)) as connection:
        first = ask(connection)
        others = [ask(connection) for _ in range(3000)]
        started = time.monotonic()
        assert (await first.response).body[5:] == b"done"
        assert time.monotonic() - started < 10
        assert not any(stream.response.done() for stream in others)


@pytest.mark.parametrize("kind", [PING, SETTINGS])
async def test_acknowledgements_that_nobody_reads_are_bounded(kind: int) -> None:
    """On a Unix socket, where no time-out of TCP ends it."""

    def flood(accepted: socket.socket) -> None:
        with contextlib.closing(accepted), contextlib.suppress(OSError):
            while True:
                accepted.sendall(frame(kind, 0, 0, b"12345678" if kind == PING else b"") * 1000)

    ours, theirs = socket.socketpair()
    made = partial(Connection, lambda: None, LARGEST)
    _, connection = await asyncio.get_running_loop().create_connection(made, sock=ours)
    flooding = asyncio.create_task(asyncio.to_thread(flood, theirs))
    async with asyncio.timeout(60):
        await connection.draining
        await flooding
    assert "1000 acknowledgements are not read" in connection.failure


async def test_lost_hosts_are_noticed_without_pings(serve: Serve) -> None:
    async with connected(serve(lambda peer: peer.read())) as connection:
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = [socket.TCP_USER_TIMEOUT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT]
        assert [sock.getsockopt(socket.IPPROTO_TCP, each) for each in options] == [2000, 30, 2, 1]


async def test_a_ping_goes_when_a_call_is_pending_and_then_not_for_a_while(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalive, "IDLE_TIME", 0.05)
    monkeypatch.setattr(keepalive, "PING_INTERVAL", math.inf)
    pings: list[bytes] = []

    def silent(peer: Peer) -> None:
        stream, _, _ = peer.request()
        pings.append(peer.until(PING)[3])
        peer.send(PING, frames.ACK, 0, bytes(8))
        peer.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            pings.append(peer.until(PING)[3])
        peer.answer(stream, b"late")
        peer.until(GOAWAY)

    async with connected(serve(silent)) as connection:
        assert (await ask(connection).response).body[5:] == b"late"
    assert len(pings) == 1
