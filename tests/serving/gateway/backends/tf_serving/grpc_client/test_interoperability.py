"""Calls to grpcio's asyncio server."""

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from serving.gateway.backends.tf_serving.grpc_client import (
    Address,
    MessageTooLarge,
    RpcError,
    client_ssl_context,
    keepalive,
)
from serving.tfs_api.status_codes import Code
from tests.serving.gateway.backends.tf_serving.grpc_client.calls import call, failed_call
from tests.serving.gateway.backends.tf_serving.grpc_client.conftest import OpenChannel

AUTHORITY = trustme.CA()
SERVER = AUTHORITY.issue_cert("localhost", "127.0.0.1")


class Service(grpc.GenericRpcHandler):
    """Echo, Fail, Zeros (a response of the requested size) and Wait (until cancelled)."""

    def __init__(self) -> None:
        self.metadata: dict[str, str] = {}
        self.peers: set[str] = set()
        self.seconds_left: float | None = None
        self.waiting, self.cancelled = asyncio.Event(), asyncio.Event()

    def service(self, details: Any) -> Any:
        methods = {"/test/Echo": self.echo, "/test/Fail": self.fail, "/test/Zeros": self.zeros, "/test/Wait": self.wait}
        method = methods.get(details.method)
        return method and grpc.unary_unary_rpc_method_handler(method)

    async def echo(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        self.seconds_left = context.time_remaining()
        self.peers.add(context.peer())
        return request

    async def zeros(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.peers.add(context.peer())
        return bytes(int(request))

    async def fail(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: 100 % sure\nüber")
        raise AssertionError

    async def wait(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.waiting.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return request


@contextlib.asynccontextmanager
async def serving(
    service: Service,
    *,
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
    options: Sequence[tuple[str, int]] = (),
) -> AsyncIterator[int]:
    """Yield the server's port."""
    limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.aio.server(options=[*limits, *options])
    server.add_generic_rpc_handlers([service])
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


@pytest.mark.parametrize("size", [0, 1, 100_000, 9_000_000])
async def test_messages_of_any_size_both_ways(open_channel: OpenChannel, size: int) -> None:
    message = os.urandom(size)
    async with serving(Service()) as port:
        assert await call(open_channel(port), message) == message


async def test_concurrent_calls(open_channel: OpenChannel) -> None:
    async with serving(Service()) as port:
        channel = open_channel(port)
        messages = [b"%d" % number * 3000 for number in range(200)]
        assert await asyncio.gather(*(call(channel, message) for message in messages)) == messages


async def test_more_calls_than_concurrent_streams(open_channel: OpenChannel) -> None:
    async with serving(Service(), options=[("grpc.max_concurrent_streams", 2)]) as port:
        channel = open_channel(port)
        messages = [b"%d" % number for number in range(50)]
        assert await asyncio.gather(*(call(channel, message) for message in messages)) == messages


async def test_status_and_details(open_channel: OpenChannel) -> None:
    async with serving(Service()) as port:
        channel = open_channel(port)
        failed = await failed_call(channel, path="/test/Fail")
        assert (failed.code, failed.details) == (Code.NOT_FOUND, "no such thing: 100 % sure\nüber")
        assert (await failed_call(channel, path="/test/None")).code is Code.UNIMPLEMENTED
        assert await call(channel) == b"hello"


async def test_metadata_and_deadline_reach_the_server(open_channel: OpenChannel) -> None:
    service = Service()
    async with serving(service) as port:
        deadline = asyncio.get_running_loop().time() + 3.21
        await open_channel(port).call("/test/Echo", b"", deadline, [("traceparent", "00-ab-cd-01")])
    assert service.metadata["traceparent"] == "00-ab-cd-01"
    assert service.seconds_left is not None and 2 < service.seconds_left < 3.4


@pytest.mark.parametrize("by", ["deadline", "cancellation"])
async def test_cancellation_reaches_the_server(open_channel: OpenChannel, by: str) -> None:
    service = Service()
    async with serving(service) as port, asyncio.timeout(20):
        channel = open_channel(port)
        await call(channel)
        if by == "deadline":
            assert (await failed_call(channel, path="/test/Wait", seconds=0.3)).code is Code.DEADLINE_EXCEEDED
        else:
            task = asyncio.create_task(call(channel, path="/test/Wait"))
            await service.waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await service.cancelled.wait()
        assert await call(channel) == b"hello"


async def test_oversized_responses_do_not_close_the_connection(open_channel: OpenChannel) -> None:
    service = Service()
    async with serving(service) as port:
        channel = open_channel(port, max_message_bytes=100_000)
        for _ in range(20):
            failed = await failed_call(channel, message=b"20000000", path="/test/Zeros")
            assert isinstance(failed, MessageTooLarge)
            assert failed.details == "the response message is larger than 100000 bytes"
        assert len(await call(channel, b"100000", path="/test/Zeros")) == 100_000
        assert isinstance(await failed_call(channel, message=b"100001", path="/test/Zeros"), MessageTooLarge)
        calls = [call(channel, b"%d" % (number % 2 * 5_000_000), path="/test/Zeros") for number in range(20)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert results[::2] == [b""] * 10
        assert all(isinstance(result, MessageTooLarge) for result in results[1::2])
    assert len(service.peers) == 1, "one connection"


async def test_connection_age_loses_no_call(open_channel: OpenChannel) -> None:
    service = Service()
    options = [("grpc.max_connection_age_ms", 100), ("grpc.max_connection_age_grace_ms", 5000)]
    async with serving(service, options=options) as port:
        channel = open_channel(port)

        async def call_for_two_seconds() -> int:
            end, calls = time.monotonic() + 2, 0
            while time.monotonic() < end:
                assert await call(channel, b"x" * 50_000) == b"x" * 50_000
                calls += 1
            return calls

        assert sum(await asyncio.gather(*(call_for_two_seconds() for _ in range(4)))) > 40
    assert len(service.peers) > 3


async def test_server_accepts_the_pings(open_channel: OpenChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keepalive.PING_INTERVAL > 300, "gRPC servers accept one ping in five minutes"
    monkeypatch.setattr(keepalive, "IDLE_TIME", 0.1)
    monkeypatch.setattr(keepalive, "PING_INTERVAL", 1.1)
    monkeypatch.setattr(keepalive, "PING_TIMEOUT", 0.5)
    options = [("grpc.http2.min_ping_interval_without_data_ms", 1000), ("grpc.http2.max_ping_strikes", 1)]
    async with serving(Service(), options=options) as port:
        channel = open_channel(port)
        failed = await failed_call(channel, path="/test/Wait", seconds=5)
        assert failed.code is Code.DEADLINE_EXCEEDED, failed
        assert await call(channel) == b"hello"


async def test_restarts(open_channel: OpenChannel) -> None:
    async with serving(Service()) as port:
        channel = open_channel(port)
        assert await call(channel) == b"hello"
    for _ in range(2):
        started = time.monotonic()
        assert (await failed_call(channel)).code is Code.UNAVAILABLE
        assert (await failed_call(channel)).code is Code.UNAVAILABLE
        assert time.monotonic() - started < 5, "calls fail at once while the server is away"
        async with serving(Service(), address=f"127.0.0.1:{port}"), asyncio.timeout(20):
            while True:
                with contextlib.suppress(RpcError):
                    assert await call(channel) == b"hello"
                    break
                await asyncio.sleep(0.05)


async def test_round_robin_over_several_addresses(open_channel: OpenChannel) -> None:
    first, second = Service(), Service()
    async with serving(first) as first_port, contextlib.AsyncExitStack() as stack:
        channel = open_channel(first_port, await stack.enter_async_context(serving(second)))
        async with asyncio.timeout(20):
            while not (first.metadata and second.metadata):
                await call(channel)
        await stack.aclose()
        for _ in range(2):  # one call per address may be on its way when the connection breaks
            with contextlib.suppress(RpcError):
                await call(channel)
        for _ in range(20):
            assert await call(channel) == b"hello"


async def test_closing_the_channel_fails_pending_calls(open_channel: OpenChannel) -> None:
    service = Service()
    async with serving(service) as port:
        channel = open_channel(port)
        pending = asyncio.create_task(failed_call(channel, path="/test/Wait"))
        await service.waiting.wait()
        await channel.close()
        assert (await pending).code is Code.UNAVAILABLE
        assert (await failed_call(channel)).code is Code.UNAVAILABLE


async def test_unix_socket(open_channel: OpenChannel, tmp_path: Path) -> None:
    path = str(tmp_path / "models.sock")
    async with serving(Service(), address=f"unix:{path}"):
        assert await call(open_channel(0, host=path)) == b"hello"


async def test_ipv6(open_channel: OpenChannel) -> None:
    async with serving(Service(), address="[::1]:0") as port:
        assert await call(open_channel(port, host="::1")) == b"hello"
    assert str(Address("::1", 8500)) == "[::1]:8500"


# --- TLS ---


def context_of(folder: Path, authority: trustme.CA, own: trustme.LeafCert | None = None) -> ssl.SSLContext:
    ca, cert, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.cert_pem.write_to_path(ca)
    if own is None:
        return client_ssl_context(ca, None, None)
    own.cert_chain_pems[0].write_to_path(cert)
    own.private_key_pem.write_to_path(key)
    return client_ssl_context(ca, cert, key)


def server_credentials(server: trustme.LeafCert, client_ca: trustme.CA | None = None) -> grpc.ServerCredentials:
    chain = b"".join(pem.bytes() for pem in server.cert_chain_pems)
    roots = client_ca and client_ca.cert_pem.bytes()
    return grpc.ssl_server_credentials([(server.private_key_pem.bytes(), chain)], roots, client_ca is not None)


async def test_tls(open_channel: OpenChannel, tmp_path: Path) -> None:
    message = os.urandom(200_000)
    async with serving(Service(), credentials=server_credentials(SERVER)) as port:
        assert await call(open_channel(port, ssl_context=context_of(tmp_path, AUTHORITY)), message) == message
        untrusted = await failed_call(open_channel(port, ssl_context=context_of(tmp_path, trustme.CA())))
        assert untrusted.code is Code.UNAVAILABLE and "certificate" in untrusted.details
        plain = await failed_call(open_channel(port), seconds=3)
        assert plain.code is Code.UNAVAILABLE


async def test_mutual_tls(open_channel: OpenChannel, tmp_path: Path) -> None:
    own = AUTHORITY.issue_cert("gateway")
    async with serving(Service(), credentials=server_credentials(SERVER, AUTHORITY)) as port:
        assert await call(open_channel(port, ssl_context=context_of(tmp_path, AUTHORITY, own))) == b"hello"
        without = await failed_call(open_channel(port, ssl_context=context_of(tmp_path, AUTHORITY)), seconds=3)
        assert without.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)


async def test_intermediate_authority_is_a_trust_anchor(open_channel: OpenChannel, tmp_path: Path) -> None:
    intermediate = AUTHORITY.create_child_ca()
    credentials = server_credentials(intermediate.issue_cert("127.0.0.1"))
    async with serving(Service(), credentials=credentials) as port:
        assert await call(open_channel(port, ssl_context=context_of(tmp_path, intermediate))) == b"hello"
