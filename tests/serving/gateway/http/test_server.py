"""A real gateway's HTTP/1.1 server, with raw bytes."""

import contextlib
import re
import signal
import socket
import ssl
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.programs import free_port
from tests.serving.gateway import programs
from tests.serving.gateway.http.test_authentication import AUTHORITY, pem
from tests.serving.gateway.http.test_limits import raw, request, reset
from tests.serving.gateway.programs import Gateway

#: The default headers of the JDK's client.
H2C = (
    "Connection: Upgrade, HTTP2-Settings\r\nHost: x\r\n"
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\nUser-Agent: Java-http-client/17\r\n"
)


def statuses(connection: socket.socket, count: int) -> list[int]:
    """Read ``count`` responses and return their statuses."""
    stream = connection.makefile("rb")
    found = []
    for _ in range(count):
        found.append(int(stream.readline().split()[1]))
        length = 0
        while line := stream.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        stream.read(length)
    return found


def test_an_upgrade_header_is_ignored(served: Gateway) -> None:
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
    for path, body in {
        "/v1/models/line:predict": {"instances": [[1, 2, 3]]},
        "/v2/models/line/infer": {"inputs": [tensor]},
        "/v1/embeddings": {"model": "shade", "input": []},
        "/livez": {},
    }.items():
        content = httpx.Request("POST", served.url, json=body).content
        head = f"POST {path} HTTP/1.1\r\n{H2C}Content-Length: {len(content)}\r\nContent-Type: application/json\r\n\r\n"
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
        chunked = head.replace(f"Content-Length: {len(content)}", "Transfer-Encoding: chunked").encode() + chunks
        get = f"GET /livez HTTP/1.1\r\n{H2C}\r\n".encode()
        plain = served.http.post(path, json=body).status_code
        with raw(served, head.encode() + content + get + chunked) as connection:
            assert statuses(connection, 3) == [plain, 200, plain]


def peak_megabytes(process: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found[1]) / 1000


def send_until_closed(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(data)


def test_pipelined_requests_take_no_memory_and_do_not_block_others(tmp_path: Path) -> None:
    """Parsed at once, 6 MB of requests would take 400 MB."""
    unused = f"127.0.0.1:{free_port()}"
    with programs.gateway(unused, tmp_path / "none", "--models=line") as gateway:
        assert gateway.http.get("/livez").status_code == 200
        before = peak_megabytes(gateway.program.process.pid)
        count = 200_000
        with raw(gateway, b"") as connection:
            sent = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n" * count
            sender = threading.Thread(target=send_until_closed, args=[connection, sent])
            sender.start()
            stream = connection.makefile("rb")
            assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
            for _ in range(20):
                assert gateway.http.get("/livez").status_code == 200
            assert sender.is_alive()  # the gateway reads only what it answers
            connection.shutdown(socket.SHUT_RDWR)
            sender.join()
        assert peak_megabytes(gateway.program.process.pid) - before < 20


def test_an_idle_connection_is_closed_after_the_keep_alive_time(tmp_path: Path) -> None:
    unused, sent = f"127.0.0.1:{free_port()}", b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
    flags = ("--models=line", "--keep-alive-seconds=0.5")
    with programs.gateway(unused, tmp_path / "none", *flags) as gateway, raw(gateway, sent) as connection:
        started = time.monotonic()
        assert b"200 OK" in b"".join(iter(lambda: connection.recv(65536), b""))
        assert 0.4 < time.monotonic() - started < 5


def test_responses_close_the_connection_while_draining(tmp_path: Path) -> None:
    unused = f"127.0.0.1:{free_port()}"
    with programs.gateway(unused, tmp_path / "none", "--models=line", "--drain-seconds=5") as gateway:
        assert "connection" not in gateway.http.get("/livez").headers
        gateway.program.process.send_signal(signal.SIGTERM)
        while "the gateway is shutting down" not in gateway.http.get("/readyz").json()["reasons"]:
            pass
        for path in ("/livez", "/v1/models", "/v1/models/line:predict"):
            assert gateway.http.get(path).headers["connection"] == "close"
        assert gateway.program.process.wait(20) == 0


GET = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
ABANDONED = {
    "connected": b"",
    "in a head": b"GET /livez HTTP/1.1\r\nho",
    "in a body": request(body=b"a" * 1000)[:-500],
    "in a chunked body": b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
    "in a discarded body": b"POST /v1/models/none:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\na",
    "one request": request(),
    "many requests": GET * 10,
    "pipelined": (request() + GET) * 10,
    "rejected": b"hello\r\n\r\n",
    "rejected after others": GET + b"hello\r\n\r\n",
}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_abandoned_connections_log_nothing(served: Gateway, tmp_path: Path, tls: bool) -> None:
    """Close or reset the connection in every phase of a request, at once or a moment later."""
    context, flags = None, ("--models=shade,line", "--head-seconds=2", "--deadline-seconds=2")
    if tls:
        cert, key = pem(tmp_path, "server", AUTHORITY.issue_cert("localhost"))
        flags = (*flags, f"--tls-cert={cert}", f"--tls-key={key}")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    (model_server,) = [part for part in served.program.process.args if "--model-server=" in part]
    with programs.gateway(model_server.partition("=")[2], tmp_path / "none", *flags) as gateway:
        programs.wait_until_ready(gateway, "shade", "line")
        url = httpx.URL(gateway.url)
        before = gateway.program.output
        for sent in ABANDONED.values():
            for end in (socket.socket.close, reset):
                for delay in (0, 0.01):
                    for _ in range(25):
                        with contextlib.suppress(ConnectionError):
                            one = socket.create_connection((url.host, url.port or 80), timeout=20)
                            if context is not None and sent:
                                one = context.wrap_socket(one)
                            one.sendall(sent)
                            time.sleep(delay)
                            end(one)
        for piece in (b"\x16\x03\x01", GET):  # half of a TLS handshake, or none
            for end in (socket.socket.close, reset):
                one = socket.create_connection((url.host, url.port or 80), timeout=20)
                one.sendall(piece)
                end(one)
        with httpx.Client(base_url=str(url.copy_with(scheme="https" if tls else "http")), verify=False) as client:
            page = client.get("/metrics").text
            while "vitrine_in_flight 0.0" not in page:
                page = client.get("/metrics").text
        assert gateway.program.output[len(before) :] == ""
