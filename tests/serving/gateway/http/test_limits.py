"""Limits of a request: head, time, and resources after the client has disconnected."""

import contextlib
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.programs import free_port, model_server, model_server_program
from tests.serving.gateway import programs
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.models.test_canary import metric, until
from tests.serving.gateway.programs import Gateway

PREDICT = "/v1/models/shade:predict"
PICTURE = picture()


@contextlib.contextmanager
def raw(gateway: Gateway, sent: bytes) -> Iterator[socket.socket]:
    """Send this on a new connection."""
    url = httpx.URL(gateway.url)
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        connection.sendall(sent)
        yield connection


def request(*headers: str, body: bytes = PICTURE) -> bytes:
    lines = [f"POST {PREDICT} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (request(*[f"x-{number}: 1" for number in range(98)]), b"200", b'"predictions"'),
        (request(*[f"x-{number}: 1" for number in range(99)]), b"431", b"101 headers; at most 100"),
        (request("x-long: " + "a" * 32_000), b"200", b'"predictions"'),
        (request("x-long: " + "a" * 33_000), b"431", b"more than 32768 bytes"),
        (request(body=b"x" * 500_000), b"400", b"bad_picture"),  # a long body does not count as head
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n", b"431", b"more than 32768 bytes"),
        (b"GET / HTTP/1.1\r\nx-long: " + b"a" * 2_000_000, b"431", b"head_too_large"),  # without an end
        (b"hello\r\n\r\n", b"400", b'"code":"bad_request"'),
    ],
)
def test_head_limits(served: Gateway, sent: bytes, status: bytes, words: bytes) -> None:
    url = httpx.URL(served.url)
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):  # the response may come before everything is sent
            connection.sendall(sent)
        response = connection.recv(65536)
        assert response.startswith(b"HTTP/1.1 " + status)
        assert words in response
    assert served.http.post(PREDICT, content=PICTURE).status_code == 200


def test_head_timeout(tmp_path: Path) -> None:
    unused = f"127.0.0.1:{free_port()}"
    with programs.gateway(unused, tmp_path / "none", "--models=line", "--head-seconds=0.3") as gateway:
        with raw(gateway, b"") as silent:
            assert silent.recv(100) == b""
        with raw(gateway, b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /livez HTTP/1.1\r\nho") as slow:
            received_bytes = b""
            while received := slow.recv(65536):
                received_bytes += received
        first, second = received_bytes.split(b"HTTP/1.1 ")[1:]
        assert first.startswith(b"200")
        assert second.startswith(b"408") and b"connection: close" in second
        assert b"not complete after 0.3 s" in second and b'"code":"head_too_slow"' in second
        assert metric(gateway, 'vitrine_refused_total{model="",reason="head_too_slow"}') == 1
        assert gateway.http.get("/livez").status_code == 200


def trickled(gateway: Gateway, sent: bytes, drop: bytes) -> bytes:
    """Send ``sent``, then ``drop`` again and again. Return everything received until the connection ends."""
    received_bytes = b""
    with raw(gateway, sent) as connection:
        connection.settimeout(0.02)
        for _ in range(1000):
            try:
                with contextlib.suppress(TimeoutError):
                    received = connection.recv(65536)
                    if not received:
                        return received_bytes
                    received_bytes += received
                connection.sendall(drop)
            except ConnectionError:  # a drop was sent after the end
                return received_bytes
    raise AssertionError(f"the connection is still open; received: {received_bytes!r}")


SLOW = b"HTTP/1.1\r\nhost: x\r\n"
LENGTH = SLOW + b"content-length: 60000\r\n\r\n"
CHUNKED = SLOW + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "drop", "expected"),
    [
        (b"", b"\r\n", []),  # blank lines may precede a request
        (b"GET /livez " + SLOW + b"\r\n", b"\r\n", [b"200"]),
        (b"POST /v1/models/shade:predict " + LENGTH, b"x", [b"408"]),
        (b"POST /v1/models/shade:predict " + CHUNKED, b"1\r\nx\r\n", [b"408"]),
        (b"POST /v1/embeddings " + LENGTH, b"x", [b"408"]),
        (b"POST /v2/models/line/infer " + LENGTH, b"x", [b"408"]),
        (b"POST /v1/models/unknown:predict " + LENGTH, b"x", [b"404"]),
        (b"GET /livez " + LENGTH, b"x", [b"200"]),  # the body is not read
        (b"POST /livez " + CHUNKED, b"1\r\nx\r\n", [b"405"]),
    ],
)
def test_trickled_requests_do_not_hold_a_connection(
    hasty: Gateway, sent: bytes, drop: bytes, expected: list[bytes]
) -> None:
    responses = trickled(hasty, sent, drop).split(b"HTTP/1.1 ")[1:]
    assert [response[:3] for response in responses] == expected
    until(lambda: in_flight(hasty) == 0)


def test_trickled_head_does_not_hold_a_connection(hasty: Gateway) -> None:
    trickled(hasty, b"GET /livez " + SLOW, b"a: b\r\n")  # the end may overtake the response


@contextlib.contextmanager
def reader(gateway: Gateway) -> Iterator[socket.socket]:
    """A connection with 12 MB of pending responses and a small receive buffer."""
    url = httpx.URL(gateway.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.settimeout(20)
        connection.connect((url.host, url.port or 80))
        connection.sendall((b"GET /openapi.json " + SLOW + b"\r\n") * 200)
        yield connection


def test_client_that_does_not_read_is_disconnected(hasty: Gateway) -> None:
    with reader(hasty) as connection:
        end = select.poll()
        end.register(connection, 0)  # the end of the connection is always reported
        assert end.poll(20_000)
        with pytest.raises(ConnectionResetError):
            while connection.recv(65536):
                pass
    assert metric(hasty, 'vitrine_refused_total{model="",reason="client_slow"}') == 1


def test_slow_reader_stays_connected(hasty: Gateway) -> None:
    with reader(hasty) as connection:
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            assert connection.recv(32768)
            time.sleep(0.01)  # at most 3.2 MB/s


@pytest.fixture(scope="module")
def hasty(models_root: Path) -> Iterator[Gateway]:
    """A gateway with short time-outs."""
    flags = ("--head-seconds=0.4", "--deadline-seconds=0.4", "--send-seconds=0.4")
    with (
        model_server(models_root, *programs.PROMPT) as address,
        programs.gateway(address, models_root / "models.config", *flags) as gateway,
    ):
        programs.wait_until_ready(gateway, "shade", "line")
        yield gateway


@pytest.mark.parametrize("timeout", ["0", "-1", "1m", "soon", "", "1e3", "0.0s", "nan", "1 s"])
def test_invalid_request_timeout(http: httpx.Client, timeout: str) -> None:
    response = http.post(PREDICT, content=PICTURE, headers={"X-Request-Timeout": timeout})
    assert response.status_code == 400
    assert response.json()["code"] == "bad_option"
    assert "1.5, 1.5s or 250ms" in response.json()["error"]


@pytest.mark.parametrize("timeout", ["5", "5s", "2.5", "2500ms", "1000000"])
def test_sufficient_request_timeout(http: httpx.Client, timeout: str) -> None:
    assert http.post(PREDICT, content=PICTURE, headers={"X-Request-Timeout": timeout}).status_code == 200


@pytest.fixture
def hanging(models_root: Path) -> Iterator[Gateway]:
    """A gateway with one slot for calls, whose model server hangs."""
    with (
        model_server_program(models_root, *programs.PROMPT) as (address, server),
        programs.gateway(address, models_root / "models.config", "--calls-per-signature=1") as gateway,
    ):
        programs.wait_until_ready(gateway, "shade")
        server.process.send_signal(signal.SIGSTOP)
        try:
            yield gateway
        finally:
            server.process.send_signal(signal.SIGCONT)


def test_half_closed_client_is_answered_by_its_deadline(hanging: Gateway) -> None:
    with raw(hanging, request("x-request-timeout: 300ms")) as connection:
        connection.shutdown(socket.SHUT_WR)
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    assert response.startswith(b"HTTP/1.1 504") and b"connection: close" in response
    with raw(hanging, request("x-request-timeout: 300ms")):
        pass  # a client that closes its socket looks the same
    until(lambda: in_flight(hanging) == 0)
    assert metric(hanging, 'vitrine_refused_total{model="shade",reason="client_gone"}') == 0


def in_flight(gateway: Gateway) -> float:
    return metric(gateway, "vitrine_in_flight")


def test_deadline_of_the_caller_is_kept_or_rejected_at_once(hanging: Gateway) -> None:
    late = hanging.http.post(PREDICT, content=PICTURE, headers={"X-Request-Timeout": "300ms"})
    assert late.status_code == 504
    assert late.json()["error"] == "no answer within the deadline of 0.3 s"
    with raw(hanging, request("x-request-timeout: 5")):  # takes the only slot; its time becomes the estimate
        until(lambda: in_flight(hanging) == 1)
        short = {"X-Request-Timeout": "20ms"}
        response = hanging.http.post(PREDICT, content=PICTURE, headers=short)
        while response.status_code != 503:
            response = hanging.http.post(PREDICT, content=PICTURE, headers=short)
        assert response.headers["retry-after"]
        assert "but the deadline is in" in response.json()["error"]


def reset(connection: socket.socket) -> None:
    """Close the connection by RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_reset_during_a_model_call_frees_its_slot(hanging: Gateway) -> None:
    with raw(hanging, request()) as one, raw(hanging, request()) as other:
        until(lambda: in_flight(hanging) == 2)
        reset(one)
        reset(other)
    until(lambda: metric(hanging, 'vitrine_refused_total{model="shade",reason="client_gone"}') == 2)
    assert in_flight(hanging) == 0
    assert "Traceback" not in hanging.program.output
    assert "unexpected" not in hanging.program.output
