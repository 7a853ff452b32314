"""The gRPC server on a real socket, with gRPC's own client."""

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from serving.model_server.grpc_api.server import Arguments
from tests.serving.model_server.grpc_api.grpc_servers import Running, channel, running


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as server:
        yield server


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
            wait(b"x", timeout=2)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert server.cancelled.wait(20)


def test_stopping_lets_calls_end() -> None:
    with running() as server, channel(server) as opened:
        call = opened.unary_unary("/t/wait").future(b"x", timeout=60)
        assert server.entered.acquire(timeout=20)
        stopping = threading.Thread(target=server.stop, args=(30,))
        stopping.start()
        server.wait_until_refused()  # by then its clients are asked to go
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


def test_a_connection_without_calls_ends_and_no_call_is_lost() -> None:
    with running("grpc.max_connection_idle_ms=200") as server, channel(server) as opened:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent:
            while silent.recv(1000):
                pass
        call = opened.unary_unary("/t/wait").future(b"x", timeout=60)
        assert server.entered.acquire(timeout=20)
        with pytest.raises(grpc.FutureTimeoutError):
            call.result(0.5)
        server.go_on()
        assert call.result(20) == b"x"
        ended = next(iter(server.server._connections)).ended
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(asyncio.shield(ended), 20), server.loop).result(20)
        assert opened.unary_unary("/t/echo")(b"y", timeout=20) == b"y"


def test_the_defaults_have_limits() -> None:
    limits = Arguments.parse("").limits
    assert (limits.most_streams, limits.idle, limits.age, limits.grace) == (1000, 300, None, None)
    limits = Arguments.parse("grpc.max_concurrent_streams=-1,grpc.max_connection_idle_ms=-1").limits
    assert (limits.most_streams, limits.idle) == (None, None)
    with running("grpc.max_receive_message_length=-1") as server, channel(server) as opened:
        message = bytes(2**28 + 1)
        assert len(opened.unary_unary("/t/echo")(message, timeout=60)) == len(message)
    with running() as server, channel(server) as opened, pytest.raises(grpc.RpcError) as raised:
        opened.unary_unary("/t/echo")(message, timeout=60)
    assert raised.value.details() == "SERVER: Received message larger than max (268435457 vs. 268435456)"


def test_arguments_without_effect_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    found = Arguments.parse("grpc.keepalive_time_ms=5,grpc.max_concurrent_streams=x,grpc.max_connection_age_ms=7")
    assert found == Arguments(max_connection_age_ms=7)
    assert [record.args for record in caplog.records] == [
        ("grpc.keepalive_time_ms=5",),
        ("grpc.max_concurrent_streams=x",),
    ]
