"""Channels against servers that send scripted frames: what each kind of response or failure becomes."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
import trustme

from serving.gateway.backends.tf_serving.grpc_client import (
    Address,
    Channel,
    RpcError,
    client_ssl_context,
    frames,
    keepalive,
)
from serving.tfs_api.status_codes import Code
from tests.serving.gateway.backends.tf_serving.grpc_client.calls import call, failed_call
from tests.serving.gateway.backends.tf_serving.grpc_client.conftest import OpenChannel, StartServer
from tests.serving.gateway.backends.tf_serving.grpc_client.frame_server import (
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ClientConnection,
    frame,
    prefixed,
    uint32,
)

AUTHORITY = trustme.CA()
SERVER = AUTHORITY.issue_cert("127.0.0.1")


async def test_refused_call_is_sent_again(open_channel: OpenChannel, start_server: StartServer) -> None:
    def refuse(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        client.send(RST_STREAM, 0, stream, uint32(frames.REFUSED_STREAM))
        stream, _, message = client.read_request()
        client.respond(stream, message)
        stream, _, _ = client.read_request()
        client.send(GOAWAY, 0, 0, uint32(stream - 2, 0))
        client.wait_for_close()

    def respond(client: ClientConnection) -> None:
        stream, _, message = client.read_request()
        client.respond(stream, b"second: " + message)

    server = start_server(refuse, respond)
    channel = open_channel(server.port)
    assert await call(channel) == b"hello"
    assert await call(channel) == b"second: hello"
    assert server.connections == 2


async def test_call_that_is_always_refused_fails(open_channel: OpenChannel, start_server: StartServer) -> None:
    requests: list[int] = []

    def refuse(client: ClientConnection) -> None:
        while True:
            stream, _, _ = client.read_request()
            requests.append(stream)
            client.send(RST_STREAM, 0, stream, uint32(frames.REFUSED_STREAM))

    assert (await failed_call(open_channel(start_server(refuse).port))).code is Code.UNAVAILABLE
    assert len(requests) == 5


async def test_call_that_may_have_been_processed_is_not_sent_again(
    open_channel: OpenChannel, start_server: StartServer
) -> None:
    messages: list[bytes] = []

    def disconnect(client: ClientConnection) -> None:
        messages.append(client.read_request()[2])

    failed = await failed_call(open_channel(start_server(disconnect).port))
    assert failed.code is Code.UNAVAILABLE and messages == [b"hello"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (frames.INTERNAL_ERROR, Code.INTERNAL),
        (frames.CANCEL, Code.CANCELLED),
        (frames.ENHANCE_YOUR_CALM, Code.RESOURCE_EXHAUSTED),
        (frames.INADEQUATE_SECURITY, Code.PERMISSION_DENIED),
    ],
)
async def test_reset_call_is_not_sent_again(
    open_channel: OpenChannel, start_server: StartServer, code: int, expected: Code
) -> None:
    requests: list[int] = []

    def reset(client: ClientConnection) -> None:
        while True:
            stream, _, _ = client.read_request()
            requests.append(stream)
            client.send(RST_STREAM, 0, stream, uint32(code))

    assert (await failed_call(open_channel(start_server(reset).port))).code is expected
    assert len(requests) == 1


async def test_one_bad_response_does_not_affect_others(open_channel: OpenChannel, start_server: StartServer) -> None:
    def respond(client: ClientConnection) -> None:
        first, _, _ = client.read_request()
        second, _, message = client.read_request()
        client.send_headers(first, True, status="200", grpc_status="3", grpc_message="x" * 60_000)
        client.respond(second, message)
        third, _, message = client.read_request()
        block = client.encoder.encode([(b":status", b"200"), (b"server", b"caf\xe9")])  # not UTF-8
        client.send(HEADERS, END_HEADERS, third, block)
        client.send(DATA, 0, third, prefixed(message))
        client.send_headers(third, True, grpc_status="0")

    channel = open_channel(start_server(respond).port)
    first, second = await asyncio.gather(call(channel, b"1"), call(channel, b"2"), return_exceptions=True)
    assert isinstance(first, RpcError) and first.code is Code.INVALID_ARGUMENT and second == b"2"
    assert await call(channel, b"3") == b"3"


async def test_header_table_size_changes(open_channel: OpenChannel, start_server: StartServer) -> None:
    def respond(client: ClientConnection) -> None:
        for size in (0, 4096, 0, 4096):
            stream, _, message = client.read_request()
            client.encoder.header_table_size = size
            client.respond(stream, message)

    channel = open_channel(start_server(respond, settings={frames.HEADER_TABLE_SIZE: 0}).port)
    for number in range(4):
        assert await call(channel, b"%d" % number) == b"%d" % number


async def test_expired_requests_are_not_sent_to_a_slow_server(
    open_channel: OpenChannel, start_server: StartServer
) -> None:
    may_read = threading.Event()
    sizes: list[int] = []

    def read_slowly(client: ClientConnection) -> None:
        client.send(WINDOW_UPDATE, 0, 0, uint32(2**30))
        stream, _, message = client.read_request()
        client.respond(stream, message)
        assert may_read.wait(20)
        while True:
            stream, _, message = client.read_request()
            sizes.append(len(message))
            client.respond(stream, message[:10])

    server = start_server(read_slowly, settings={frames.INITIAL_WINDOW_SIZE: frames.MAX_WINDOW})
    channel = open_channel(server.port)
    await call(channel)
    for _ in range(5):
        failed = await failed_call(channel, message=bytes(8_000_000), seconds=0.1)
        assert failed.code is Code.DEADLINE_EXCEEDED
    may_read.set()
    assert await call(channel, b"small") == b"small"
    assert sum(sizes) < 20_000_000, "most of the expired requests never left the client"


# --- statuses and messages ---


@pytest.mark.parametrize(
    ("headers", "code", "details"),
    [
        ({"status": "503"}, Code.UNAVAILABLE, "HTTP status 503"),
        ({"status": "404", "content_type": "text/html"}, Code.UNIMPLEMENTED, "HTTP status 404"),
        ({"status": "418"}, Code.UNKNOWN, "HTTP status 418"),
        ({"status": "200"}, Code.UNKNOWN, "the response has no grpc-status"),
        ({"status": "200", "grpc_status": "99"}, Code.UNKNOWN, ""),
        ({"status": "200", "grpc_status": "x"}, Code.UNKNOWN, ""),
        ({"status": "200", "grpc_status": "16", "grpc_message": "100%25 %FF"}, Code.UNAUTHENTICATED, "100% \ufffd"),
        ({"status": "503", "grpc_status": "5", "grpc_message": "none"}, Code.NOT_FOUND, "none"),
        ({"status": "200", "grpc_status": "0"}, Code.INTERNAL, "the response body of 0 bytes is not exactly one"),
    ],
)
async def test_trailers_only_responses(
    open_channel: OpenChannel, start_server: StartServer, headers: dict[str, str], code: Code, details: str
) -> None:
    def respond(client: ClientConnection) -> None:
        client.send_headers(client.read_request()[0], True, **headers)
        client.wait_for_close()

    failed = await failed_call(open_channel(start_server(respond).port))
    assert failed.code is code and failed.details.startswith(details)


@pytest.mark.parametrize(
    "body", [b"", b"\0\0\0\0\5abc", prefixed(b"one") + prefixed(b"two"), prefixed(b"small", compressed=1)]
)
async def test_bodies_that_are_not_one_message(
    open_channel: OpenChannel, start_server: StartServer, body: bytes
) -> None:
    def respond(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        client.send_headers(stream, False, status="103")
        client.send_headers(stream, False, status="200")
        client.send(DATA, 0, stream, body)
        client.send_headers(stream, True, grpc_status="0")
        client.wait_for_close()

    assert (await failed_call(open_channel(start_server(respond).port))).code is Code.INTERNAL


async def test_missing_grpc_status_after_a_body(open_channel: OpenChannel, start_server: StartServer) -> None:
    def respond(client: ClientConnection) -> None:
        stream, _, _ = client.read_request()
        client.send_headers(stream, False, status="200")
        client.send(DATA, 0x1, stream, prefixed(b"message"))
        client.wait_for_close()

    failed = await failed_call(open_channel(start_server(respond).port))
    assert (failed.code, failed.details) == (Code.UNKNOWN, "the response has no grpc-status")


# --- connections that cannot be made, or break ---


async def test_unknown_name(open_channel: OpenChannel) -> None:
    failed = await failed_call(open_channel(1, host="no-such-host.invalid"))
    assert failed.code is Code.UNAVAILABLE and "no-such-host.invalid" in failed.details


async def test_unknown_name_among_others(start_server: StartServer) -> None:
    def respond(client: ClientConnection) -> None:
        stream, _, message = client.read_request()
        client.respond(stream, message)

    addresses = [Address("no-such-host.invalid", 1), Address("127.0.0.1", start_server(respond).port)]
    channel = Channel(addresses, max_message_bytes=1000)
    assert await call(channel) == b"hello"
    await channel.close()


async def test_port_without_a_server(open_channel: OpenChannel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    started = time.monotonic()
    failed = await failed_call(open_channel(port))
    assert failed.code is Code.UNAVAILABLE and "refused" in failed.details.lower()
    assert time.monotonic() - started < 5


async def test_server_that_sends_nothing(open_channel: OpenChannel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        channel = open_channel(listener.getsockname()[1])
        started = time.monotonic()
        failed = await failed_call(channel)
        assert failed.code is Code.UNAVAILABLE and "no connection within 1 s" in failed.details
        assert time.monotonic() - started < 8


async def test_server_that_stops_answering_pings(
    open_channel: OpenChannel, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalive, "IDLE_TIME", 0.2)
    monkeypatch.setattr(keepalive, "PING_INTERVAL", 0.2)
    monkeypatch.setattr(keepalive, "PING_TIMEOUT", 1.0)
    pings: list[int] = []

    def fall_silent(client: ClientConnection) -> None:
        stream, _, message = client.read_request()
        for _ in range(2):
            client.read_until(PING)
            pings.append(1)
            client.send(PING, frames.ACK, 0, bytes(8))
        client.respond(stream, message)
        client.read_request()
        while True:
            pings.append(client.read_until(PING)[0])

    channel = open_channel(start_server(fall_silent).port)
    assert await call(channel) == b"hello", "a slow server that answers pings keeps its connection"
    failed = await failed_call(channel)
    assert failed.code is Code.UNAVAILABLE and "ping" in failed.details
    assert len(pings) == 3


async def test_stream_ids_run_out(
    open_channel: OpenChannel, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_STREAM_ID", 21)

    def respond(client: ClientConnection) -> None:
        while True:
            stream, _, message = client.read_request()
            assert stream < 21
            client.respond(stream, message)

    server = start_server(respond)
    channel = open_channel(server.port)
    for number in range(50):
        assert await call(channel, b"%d" % number) == b"%d" % number
    assert server.connections == 5


# --- TLS ---


@contextlib.contextmanager
def tls_server(protocols: list[str], sent: bytes, received: list[bytes], *, close: bool):  # type: ignore[no-untyped-def]
    """Yield the port of a TLS server that reads once and sends these bytes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(protocols)
    SERVER.configure_cert(context)
    accepted: list[socket.socket] = []

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                connection = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
                accepted.append(connection)
                connection.do_handshake()
                connection.sendall(frame(SETTINGS, 0, 0))
                received.append(connection.recv(65536))
                connection.sendall(sent)
                if close:
                    connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        while thread.is_alive():  # it may still read from a client that has just connected
            for connection in list(accepted):
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
            thread.join(0.05)
    for connection in accepted:
        connection.close()


def trusting_context(folder: Path) -> ssl.SSLContext:
    AUTHORITY.cert_pem.write_to_path(folder / "ca.pem")
    return client_ssl_context(folder / "ca.pem", None, None)


async def test_violation_over_tls_fails_all_calls_at_once(open_channel: OpenChannel, tmp_path: Path) -> None:
    """The server never answers the client's close_notify."""
    violation = frame(WINDOW_UPDATE, 0, 0, uint32(0))
    with tls_server(["h2"], violation, [], close=False) as port:
        channel = open_channel(port, ssl_context=trusting_context(tmp_path))
        started = time.monotonic()
        for _ in range(3):
            assert (await failed_call(channel)).code is Code.UNAVAILABLE
        assert time.monotonic() - started < 8


@pytest.mark.parametrize("protocols", [[], ["http/1.1"]])
async def test_tls_server_must_select_http2(open_channel: OpenChannel, tmp_path: Path, protocols: list[str]) -> None:
    received: list[bytes] = []
    with tls_server(protocols, b"", received, close=True) as port:
        failed = await failed_call(open_channel(port, ssl_context=trusting_context(tmp_path)))
    assert failed.code is Code.UNAVAILABLE and "it selected nothing, not h2" in failed.details
    assert not any(received), "the client sent nothing"
