"""Connections that wait in the kernel's queue, on real sockets."""

import resource
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.http_server import waiting_connections as waiting
from serving.http_server.load_shedding import LoadShedder
from tests.programs import free_port
from tests.serving.gateway import programs

REQUEST = b"POST /model HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
READINESS = b"GET /readyz HTTP/1.1\r\n\r\n"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\nbusy"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        one.setblocking(False)
        yield one


def connected(listener: socket.socket, request: bytes = b"") -> socket.socket:
    client = socket.create_connection(listener.getsockname())
    client.sendall(request)
    client.settimeout(5)
    return client


def overloaded(running: int) -> LoadShedder:
    shedder = LoadShedder(0.1, lambda data: data.startswith(b"POST"), REFUSAL, lambda count: None)
    shedder.is_overloaded, shedder.running = True, running
    return shedder


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say how many wait")
def test_waiting_connections_are_counted(listener: socket.socket) -> None:
    assert waiting.count(listener) == 0
    clients = [connected(listener) for _ in range(3)]
    copied = waiting.copy(listener)
    assert waiting.count(listener) == waiting.count(copied) == 3
    accepted = [connection for connection, _ in waiting.accept(listener, None)]
    assert len(accepted) == 3 and waiting.count(listener) == 0
    for one in (*clients, *accepted, copied):
        one.close()


def test_a_first_request_is_refused_without_a_protocol(listener: socket.socket) -> None:
    with connected(listener, REQUEST) as client:
        assert list(waiting.accept(listener, overloaded(running=1000))) == []
        received = b"".join(iter(lambda: client.recv(1000), b""))  # until the connection is closed, not reset
    assert received.startswith(b"HTTP/1.1 503") and b"\r\nconnection: close\r\n" in received
    assert received.endswith(b"\r\n\r\nbusy")


@pytest.mark.parametrize(
    ("request_bytes", "running", "has_request"),
    [
        (REQUEST, 0, True),
        (REQUEST[:-1], 1000, False),
        (b"", 1000, False),
        (READINESS, 1000, False),
    ],
)
def test_other_connections_keep_what_they_received(
    listener: socket.socket, request_bytes: bytes, running: int, has_request: bool
) -> None:
    with connected(listener, request_bytes):
        [(connection, accepted)] = waiting.accept(listener, overloaded(running))
        with connection:
            assert accepted is has_request
            if request_bytes:
                assert connection.recv(1000) == request_bytes


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_without_file_descriptors_clients_wait_and_the_processor_rests(tmp_path: Path) -> None:
    """The limit of open files is reached: later clients are accepted once there is room."""
    with programs.gateway(f"127.0.0.1:{free_port()}", tmp_path / "none", "--models=line") as gateway:
        pid = gateway.program.process.pid
        open_files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_files + 4, 4096))
        port = httpx.URL(gateway.url).port
        assert port is not None
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(12)]
        time.sleep(0.3)
        ticks = _processor_ticks(pid)
        time.sleep(1)
        assert _processor_ticks(pid) - ticks < 30  # of 100
        for one in clients:
            one.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (4096, 4096))
        assert httpx.get(f"{gateway.url}/livez").status_code == 200


def _processor_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
