"""Load shedding: the bytes that it refuses, a fair share for each caller, and a server under a flood of requests."""

import asyncio
import functools
import json
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import pytest
import uvicorn
import uvloop

from serving.http_server.load_shedding import LoadShedder
from serving.http_server.protocol import LimitedHttpProtocol
from tests.serving.http_server.recorded_shedder import RecordedShedder

REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nretry-after: 1\r\n\r\nbusy"
POST = b"POST /model HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b"


def post(body: bytes = b"abc", headers: bytes = b"") -> bytes:
    return POST % (headers, len(body), body)


def full(**changes: Any) -> LoadShedder:
    """Return a shedder in an overload, without a free place."""
    shedder = LoadShedder(0.1, lambda data: data.startswith(b"POST /model"), REFUSAL, lambda count: None)
    shedder.is_overloaded, shedder.running = True, 1000
    for name, value in changes.items():
        setattr(shedder, name, value)
    return shedder


@pytest.mark.parametrize(
    "data",
    [
        post(),
        post(b""),
        post(b"\r\n\r\n" * 9),
        b"POST /model HTTP/1.1\r\ncontent-length:3\r\n\r\nabc",
        post(headers=b"Authorization: Bearer k\r\n"),
    ],
)
def test_a_whole_request_is_refused(data: bytes) -> None:
    assert full().accepts(data, b"") is False


@pytest.mark.parametrize(
    "data",
    [
        post()[:-1],
        post() + b"P",
        post() + post(),
        post()[:30],
        POST % (b"Transfer-Encoding: chunked\r\n", 3, b"abc"),
        POST % (b"Content-Length: 3\r\n", 3, b"abc"),
        POST % (b"Upgrade: h2c\r\nConnection: upgrade\r\n", 3, b"abc"),
        b"POST /model HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /model HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc",
        b"POST /model HTTP/1.1\r\nX: Content-Length: 3\r\n\r\nabc",
        post().replace(b"POST", b"GET"),
        post().replace(b"/model", b"/readyz"),
        b"",
    ],
)
def test_other_bytes_are_left_to_the_parser(data: bytes) -> None:
    assert full().accepts(data, b"") is None


def test_requests_are_accepted_while_there_are_places() -> None:
    shedder = full(running=0)
    assert shedder.accepts(post(), b"")


@pytest.mark.parametrize("by", ["key", "address"])
def test_one_caller_does_not_starve_another(by: str) -> None:
    """A caller with a hundred times the requests leaves the other its places."""

    async def run() -> dict[str, Counter[bool]]:
        shedder = full(running=0, _delay=1e-6)  # 16 places, however fast the machine is
        outcomes: dict[str, Counter[bool]] = {"greedy": Counter(), "modest": Counter()}

        def ask(caller: str) -> None:
            key = b"X-API-Key: %b\r\n" % caller.encode() if by == "key" else b""
            refused = not shedder.accepts(post(headers=key), caller.encode() if by == "address" else b"10.0.0.1")
            outcomes[caller][refused] += 1
            if not refused:
                shedder.enter()

        for _ in range(5):
            for _ in range(500):
                ask("greedy")
            for _ in range(2):
                ask("modest")
            while shedder.running:
                shedder.leave()
            await asyncio.sleep(0.05)  # two ticks, which count what was accepted
            shedder.is_overloaded = True
        return outcomes

    outcomes = asyncio.run(run())
    assert outcomes["greedy"][True] > outcomes["greedy"][False]
    assert outcomes["modest"][True] <= 2  # in the first round nobody's use is known


class Flood:
    """A server whose requests take a millisecond of its processor each, and clients that do not wait."""

    def __init__(self) -> None:
        self.connections: list[LimitedHttpProtocol] = []
        self.refused = 0
        self.shedder = RecordedShedder(
            0.05,
            lambda data: data.startswith(b"POST"),
            REFUSAL,
            lambda count: setattr(self, "refused", count + self.refused),
        )

    async def application(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await asyncio.sleep(0.02)  # many are in progress at once, as with a model's batches
        compute(0.001)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def protocol(self, *args: Any, **kwargs: Any) -> LimitedHttpProtocol:
        connection = LimitedHttpProtocol(
            *args,
            **kwargs,
            max_headers=20,
            max_header_bytes=8192,
            head_seconds=60,
            send_seconds=60,
            on_rejected=lambda _: None,
            on_disconnect=lambda _: None,
            render_error=lambda code, message: json.dumps({"error": message}).encode(),
            shedder=self.shedder,
        )
        self.connections.append(connection)
        return connection

    async def run(self, clients: Callable[["Clients"], Awaitable[Any]]) -> Any:
        """Serve while the clients run."""
        config = uvicorn.Config(
            self.application,
            port=0,
            http=self.protocol,  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            interface="asgi3",
            timeout_keep_alive=60,
            log_config=None,
        )
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        try:
            port = server.servers[0].sockets[0].getsockname()[1]
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                return await clients(Clients(process, port))
        finally:
            await server.shutdown()


@dataclass(frozen=True)
class Clients:
    """They have a process of their own: in a thread they would wait for a server that computes."""

    process: ProcessPoolExecutor
    port: int

    async def statuses(self, requests: int, connections: int) -> Counter[bytes]:
        """Send requests over kept connections, each after the response to the one before."""
        run = functools.partial(_statuses, self.port, requests, connections)
        return await asyncio.get_running_loop().run_in_executor(self.process, run)


def _statuses(port: int, requests: int, connections: int) -> Counter[bytes]:
    return asyncio.run(_ask(port, requests, connections))


async def _ask(port: int, requests: int, connections: int) -> Counter[bytes]:
    found: Counter[bytes] = Counter()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(requests):
            writer.write(post())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            found[head[9:12]] += 1
            assert (b"retry-after: 1" in head) == (head[9:12] == b"503")
        writer.close()
        await writer.wait_closed()

    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    await asyncio.gather(*(client(*streams) for streams in opened))
    return found


def test_a_flood_is_refused_and_then_everything_is_accepted() -> None:
    flood = Flood()

    async def clients(clients: Clients) -> tuple[Counter[bytes], Counter[bytes]]:
        during = await clients.statuses(requests=4, connections=600)
        while flood.shedder.is_overloaded:
            await clients.statuses(requests=1, connections=2)
        return during, await clients.statuses(requests=5, connections=50)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        during, after = runner.run(flood.run(clients))
    assert during.total() == 2400 and during[b"503"] and during[b"200"]
    assert flood.refused == during[b"503"]
    assert flood.shedder.changes[:2] == [True, False] and flood.shedder.changes[-1] is False
    assert after == {b"200": 250}
    assert flood.shedder.running == 0


def test_an_overload_lasts_until_nothing_was_refused_for_a_while() -> None:
    """Also if nothing had to be refused for long before it."""

    async def run() -> list[bool]:
        shedder = LoadShedder(0.05, lambda data: True, REFUSAL, lambda count: None)
        shedder.enter()
        await asyncio.sleep(0.4)  # twice the ticks after which an overload ends
        shedder.count_unaccepted = lambda: 1000  # connections, each with a request perhaps
        states = []
        for _ in range(4):
            compute(0.06)  # late ticks of full turns
            await asyncio.sleep(0.001)
            states.append(shedder.is_overloaded)
        shedder.count_unaccepted = lambda: 0
        shedder.leave()
        async with asyncio.timeout(20):
            while shedder.is_overloaded:
                await asyncio.sleep(0.05)
        return states[1:]

    assert asyncio.run(run()) == [True] * 3


def compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_heads_are_remembered_up_to_a_limit() -> None:
    shedder = full()
    for number in range(3000):
        assert shedder.accepts(post(headers=b"X-Request-Id: %d\r\n" % number), b"") is False
    assert shedder.accepts(post(headers=b"X: %b\r\n" % (b"a" * 5000)), b"") is False
    assert len(shedder._heads) <= 1000 and max(map(len, shedder._heads)) <= 2048


class Early(Flood):
    """A server that answers before it has the body, as it does without a valid key."""

    async def application(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def test_the_rest_of_an_answered_body_is_no_request() -> None:
    """A response to it would be taken for that of another client behind the same proxy."""
    early = Early()

    async def client(clients: Clients) -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", clients.port)
        inner = post()
        writer.write(POST % (b"", len(inner), b""))
        await reader.readuntil(b"\r\n\r\n")
        early.shedder.is_overloaded, early.shedder.running = True, 1000
        writer.write(inner)
        await asyncio.sleep(0.05)
        early.shedder.is_overloaded, early.shedder.running = False, 0
        writer.write(post())
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
        rest = await reader.read()
        writer.close()
        return head, rest

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        head, rest = runner.run(early.run(client))
    assert head.startswith(b"HTTP/1.1 401") and rest == b""


def test_callers_that_wait_for_their_responses_are_not_refused() -> None:
    flood = Flood()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(flood.run(lambda clients: clients.statuses(requests=4, connections=200)))
    assert found == {b"200": 800}


def test_a_client_that_reads_no_refusals_does_not_fill_the_memory() -> None:
    flood = Flood()

    async def client(clients: Clients) -> int:
        shedder = flood.shedder
        shedder.refusal = REFUSAL.replace(b"length: 4", b"length: 65536").replace(b"busy", bytes(65536))
        with socket.create_connection(("127.0.0.1", clients.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            while not flood.connections or flood.connections[0].transport is None:
                await asyncio.sleep(0.01)
            server_side = flood.connections[0]
            refused = 0
            while refused < 300 and not server_side.flow.write_paused:
                shedder.is_overloaded, shedder.running, shedder._refused = True, 1000, 0
                connection.send(post())
                await asyncio.sleep(0.002)  # so that each is read alone
                refused += shedder._refused
            for _ in range(50):
                connection.send(post())
                await asyncio.sleep(0.002)
            shedder.is_overloaded, shedder.running = False, 0
            return server_side.transport.get_write_buffer_size()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        unsent = runner.run(flood.run(client))
    assert 0 < unsent < 200_000
