"""A client's host that is cut off sends no FIN: its connections must end by the gateway's own time limits."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.network import Host, NetworkError, network
from tests.programs import Program
from tests.system_packages import require

CONNECTIONS = 10  # in each state
PORT = 8000
_SPARE = 5  # descriptors: the gateway tries again and again to reach its model server
LIMITS = ("--keep-alive-seconds=3", "--head-seconds=3", "--deadline-seconds=3", "--send-seconds=3")
CLIENT = r"""
import socket, sys, time
address, count = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3])
get = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
post = b"POST /v1/models/line:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
kept = []
for sent in (b"", get[:20], post[:30], post + b"half", get, get * 50, post + b"x" * 100):
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(address)
        one.sendall(sent)
        kept.append(one)
print("all sent", flush=True)
time.sleep(600)
"""


@pytest.fixture
def hosts() -> Iterator[dict[str, Host]]:
    require("iproute2")
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(network("gateway", "client", "other", names={}))
        except NetworkError as error:
            pytest.skip(str(error))
        yield made


@contextlib.contextmanager
def started(host: Host, *arguments: str) -> Iterator[Program]:
    program = host.start(*arguments)
    try:
        yield program
    finally:
        program.process.kill()
        program.stop()


def test_connections_of_a_host_that_is_cut_off_are_closed(hosts: dict[str, Host]) -> None:
    """Idle, in a head, in a body, with responses that nobody reads: none stays, and others are answered."""
    address, url = hosts["gateway"].address, f"http://{hosts['gateway'].address}:{PORT}/livez"
    flags = (f"--host={address}", "--model-server=127.0.0.1:1", "--models=line", "--insecure", *LIMITS)
    with started(hosts["gateway"], "-m", "serving.gateway", *flags) as gateway:
        gateway.wait_for("Uvicorn running")
        assert "alive" in hosts["other"].get(url)
        files = Path(f"/proc/{gateway.process.pid}/fd")
        before = len(list(files.iterdir())) + _SPARE
        with started(hosts["client"], "-c", CLIENT, address, str(PORT), str(CONNECTIONS)) as client:
            client.wait_for("all sent")
            hosts["client"].cut_off()
            gateway.wait_until(lambda: len(list(files.iterdir())) > before + CONNECTIONS)  # it accepts when it can
            assert "alive" in hosts["other"].get(url)
            gateway.wait_until(lambda: len(list(files.iterdir())) <= before)
            assert "alive" in hosts["other"].get(url)
