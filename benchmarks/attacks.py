"""Measure what costly requests take of a gateway with its model server.

    python -m benchmarks.attacks pipeline
    python -m benchmarks.attacks --list
    python -m benchmarks.attacks pipeline --gateway-flag=--head-seconds=2

Each run starts both servers over ``exports/``, runs one attack and prints, for the gateway process: peak resident
memory before and after, processor time, responses by status, and bytes of log. A bystander requests ``/livez`` on a
separate connection meanwhile; its slowest response shows how far the attack starves others.

An attack is a function from a :class:`Target` to the responses by status, registered with ``@attack``.
"""

import argparse
import contextlib
import http.client
import json
import re
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from benchmarks import costly_bodies
from benchmarks.gateway import servers

MODEL = "sine_rnn"
FORECAST = json.dumps({"history": [0.31, 0.58], "horizon": 3}).encode()

console = Console(width=120)


@dataclass(frozen=True)
class Target:
    """The gateway's port on this machine."""

    port: int

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60, source_address=(source, 0))

    def send(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> str:
        """Send one request on a new connection and return the status.

        Returns ``reset`` if the connection ends without a response.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            try:
                connection.request(method, path, body, headers or {})
                response = connection.getresponse()
                response.read()
                return str(response.status)
            except (ConnectionError, http.client.HTTPException):
                return "reset"

    def send_at_once(self, count: int, send: Callable[[], str]) -> Counter[str]:
        """Call ``send`` in ``count`` threads at once and count the results."""
        statuses: Counter[str] = Counter()
        threads = [threading.Thread(target=lambda: statuses.update([send()])) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return statuses


Attack = Callable[[Target], Counter[str]]
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    """Register an attack under its name."""
    ATTACKS[function.__name__] = function
    return function


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    """Return the bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def stream(connection: socket.socket, data: bytes, seconds: float = 10) -> Counter[str]:
    """Send everything while reading, and count the responses by status.

    Ends when the server is silent for 2 s, closes the connection, or the time is up.
    """
    statuses: Counter[str] = Counter()
    rest, end, tail = memoryview(data), time.monotonic() + seconds, b""
    connection.setblocking(False)
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < end:
            readable, writable, _ = select.select([connection], [connection] if rest else [], [], 2)
            if writable:
                rest = rest[connection.send(rest[:262_144]) :]
            if readable:
                received = connection.recv(1 << 20)
                if not received:
                    return statuses + Counter(closed=1)
                found = re.findall(rb"HTTP/1\.1 (\d\d\d)", tail + received)
                tail = received[-11:]
                statuses.update(status.decode() for status in found)
            elif not writable:
                break
        return statuses
    return statuses + Counter(reset=1)


@attack
def pipeline(target: Target) -> Counter[str]:
    """29 MB of GET /livez on one connection; the client reads all responses."""
    one = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
    with target.connect() as connection:
        return stream(connection, one * (29_000_000 // len(one)))


@attack
def pipeline_hot(target: Target) -> Counter[str]:
    """29 MB of forecasts on one connection; the client reads all responses."""
    one = request("POST", f"/v1/models/{MODEL}:forecast", "content-type: application/json", body=FORECAST)
    with target.connect() as connection:
        return stream(connection, one * (29_000_000 // len(one)))


@attack
def pipeline_unread(target: Target) -> Counter[str]:
    """29 MB of GET /livez on one connection whose client reads nothing."""
    one = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
    with target.connect() as connection:
        connection.settimeout(10)
        with contextlib.suppress(OSError):
            connection.sendall(one * (29_000_000 // len(one)))
            return Counter(sent=1)
        return Counter(stopped=1)


@attack
def pipeline_behind_a_body(target: Target) -> Counter[str]:
    """29 MB of GET /livez behind a request that waits for the model."""
    first = request("POST", f"/v1/models/{MODEL}:forecast", "content-type: application/json", body=FORECAST)
    one = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
    with target.connect() as connection:
        return stream(connection, first + one * (29_000_000 // len(one)))


@attack
def unfinished_bodies(target: Target) -> Counter[str]:
    """1,100 connections with a request whose body never ends; then one whole request."""
    path = f"/v1/models/{MODEL}:forecast"
    with contextlib.ExitStack() as stack:
        for number in range(1100):
            connection = stack.enter_context(target.connect(f"127.0.0.{2 + number % 100}"))
            connection.sendall(request("POST", path, "content-type: application/json", body=FORECAST)[:-1])
        time.sleep(1)
        return Counter([target.send("POST", path, FORECAST, {"content-type": "application/json"})])


@attack
def abandoned(target: Target) -> Counter[str]:
    """1,000 connections reset in each phase of a request."""
    whole = request("POST", f"/v1/models/{MODEL}:forecast", "content-type: application/json", body=FORECAST)
    count: Counter[str] = Counter()
    for sent in (
        b"",
        b"GET / HT",
        whole[:-5],
        whole,
        whole * 20,
        b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 20,
    ):
        with contextlib.ExitStack() as stack:
            for _ in range(1000):
                connection = stack.enter_context(target.connect())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(sent)
            time.sleep(0.1)
        count["reset"] += 1000
    return count


@attack
def wrong_keys(target: Target) -> Counter[str]:
    """20,000 requests with invented keys; needs the flags --keys=FILE and --rate=RATE."""
    statuses: Counter[str] = Counter()
    for number in range(250):
        sent = [request("GET", "/v1/models", f"x-api-key: vt_{number:08x}_{attempt:032x}") for attempt in range(80)]
        with target.connect(f"127.0.1.{1 + number}") as connection:
            connection.sendall(b"".join([*sent, request("GET", "/livez", "connection: close")]))
            while received := connection.recv(1 << 20):
                statuses.update(status.decode() for status in re.findall(rb"HTTP/1\.1 (\d\d\d)", received))
    return statuses


def costly(build: Callable[[], Sequence[costly_bodies.Request]]) -> Attack:
    """Make an attack that sends some requests at once."""

    def send(target: Target) -> Counter[str]:
        requests = build()
        waiting = iter(requests)

        def send_next() -> str:
            one = next(waiting)
            return target.send("POST", one.path, one.body, one.headers)

        return target.send_at_once(len(requests), send_next)

    send.__name__, send.__doc__ = build.__name__, build.__doc__
    return send


for build in costly_bodies.ALL:
    attack(costly(build))


@dataclass
class Bystander:
    """Requests ``/livez`` repeatedly on one connection. ``slowest`` is in seconds."""

    target: Target
    slowest: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.target.port, timeout=120)
        with contextlib.closing(connection):
            while not self._stop.wait(0.02):
                started = time.perf_counter()
                try:
                    connection.request("GET", "/livez")
                    connection.getresponse().read()
                except (OSError, http.client.HTTPException):
                    connection.close()
                self.slowest = max(self.slowest, time.perf_counter() - started)


def peak_megabytes(pid: int) -> float:
    """Return the peak resident memory of a process (VmHWM) in megabytes."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024 / 1e6


def run(name: str, gateway_flags: list[str], exports: Path) -> None:
    """Start both servers, run one attack, and print its cost."""
    ours = servers.servers(exports, MODEL)[0]
    programs = {**ours.programs, "gateway": [*ours.programs["gateway"], *gateway_flags]}
    target = Target(ours.target.port)
    with contextlib.ExitStack() as stack:
        launched = {name: stack.enter_context(servers.launched(ours.python, line)) for name, line in programs.items()}
        gateway = launched["gateway"]
        until = time.monotonic() + 120
        while target_status(target) != "200":
            if gateway.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(gateway.output())
            time.sleep(0.1)
        pid, log = gateway.process.pid, gateway.log.stat().st_size
        memory, cpu, started = peak_megabytes(pid), servers.cpu_seconds(pid), time.monotonic()
        bystander = Bystander(target)
        with bystander.watching():
            statuses = ATTACKS[name](target)
        seconds = time.monotonic() - started
        if gateway.process.poll() is not None:
            console.print(f"{name}: the gateway ended with code {gateway.process.returncode}; it printed:")
            console.print(gateway.output(), markup=False)
            return
        console.print(
            f"{name}: peak memory {memory:.0f} → {peak_megabytes(pid):.0f} MB, "
            f"processor time {servers.cpu_seconds(pid) - cpu:.1f} s in {seconds:.1f} s, "
            f"slowest bystander {bystander.slowest:.2f} s, {gateway.log.stat().st_size - log:,} bytes of log, "
            f"responses {dict(statuses.most_common())}",
            markup=False,
            soft_wrap=True,
        )


def target_status(target: Target) -> str:
    """Return the status of ``/readyz``, empty if the port is closed."""
    try:
        return target.send("GET", "/readyz")
    except OSError:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="ATTACK", help="names of attacks; --list prints them")
    parser.add_argument("--list", action="store_true", help="print the attacks and exit")
    parser.add_argument("--gateway-flag", action="append", default=[], help="a flag for the gateway; may be repeated")
    parser.add_argument("--exports", type=Path, default=servers.REPOSITORY / "exports")
    options = parser.parse_args()
    if options.list:
        for name, function in ATTACKS.items():
            console.print(f"{name}: {function.__doc__}", markup=False)
    for name in options.names:
        if name not in ATTACKS:
            parser.error(f"{name!r} is not an attack; --list prints them all")
        run(name, options.gateway_flag, options.exports.resolve())


if __name__ == "__main__":
    main()
