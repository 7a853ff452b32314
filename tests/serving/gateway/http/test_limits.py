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
        (request(body=b"x" * 500_000), b"400", b"bad_picture"),  # a long body is no long head
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n", b"431", b"more than 32768 bytes"),
        (b"GET / HTTP/1.1\r\nx-long: " + b"a" * 2_000_000, b"431", b"head_too_large"),  # and it never ends
        (b"hello\r\n\r\n", b"400", b'"code":"bad_request"'),
    ],
)
def test_head_limits(served: Gateway, sent: bytes, status: bytes, words: bytes) -> None:
    url = httpx.URL(served.url)
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):  # the answer may come before all was sent
            connection.sendall(sent)
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert words in answer
    assert served.http.post(PREDICT, content=PICTURE).status_code == 200


def test_head_timeout(tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    with programs.gateway(nobody, tmp_path / "none", "--models=line", "--head-seconds=0.3") as gateway:
        with raw(gateway, b"") as silent:
            assert silent.recv(100) == b""
        with raw(gateway, b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /livez HTTP/1.1\r\nho") as slow:
            answered = b""
            while received := slow.recv(65536):
                answered += received
        first, second = answered.split(b"HTTP/1.1 ")[1:]
        assert first.startswith(b"200")
        assert second.startswith(b"408") and b"connection: close" in second
        assert b"not complete after 0.3 s" in second and b'"code":"head_too_slow"' in second
        assert metric(gateway, 'vitrine_refused_total{model="",reason="head_too_slow"}') == 1
        assert gateway.http.get("/livez").status_code == 200


def trickled(gateway: Gateway, sent: bytes, drop: bytes) -> bytes:
    """Return the whole response to this, while another drop is sent again and again."""
    answered = b""
    with raw(gateway, sent) as connection:
        connection.settimeout(0.02)
        for _ in range(1000):
            try:
                with contextlib.suppress(TimeoutError):
                    received = connection.recv(65536)
                    if not received:
                        return answered
                    answered += received
                connection.sendall(drop)
            except ConnectionError:  # a drop came after the end
                return answered
    raise AssertionError(f"the connection is still there; answered was {answered!r}")


SLOW = b"HTTP/1.1\r\nhost: x\r\n"
LENGTH = SLOW + b"content-length: 60000\r\n\r\n"
CHUNKED = SLOW + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "drop", "expected"),
    [
        (b"", b"\r\n", []),  # blank lines may stand before a request
        (b"GET /livez " + SLOW + b"\r\n", b"\r\n", [b"200"]),
        (b"POST /v1/models/shade:predict " + LENGTH, b"x", [b"408"]),
        (b"POST /v1/models/shade:predict " + CHUNKED, b"1\r\nx\r\n", [b"408"]),
        (b"POST /v1/embeddings " + LENGTH, b"x", [b"408"]),
        (b"POST /v2/models/line/infer " + LENGTH, b"x", [b"408"]),
        (b"POST /v1/models/nobody:predict " + LENGTH, b"x", [b"404"]),
        (b"GET /livez " + LENGTH, b"x", [b"200"]),  # a body that nobody reads
        (b"POST /livez " + CHUNKED, b"1\r\nx\r\n", [b"405"]),
    ],
)
def test_trickled_requests_do_not_hold_a_connection(
    hasty: Gateway, sent: bytes, drop: bytes, expected: list[bytes]
) -> None:
    answers = trickled(hasty, sent, drop).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == expected
    until(lambda: in_flight(hasty) == 0)


def test_trickled_head_does_not_hold_a_connection(hasty: Gateway) -> None:
    trickled(hasty, b"GET /livez " + SLOW, b"a: b\r\n")  # the end may overtake the answer


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
        end.register(connection, 0)  # its end is always told
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
            time.sleep(0.01)  # which is what makes it slow: at most 3.2 MB/s


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


@pytest.mark.parametrize("wanted", ["0", "-1", "1m", "soon", "", "1e3", "0.0s", "nan", "1 s"])
def test_invalid_request_timeout(http: httpx.Client, wanted: str) -> None:
    refused = http.post(PREDICT, content=PICTURE, headers={"X-Request-Timeout": wanted})
    assert refused.status_code == 400
    assert refused.json()["code"] == "bad_option"
    assert "1.5, 1.5s or 250ms" in refused.json()["error"]


@pytest.mark.parametrize("wanted", ["5", "5s", "2.5", "2500ms", "1000000"])
def test_sufficient_request_timeout(http: httpx.Client, wanted: str) -> None:
    assert http.post(PREDICT, content=PICTURE, headers={"X-Request-Timeout": wanted}).status_code == 200


@pytest.fixture
def stopped(models_root: Path) -> Iterator[Gateway]:
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


def test_half_closed_client_is_answered_by_its_deadline(stopped: Gateway) -> None:
    with raw(stopped, request("x-request-timeout: 300ms")) as connection:
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 504") and b"connection: close" in answer
    with raw(stopped, request("x-request-timeout: 300ms")):
        pass  # a client that closes its socket looks the same
    until(lambda: in_flight(stopped) == 0)
    assert metric(stopped, 'vitrine_refused_total{model="shade",reason="client_gone"}') == 0


def in_flight(gateway: Gateway) -> float:
    return metric(gateway, "vitrine_in_flight")


def test_deadline_of_the_caller_is_kept_or_rejected_at_once(stopped: Gateway) -> None:
    late = stopped.http.post(PREDICT, content=PICTURE, headers={"X-Request-Timeout": "300ms"})
    assert late.status_code == 504
    assert late.json()["error"] == "no answer within the deadline of 0.3 s"
    with raw(stopped, request("x-request-timeout: 5")):  # takes the one place, and its time becomes what is expected
        until(lambda: in_flight(stopped) == 1)
        hurried = {"X-Request-Timeout": "20ms"}
        refused = stopped.http.post(PREDICT, content=PICTURE, headers=hurried)
        while refused.status_code != 503:
            refused = stopped.http.post(PREDICT, content=PICTURE, headers=hurried)
        assert refused.headers["retry-after"]
        assert "but the deadline is in" in refused.json()["error"]


def reset(connection: socket.socket) -> None:
    """Close the connection by RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_reset_during_a_model_call_frees_its_slot(stopped: Gateway) -> None:
    with raw(stopped, request()) as one, raw(stopped, request()) as other:
        until(lambda: in_flight(stopped) == 2)
        reset(one)
        reset(other)
    until(lambda: metric(stopped, 'vitrine_refused_total{model="shade",reason="client_gone"}') == 2)
    assert in_flight(stopped) == 0
    assert "Traceback" not in stopped.program.output
    assert "unexpected" not in stopped.program.output
