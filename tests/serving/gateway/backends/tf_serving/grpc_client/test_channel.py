"""The gateway's gRPC client: with gRPC's own server, with ours, and with one that misbehaves."""

import asyncio
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from serving.gateway.backends.tf_serving.grpc_client import (
    Address,
    Channel,
    MessageTooLarge,
    RpcError,
    client_ssl_context,
    frames,
    keepalive,
)
from serving.tfs_api.status_codes import Code
from tests.serving.gateway.backends.tf_serving.grpc_client.frame_server import (
    DATA,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Fake,
    Peer,
    frame,
    prefixed,
)
from tests.serving.model_server.grpc_api.grpc_servers import running

Open = Callable[..., Channel]
LATER = 10.0
LARGEST = 32_000_000


@pytest.fixture
async def channel() -> AsyncIterator[Open]:
    opened: list[Channel] = []

    def open_(
        *ports: int, ssl_context: ssl.SSLContext | None = None, host: str = "127.0.0.1", largest: int = LARGEST
    ) -> Channel:
        addresses = [Address(host, port) for port in ports]
        opened.append(Channel(addresses, ssl_context, max_message_bytes=largest))
        return opened[-1]

    yield open_
    for each in opened:
        await each.close()


@pytest.fixture
def fake() -> Iterator[Callable[..., Fake]]:
    with ExitStack() as stack:
        yield lambda *scripts, **more: stack.enter_context(closing(Fake(*scripts, **more)))


async def ask(channel: Channel, message: bytes = b"hello", path: str = "/t/echo", seconds: float = LATER) -> bytes:
    return await channel.call(path, message, asyncio.get_running_loop().time() + seconds)


async def refusal(channel: Channel, **more: Any) -> RpcError:
    with pytest.raises(RpcError) as failed:
        await ask(channel, **more)
    return failed.value


# --- gRPC's own server ---


class Methods(grpc.GenericRpcHandler):
    """Echo, failure, and one that waits."""

    def __init__(self) -> None:
        self.metadata: dict[str, str] = {}
        self.peers: set[str] = set()
        self.left: float | None = None
        self.entered, self.cancelled = threading.Event(), threading.Event()

    def service(self, details: Any) -> Any:
        methods = {"/t/echo": self.echo, "/t/fail": self.fail, "/t/wait": self.wait, "/t/large": self.large}
        method = methods.get(details.method)
        return method and grpc.unary_unary_rpc_method_handler(method)

    def echo(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.metadata = dict(context.invocation_metadata())
        self.left = context.time_remaining()
        self.peers.add(context.peer())
        return request

    def large(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.peers.add(context.peer())
        return bytes(int(request))

    def fail(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: 100 % sure\nüber")

    def wait(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.entered.set()
        if not context.add_callback(self.cancelled.set):  # it is cancelled already
            self.cancelled.set()
        self.cancelled.wait(20)
        return request


@contextmanager
def grpcio(
    methods: Methods,
    *,
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
    options: Sequence[tuple[str, int]] = (),
) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1), *options])
    server.add_generic_rpc_handlers([methods])
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


@pytest.mark.parametrize("size", [0, 1, 100_000, 9_000_000])
async def test_messages_of_any_size(channel: Open, size: int) -> None:
    message = os.urandom(size)
    with grpcio(Methods()) as port:
        assert await ask(channel(port), message) == message


async def test_many_calls_at_once_are_not_mixed_up(channel: Open) -> None:
    with grpcio(Methods()) as port:
        opened = channel(port)
        messages = [b"%d" % number * 3000 for number in range(200)]
        assert await asyncio.gather(*(ask(opened, message) for message in messages)) == messages


async def test_status_and_message(channel: Open) -> None:
    with grpcio(Methods()) as port:
        opened = channel(port)
        failed = await refusal(opened, path="/t/fail")
        assert (failed.code, failed.details) == (Code.NOT_FOUND, "no such thing: 100 % sure\nüber")
        assert (await refusal(opened, path="/t/none")).code is Code.UNIMPLEMENTED
        assert await ask(opened) == b"hello"


async def test_metadata_and_deadline_reach_the_server(channel: Open) -> None:
    methods = Methods()
    with grpcio(methods) as port:
        deadline = asyncio.get_running_loop().time() + 3.21
        await channel(port).call("/t/echo", b"", deadline, [("traceparent", "00-ab-cd-01")])
    assert methods.metadata["traceparent"] == "00-ab-cd-01"
    assert methods.left is not None and 2 < methods.left < 3.4


@pytest.mark.parametrize("by", ["deadline", "cancel"])
async def test_who_waits_no_longer_tells_the_server(channel: Open, by: str) -> None:
    methods = Methods()
    with grpcio(methods) as port:
        opened = channel(port)
        await ask(opened)
        if by == "deadline":
            assert (await refusal(opened, path="/t/wait", seconds=0.3)).code is Code.DEADLINE_EXCEEDED
        else:
            task = asyncio.create_task(ask(opened, path="/t/wait"))
            assert await asyncio.to_thread(methods.entered.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await asyncio.to_thread(methods.cancelled.wait, 10)
        assert await ask(opened) == b"hello"


async def test_a_message_over_the_limit_is_refused_and_the_connection_goes_on(channel: Open) -> None:
    methods = Methods()
    with grpcio(methods) as port:
        opened = channel(port, largest=100_000)
        for _ in range(20):
            failed = await refusal(opened, message=b"20000000", path="/t/large")
            assert isinstance(failed, MessageTooLarge)
            assert (failed.code, failed.details) == (
                Code.RESOURCE_EXHAUSTED,
                "the response message is larger than 100000 bytes",
            )
        assert len(await ask(opened, b"100000", path="/t/large")) == 100_000
        assert isinstance(await refusal(opened, message=b"100001", path="/t/large"), MessageTooLarge)
        others = await asyncio.gather(
            *(ask(opened, b"%d" % (n % 2 * 5_000_000), path="/t/large") for n in range(20)), return_exceptions=True
        )
        assert others[::2] == [b""] * 10 and all(isinstance(one, MessageTooLarge) for one in others[1::2])
    assert len(methods.peers) == 1, "all on one connection"


async def test_pings_are_so_rare_that_grpcs_own_server_bears_them(
    channel: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keepalive.PING_INTERVAL > 300, "gRPC's own servers take one in five minutes"
    monkeypatch.setattr(keepalive, "IDLE_TIME", 0.1)
    monkeypatch.setattr(keepalive, "PING_INTERVAL", 1.1)
    monkeypatch.setattr(keepalive, "PING_TIMEOUT", 0.5)
    methods = Methods()
    options = [("grpc.http2.min_ping_interval_without_data_ms", 1000), ("grpc.http2.max_ping_strikes", 1)]
    with grpcio(methods, options=options) as port:
        opened = channel(port)
        failed = await refusal(opened, path="/t/wait", seconds=5)
        assert failed.code is Code.DEADLINE_EXCEEDED, failed
        assert await ask(opened) == b"hello"


async def test_unix_socket(channel: Open, tmp_path: Path) -> None:
    path = str(tmp_path / "models.sock")
    with grpcio(Methods(), address=f"unix:{path}"):
        assert await ask(channel(0, host=path)) == b"hello"


AUTHORITY = trustme.CA()
SERVER = AUTHORITY.issue_cert("localhost", "127.0.0.1")


def ssl_context(folder: Path, authority: trustme.CA, own: trustme.LeafCert | None = None) -> ssl.SSLContext:
    ca, cert, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.cert_pem.write_to_path(ca)
    if own is None:
        return client_ssl_context(ca, None, None)
    own.cert_chain_pems[0].write_to_path(cert)
    own.private_key_pem.write_to_path(key)
    return client_ssl_context(ca, cert, key)


async def test_an_authority_below_the_root_may_be_trusted_by_itself(channel: Open, tmp_path: Path) -> None:
    below = AUTHORITY.create_child_ca()
    server = below.issue_cert("127.0.0.1")
    chain = b"".join(pem.bytes() for pem in server.cert_chain_pems)
    with grpcio(Methods(), credentials=grpc.ssl_server_credentials([(server.private_key_pem.bytes(), chain)])) as port:
        assert await ask(channel(port, ssl_context=ssl_context(tmp_path, below))) == b"hello"


@pytest.mark.parametrize("client_verify", [False, True])
async def test_tls(channel: Open, tmp_path: Path, client_verify: bool) -> None:
    credentials = grpc.ssl_server_credentials(
        [(SERVER.private_key_pem.bytes(), SERVER.cert_chain_pems[0].bytes())],
        AUTHORITY.cert_pem.bytes() if client_verify else None,
        client_verify,
    )
    own = AUTHORITY.issue_cert("gateway") if client_verify else None
    with grpcio(Methods(), credentials=credentials) as port:
        message = os.urandom(200_000)
        assert await ask(channel(port, ssl_context=ssl_context(tmp_path, AUTHORITY, own)), message) == message
        stranger = await refusal(channel(port, ssl_context=ssl_context(tmp_path, trustme.CA())))
        assert stranger.code is Code.UNAVAILABLE and "certificate" in stranger.details
        assert (await refusal(channel(port), seconds=3)).code is Code.UNAVAILABLE


# --- our own server ---


async def test_more_calls_than_streams_wait_for_each_other(channel: Open) -> None:
    with running("grpc.max_concurrent_streams=2") as server:
        opened = channel(server.port)
        messages = [b"%d" % number for number in range(50)]
        assert await asyncio.gather(*(ask(opened, message) for message in messages)) == messages


async def test_connections_that_the_server_ends_lose_no_call(channel: Open) -> None:
    with running("grpc.max_connection_age_ms=100") as server:
        opened = channel(server.port)

        async def again_and_again() -> int:
            end, calls = time.monotonic() + 2, 0
            while time.monotonic() < end:
                assert await ask(opened, b"x" * 50_000) == b"x" * 50_000
                calls += 1
            return calls

        assert sum(await asyncio.gather(*(again_and_again() for _ in range(4)))) > 40


async def test_a_server_that_goes_and_comes_back(channel: Open) -> None:
    with running() as first:
        opened = channel(first.port)
        assert await ask(opened) == b"hello"
        port = first.port
    started = time.monotonic()
    assert (await refusal(opened)).code is Code.UNAVAILABLE
    assert (await refusal(opened)).code is Code.UNAVAILABLE
    assert time.monotonic() - started < 5, "nothing waits for a server that is away"
    with grpcio(Methods(), address=f"127.0.0.1:{port}"):
        until = time.monotonic() + 20
        while True:
            try:
                assert await ask(opened) == b"hello"
                break
            except RpcError:
                assert time.monotonic() < until
                await asyncio.sleep(0.05)


async def test_addresses_take_turns_and_one_that_is_away_costs_nothing(channel: Open) -> None:
    ones, others = Methods(), Methods()
    with grpcio(ones) as first, ExitStack() as second:
        opened = channel(first, second.enter_context(grpcio(others)))
        while not (ones.metadata and others.metadata):
            await ask(opened)
        second.close()
        for _ in range(2):  # one to each: it may be on its way while the connection breaks
            with suppress(RpcError):
                await ask(opened)
        for _ in range(20):
            assert await ask(opened) == b"hello"


async def test_a_name_that_is_none_among_others(fake: Callable[..., Fake]) -> None:
    with grpcio(Methods()) as port:
        opened = Channel([Address("no-such-host.invalid", 1), Address("127.0.0.1", port)], max_message_bytes=LARGEST)
        assert await ask(opened) == b"hello"
        await opened.close()


async def test_calls_under_way_end_with_the_channel(channel: Open) -> None:
    with grpcio(Methods()) as port:
        opened = channel(port)
        await ask(opened)
        under_way = asyncio.create_task(refusal(opened, path="/t/wait"))
        await asyncio.sleep(0.1)
        await opened.close()
        assert (await under_way).code is Code.UNAVAILABLE
        assert (await refusal(opened)).code is Code.UNAVAILABLE


async def test_ipv6(channel: Open) -> None:
    with grpcio(Methods(), address="[::1]:0") as port:
        assert await ask(channel(port, host="::1")) == b"hello"
    assert str(Address("::1", 8500)) == "[::1]:8500"


async def test_a_name_that_is_none(channel: Open) -> None:
    failed = await refusal(channel(1, host="no-such-host.invalid"))
    assert failed.code is Code.UNAVAILABLE and failed.details


# --- servers that misbehave ---


async def test_what_is_refused_unseen_goes_out_again(channel: Open, fake: Callable[..., Fake]) -> None:
    def refuse(peer: Peer) -> None:
        stream, _, _ = peer.request()
        peer.send(RST_STREAM, 0, stream, struct.pack(">I", frames.REFUSED_STREAM))
        stream, _, message = peer.request()
        peer.answer(stream, message)
        stream, _, _ = peer.request()
        peer.send(GOAWAY, 0, 0, struct.pack(">II", stream - 2, 0))
        peer.until(HEADERS)

    def answer(peer: Peer) -> None:
        stream, _, message = peer.request()
        peer.answer(stream, b"second: " + message)

    server = fake(refuse, answer)
    opened = channel(server.port)
    assert await ask(opened) == b"hello"
    assert await ask(opened) == b"second: hello"
    assert server.connections == 2


async def test_a_call_under_way_is_not_made_twice(channel: Open, fake: Callable[..., Fake]) -> None:
    seen: list[bytes] = []

    def vanish(peer: Peer) -> None:
        seen.append(peer.request()[2])

    failed = await refusal(channel(fake(vanish).port))
    assert failed.code is Code.UNAVAILABLE and seen == [b"hello"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (frames.INTERNAL_ERROR, Code.INTERNAL),
        (frames.CANCEL, Code.CANCELLED),
        (frames.ENHANCE_YOUR_CALM, Code.RESOURCE_EXHAUSTED),
        (frames.INADEQUATE_SECURITY, Code.PERMISSION_DENIED),
    ],
)
async def test_a_reset_is_no_reason_to_ask_again(
    channel: Open, fake: Callable[..., Fake], code: int, expected: Code
) -> None:
    seen: list[int] = []

    def reset(peer: Peer) -> None:
        while True:
            stream, _, _ = peer.request()
            seen.append(stream)
            peer.send(RST_STREAM, 0, stream, struct.pack(">I", code))

    assert (await refusal(channel(fake(reset).port))).code is expected
    assert len(seen) == 1


async def test_one_bad_answer_does_not_end_the_others(channel: Open, fake: Callable[..., Fake]) -> None:
    def answer(peer: Peer) -> None:
        first, _, _ = peer.request()
        second, _, message = peer.request()
        peer.headers(first, True, status="200", grpc_status="3", grpc_message="x" * 60_000)
        peer.answer(second, message)
        third, _, message = peer.request()
        peer.encoder.encode([])
        block = peer.encoder.encode([(b":status", b"200"), (b"server", b"caf\xe9")])
        peer.send(HEADERS, 0x4, third, block)
        peer.send(DATA, 0, third, prefixed(message))
        peer.headers(third, True, grpc_status="0")

    opened = channel(fake(answer).port)
    first, second = await asyncio.gather(ask(opened, b"1"), ask(opened, b"2"), return_exceptions=True)
    assert isinstance(first, RpcError) and first.code is Code.INVALID_ARGUMENT and second == b"2"
    assert await ask(opened, b"3") == b"3"


async def test_a_table_size_is_read_each_time(channel: Open, fake: Callable[..., Fake]) -> None:
    def answer(peer: Peer) -> None:
        for size in (0, 4096, 0, 4096):
            stream, _, message = peer.request()
            peer.encoder.header_table_size = size
            peer.answer(stream, message)

    opened = channel(fake(answer).port)
    for number in range(4):
        assert await ask(opened, b"%d" % number) == b"%d" % number


async def test_what_was_given_up_is_not_sent_to_a_slow_server(channel: Open, fake: Callable[..., Fake]) -> None:
    wide = {frames.INITIAL_WINDOW_SIZE: frames.MAX_WINDOW}
    go_on = threading.Event()
    sizes: list[int] = []

    def slow(peer: Peer) -> None:
        peer.send(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**30))
        stream, _, message = peer.request()
        peer.answer(stream, message)
        assert go_on.wait(20)
        while True:
            stream, _, message = peer.request()
            sizes.append(len(message))
            peer.answer(stream, message[:10])

    opened = channel(fake(slow, settings=wide).port)
    await ask(opened)
    for _ in range(5):
        failed = await refusal(opened, message=bytes(8_000_000), seconds=0.1)
        assert failed.code is Code.DEADLINE_EXCEEDED
    go_on.set()
    assert await ask(opened, b"small") == b"small"
    assert sum(sizes) < 20_000_000, "most of what was given up never left"


async def test_requests_wait_for_the_servers_windows(channel: Open, fake: Callable[..., Fake]) -> None:
    sizes: list[int] = []

    def measure(peer: Peer) -> None:
        _, _, stream, _ = peer.until(HEADERS)
        body = b""
        while True:
            _, flags, _, payload = peer.until(DATA)
            sizes.append(len(payload))
            body += payload
            if flags & 1:
                break
            peer.send(WINDOW_UPDATE, 0, stream, struct.pack(">I", 20))
        peer.answer(stream, body[5:])

    server = fake(measure, settings={frames.INITIAL_WINDOW_SIZE: 10})
    assert await ask(channel(server.port), b"m" * 65) == b"m" * 65
    assert sizes == [10, 20, 20, 20]


async def test_an_answer_before_the_request_is_whole(channel: Open, fake: Callable[..., Fake]) -> None:
    def hasty(peer: Peer) -> None:
        _, _, stream, _ = peer.until(HEADERS)
        peer.headers(stream, True, status="200", grpc_status="8", grpc_message="too%20large")
        assert peer.until(RST_STREAM)[2] == stream
        stream, _, message = peer.request()
        peer.answer(stream, message)

    opened = channel(fake(hasty, settings={frames.INITIAL_WINDOW_SIZE: 10}).port)
    failed = await refusal(opened, message=bytes(100))
    assert (failed.code, failed.details) == (Code.RESOURCE_EXHAUSTED, "too large")
    assert await ask(opened, b"") == b""


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"status": "503"}, Code.UNAVAILABLE),
        ({"status": "404", "content_type": "text/html"}, Code.UNIMPLEMENTED),
        ({"status": "418"}, Code.UNKNOWN),
        ({"status": "200"}, Code.UNKNOWN),
        ({"status": "200", "grpc_status": "99"}, Code.UNKNOWN),
        ({"status": "200", "grpc_status": "x"}, Code.UNKNOWN),
        ({"status": "200", "grpc_status": "16"}, Code.UNAUTHENTICATED),
        ({"status": "200", "grpc_status": "0"}, Code.INTERNAL),
    ],
)
async def test_answers_without_a_message(
    channel: Open, fake: Callable[..., Fake], headers: dict[str, str], code: Code
) -> None:
    def answer(peer: Peer) -> None:
        peer.headers(peer.request()[0], True, **headers)
        peer.read()

    assert (await refusal(channel(fake(answer).port))).code is code


@pytest.mark.parametrize(
    "body", [b"", b"\0\0\0\0\5abc", prefixed(b"one") + prefixed(b"two"), prefixed(b"small", compressed=1)]
)
async def test_messages_that_are_none(channel: Open, fake: Callable[..., Fake], body: bytes) -> None:
    def answer(peer: Peer) -> None:
        stream, _, _ = peer.request()
        peer.headers(stream, False, status="103")
        peer.headers(stream, False, status="200")
        peer.send(DATA, 0, stream, body)
        peer.headers(stream, True, grpc_status="0")
        peer.read()

    assert (await refusal(channel(fake(answer).port))).code is Code.INTERNAL


@pytest.mark.parametrize(
    "bytes_",
    [
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",  # a window update by nothing
        b"\x00\x00\x01\x00\x00\x00\x00\x00\x63x",  # data on a stream that was not opened
        b"\x00\x00\x02\x01\x04\x00\x00\x00\x01\xff\xff",  # headers that are no HPACK
        b"",
    ],
)
async def test_what_is_no_http2_ends_the_connection(channel: Open, fake: Callable[..., Fake], bytes_: bytes) -> None:
    def talk(peer: Peer) -> None:
        peer.request()
        peer.socket.sendall(bytes_)
        if bytes_:
            with pytest.raises(EOFError):
                peer.until(HEADERS)

    server = fake(talk)
    assert (await refusal(channel(server.port))).code is Code.UNAVAILABLE


async def test_with_tls_too_a_broken_protocol_ends_all_calls_at_once(channel: Open, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    SERVER.configure_cert(context)

    def talk(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                accepted = context.wrap_socket(listener.accept()[0], server_side=True)
                kept.append(accepted)
                accepted.sendall(frame(SETTINGS, 0, 0))
                accepted.recv(65536)
                accepted.sendall(frame(WINDOW_UPDATE, 0, 0, bytes(4)))  # by nothing; and then no farewell

    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=talk, args=(listener,), daemon=True).start()
        opened = channel(listener.getsockname()[1], ssl_context=ssl_context(tmp_path, AUTHORITY))
        started = time.monotonic()
        for _ in range(3):
            assert (await refusal(opened)).code is Code.UNAVAILABLE
        assert time.monotonic() - started < 8
        listener.shutdown(socket.SHUT_RDWR)
    for each in kept:
        each.close()


@pytest.mark.parametrize("protocols", [[], ["http/1.1"]])
async def test_with_tls_the_server_must_agree_to_http2(channel: Open, tmp_path: Path, protocols: list[str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(protocols)
    SERVER.configure_cert(context)
    seen: list[bytes] = []

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                with context.wrap_socket(listener.accept()[0], server_side=True) as accepted:
                    accepted.sendall(frame(SETTINGS, 0, 0))
                    seen.append(accepted.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        opened = channel(listener.getsockname()[1], ssl_context=ssl_context(tmp_path, AUTHORITY))
        failed = await refusal(opened)
        assert failed.code is Code.UNAVAILABLE and "it selected nothing, not h2" in failed.details
        assert not any(seen), "nothing was sent"
        listener.shutdown(socket.SHUT_RDWR)


async def test_a_port_where_nobody_speaks(channel: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        opened = channel(silent.getsockname()[1])
        started = time.monotonic()
        failed = await refusal(opened)
        assert failed.code is Code.UNAVAILABLE and "1 s" in failed.details
        assert time.monotonic() - started < 8


async def test_a_server_that_falls_silent_is_given_up(
    channel: Open, fake: Callable[..., Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalive, "IDLE_TIME", 0.2)
    monkeypatch.setattr(keepalive, "PING_INTERVAL", 0.2)
    monkeypatch.setattr(keepalive, "PING_TIMEOUT", 1.0)
    pings: list[int] = []

    def fall_silent(peer: Peer) -> None:
        stream, _, message = peer.request()
        for _ in range(2):
            peer.until(PING)
            pings.append(1)
            peer.send(PING, frames.ACK, 0, bytes(8))
        peer.answer(stream, message)
        peer.request()
        while True:
            pings.append(peer.until(PING)[0])

    opened = channel(fake(fall_silent).port)
    assert await ask(opened) == b"hello", "it is slow, but there"
    assert (await refusal(opened)).code is Code.UNAVAILABLE
    assert len(pings) == 3


async def test_streams_run_out(channel: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_STREAM_ID", 21)
    with grpcio(Methods()) as port:
        opened = channel(port)
        for number in range(50):
            assert await ask(opened, b"%d" % number) == b"%d" % number
