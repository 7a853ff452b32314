"""The gRPC server on a real socket, with grpcio's client."""

import gzip
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from serving.model_server.errors import ServingError
from serving.model_server.grpc_api.server import DEFAULT_ARGUMENTS, GrpcServer, parse_arguments
from serving.tfs_api.status_codes import Code
from tests.serving.model_server.grpc_api.grpc_servers import Running, channel, running
from tests.serving.model_server.statuses import raises_status


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as server:
        yield server


def test_concurrent_calls_of_all_sizes_get_their_own_responses(server: Running) -> None:
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


def test_a_compressed_message_is_limited_after_decompression() -> None:
    message = bytes(50_000_000)
    assert len(gzip.compress(message)) < 1_000_000
    with running("grpc.max_receive_message_length=1000000") as server:
        with channel(server, compression=grpc.Compression.Gzip) as opened, pytest.raises(grpc.RpcError) as raised:
            opened.unary_unary("/t/echo")(message, timeout=20)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max" in raised.value.details()


@pytest.mark.parametrize(
    ("path", "code", "details"),
    [
        ("/t/fail", grpc.StatusCode.NOT_FOUND, "no ü: 100 % sure\n"),
        ("/t/break", grpc.StatusCode.INTERNAL, "the model server failed; see its log"),
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
        responses = count(b"3", timeout=20)
        with pytest.raises(grpc.RpcError) as raised:
            for number in itertools.count():
                assert next(responses) == b"%d" % number
    assert raised.value.details() == "a fourth"


def test_a_call_is_cancelled_with_its_caller_and_at_its_deadline() -> None:
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


def test_calls_in_flight_finish_when_the_server_stops() -> None:
    with running() as server, channel(server) as opened:
        call = opened.unary_unary("/t/wait").future(b"x", timeout=60)
        assert server.entered.acquire(timeout=20)
        stopping = threading.Thread(target=server.stop, args=(30,))
        stopping.start()
        server.wait_until_refused()
        server.go_on()
        assert call.result() == b"x"
        stopping.join(20)
        assert not stopping.is_alive()
        with pytest.raises(grpc.RpcError) as raised:
            opened.unary_unary("/t/echo")(b"x", timeout=5)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_calls_longer_than_the_grace_period_are_cancelled() -> None:
    with running() as server, channel(server) as opened:
        call = opened.unary_unary("/t/wait").future(b"x", timeout=60)
        assert server.entered.acquire(timeout=20)
        server.stop(0.1)
        assert call.exception(timeout=20).code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert server.cancelled.wait(20)


def test_no_call_is_lost_when_connections_reach_their_maximum_age() -> None:
    with running("grpc.max_connection_age_ms=300") as server, channel(server) as opened:
        echo = opened.unary_unary("/t/echo")
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert echo(b"x", timeout=20) == b"x"


def test_calls_end_with_the_grace_period_after_the_maximum_age() -> None:
    arguments = "grpc.max_connection_age_ms=30,grpc.max_connection_age_grace_ms=30"
    with running(arguments) as server, channel(server) as opened, pytest.raises(grpc.RpcError) as raised:
        opened.unary_unary("/t/wait")(b"x", timeout=20)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_message_limits() -> None:
    arguments = "grpc.max_receive_message_length=1000,grpc.max_send_message_length=500"
    with running(arguments) as server, channel(server) as opened:
        echo = opened.unary_unary("/t/echo")
        assert len(echo(bytes(500), timeout=20)) == 500
        for size, message in (
            (501, "Sent message larger than max (501 vs. 500)"),
            (1001, "Received message larger than max (1001 vs. 1000)"),
            (1_000_000, "Received message larger than max (1000000 vs. 1000)"),
        ):
            with pytest.raises(grpc.RpcError) as raised:
                echo(bytes(size), timeout=20)
            assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert message in raised.value.details()
        assert echo(b"x", timeout=20) == b"x", "the connection is still usable"


def test_an_idle_connection_is_closed() -> None:
    with running("grpc.max_connection_idle_ms=200") as server, channel(server) as opened:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent:
            while silent.recv(1000):
                pass
        assert opened.unary_unary("/t/echo")(b"y", timeout=20) == b"y"


def test_the_default_message_limit_is_256_megabytes() -> None:
    message = bytes(2**28 + 1)
    with running() as server, channel(server) as opened, pytest.raises(grpc.RpcError) as raised:
        opened.unary_unary("/t/echo")(message, timeout=60)
    assert "Received message larger than max (268435457 vs. 268435456)" in raised.value.details()


def test_arguments(caplog: pytest.LogCaptureFixture) -> None:
    assert dict(parse_arguments("")) == DEFAULT_ARGUMENTS
    arguments = dict(
        parse_arguments("grpc.max_concurrent_streams=-1, grpc.x = text,grpc.max_connection_age_ms=7,grpc.y")
    )
    assert "grpc.max_concurrent_streams" not in arguments
    assert (arguments["grpc.x"], arguments["grpc.max_connection_age_ms"]) == ("text", 7)
    assert [record.args for record in caplog.records] == [("grpc.y",)]
    with raises_status(Code.INVALID_ARGUMENT, match=r"grpc\.z must be a 32-bit number, not 4294967296"):
        parse_arguments("grpc.z=4294967296")


async def test_a_port_in_use_is_an_error(server: Running) -> None:
    with pytest.raises(ServingError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        GrpcServer({}, {}, parse_arguments("")).listen("127.0.0.1", server.port)
