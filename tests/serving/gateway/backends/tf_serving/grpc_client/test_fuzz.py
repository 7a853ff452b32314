"""Random and mutated frames from the server.

Whatever a server sends, each request ends with a response or a typed error, the event loop sees no exception, and the
connection holds no more data than its limit.
"""

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import hpack
import pytest

from serving.gateway.backends.tf_serving.grpc_client import RpcError, frames
from serving.gateway.backends.tf_serving.grpc_client.connection import Connection
from serving.gateway.backends.tf_serving.grpc_client.stream import StreamError, StreamResponse
from tests.serving.gateway.backends.tf_serving.grpc_client.calls import call
from tests.serving.gateway.backends.tf_serving.grpc_client.conftest import OpenChannel, StartServer
from tests.serving.gateway.backends.tf_serving.grpc_client.frame_server import ClientConnection, frame, prefixed, uint32

SEEDS = 1000
MAX_RESPONSE = 5_000
REQUESTS = 3

Frame = tuple[int, int, int, bytes]


def valid_frames(rng: random.Random) -> list[Frame]:
    """Return SETTINGS and responses to streams 1, 3 and 5, with control frames in between."""
    encoder = hpack.Encoder()
    sent: list[Frame] = [(frames.SETTINGS, 0, 0, b"")]
    for stream in (1, 3, 5):
        block = encoder.encode(
            [(":status", "200"), ("content-type", "application/grpc"), ("x", "y" * rng.randrange(99))]
        )
        half = rng.randrange(len(block))
        sent.append((frames.HEADERS, 0, stream, block[:half]))
        sent.append((frames.CONTINUATION, frames.END_HEADERS, stream, block[half:]))
        body = prefixed(rng.randbytes(rng.choice([0, 10, 4000, 6000])))
        sent += [(frames.DATA, 0, stream, body[at : at + 2000]) for at in range(0, len(body), 2000)]
        sent.append((frames.PING, 0, 0, bytes(8)))
        sent.append((frames.WINDOW_UPDATE, 0, rng.choice([0, stream]), uint32(rng.randrange(1, 2**20))))
        trailers = encoder.encode([("grpc-status", "0")])
        sent.append((frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, trailers))
    return sent


def random_frame(rng: random.Random) -> Frame:
    size = rng.choice([0, 1, 4, 6, 8, 8, 50, 16_384])
    return rng.randrange(12), rng.randrange(256), rng.choice([0, 1, 2, 3, 5, 7, 2**31 - 1]), rng.randbytes(size)


def mutate(rng: random.Random, sent: list[Frame]) -> None:
    at = rng.randrange(len(sent))
    kind, flags, stream, payload = sent[at]
    match rng.randrange(7):
        case 0:
            sent.insert(at, random_frame(rng))
        case 1:
            sent.pop(at)
            sent.append((frames.GOAWAY, 0, 0, uint32(rng.choice([0, 1, 3, 2**31 - 1]), rng.randrange(14))))
        case 2:
            sent.insert(rng.randrange(len(sent)), sent[at])
        case 3:
            sent[at] = kind, flags ^ 1 << rng.randrange(8), stream, payload
        case 4:
            sent[at] = kind, flags, rng.choice([0, 1, 2, 3, 5, 7]), payload
        case 5:
            sent[at] = kind, flags, stream, payload[: rng.randrange(len(payload) + 1)]
        case 6 if payload:
            changed = bytearray(payload)
            changed[rng.randrange(len(changed))] = rng.randrange(256)
            sent[at] = kind, flags, stream, bytes(changed)


def server_bytes(seed: int) -> bytes:
    rng = random.Random(seed)
    sent = valid_frames(rng)
    for _ in range(rng.randrange(5)):
        mutate(rng, sent)
    encoded = bytearray(b"".join(frame(*each) for each in sent))
    if rng.random() < 0.2:  # frame boundaries too
        encoded[rng.randrange(len(encoded))] = rng.randrange(256)
    if rng.random() < 0.1:
        del encoded[rng.randrange(len(encoded)) :]
    return bytes(encoded)


@contextlib.contextmanager
def no_loop_errors():  # type: ignore[no-untyped-def]
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    yield
    assert not errors


async def run_connection(sent: bytes, *, chunks: bool) -> list[Any]:
    """Return the results of the requests on a connection whose server sends these bytes and closes."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    _, connection = await loop.create_connection(partial(Connection, lambda: None, MAX_RESPONSE), sock=ours)
    # Fail on more buffered data than the limit, whenever data arrives.
    receive = connection.data_received

    def data_received(data: bytes) -> None:
        receive(data)
        assert connection._buffered_bytes <= 5 * MAX_RESPONSE

    connection.data_received = data_received  # type: ignore[method-assign]
    streams = [connection.request(b"\x83\x86\x84", prefixed(b"hello")) for _ in range(REQUESTS)]
    step = 7 if chunks else max(1, len(sent))
    with contextlib.closing(theirs), contextlib.suppress(OSError):
        for at in range(0, len(sent), step):
            await loop.sock_sendall(theirs, sent[at : at + step])
            if chunks:
                await asyncio.sleep(0)
        theirs.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(20):
            await connection.draining
            while await loop.sock_recv(theirs, 65_536):
                pass
    async with asyncio.timeout(20):
        results = await asyncio.gather(*(stream.response for stream in streams), return_exceptions=True)
    assert not connection._streams and not connection._buffered_bytes
    return results


@pytest.mark.parametrize("chunks", [False, True])
async def test_connections_survive_any_frames(chunks: bool) -> None:
    responses = failures = 0
    with no_loop_errors():
        for seed in range(SEEDS // (4 if chunks else 1)):
            for result in await run_connection(server_bytes(seed), chunks=chunks):
                assert isinstance(result, StreamResponse | StreamError), f"seed {seed}: {result!r}"
                responses += isinstance(result, StreamResponse)
                failures += isinstance(result, StreamError)
    assert responses > SEEDS / 10 and failures > SEEDS / 10, "the mutations are neither harmless nor all fatal"


async def test_channels_survive_any_frames(open_channel: OpenChannel, start_server: StartServer) -> None:
    """Calls end with a message or an RpcError, and the channel reconnects."""

    def fuzz(seed: int) -> Callable[[ClientConnection], None]:
        def script(client: ClientConnection) -> None:
            client.read_request()
            client.socket.sendall(server_bytes(seed))
            client.socket.shutdown(socket.SHUT_WR)
            client.wait_for_close()

        return script

    def respond(client: ClientConnection) -> None:
        while True:
            stream, _, message = client.read_request()
            client.respond(stream, message)

    channel = open_channel(
        start_server(*(fuzz(seed) for seed in range(12)), respond).port, max_message_bytes=MAX_RESPONSE
    )
    with no_loop_errors():
        async with asyncio.timeout(60):
            while True:
                try:
                    if await call(channel) == b"hello":
                        break
                except RpcError:
                    await asyncio.sleep(0.01)
