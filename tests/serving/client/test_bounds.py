"""The client against slow, endless and malformed servers on real sockets."""

import asyncio
import contextlib
import gc
import gzip
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import brotli
import pytest

from serving.client import AsyncClient, Client, VitrineError

Script = Callable[[socket.socket], None]
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TIME = 1.0


@contextlib.contextmanager
def serving(script: Script) -> Iterator[str]:
    """A server that runs the script on every connection; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def play(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            script(connection)
        connection.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted.append(listener.accept()[0])
                threading.Thread(target=play, args=(accepted[-1],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in accepted:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def request(connection: socket.socket) -> None:
    """Read a request without a body."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(65536)
        if not head:
            raise ConnectionError


def answering(answer: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        while True:
            request(connection)
            connection.sendall(answer)

    return script


def body(content: bytes, *headers: bytes) -> bytes:
    lines = [b"Content-Length: %d" % len(content), *headers]
    return JSON + b"\r\n".join(lines) + b"\r\n\r\n" + content


def ask(url: str, how: str, **options: Any) -> VitrineError:
    """The error of one call."""
    with pytest.raises(VitrineError) as caught:
        if how == "sync":
            with Client(url, **options) as client:
                client.models()
        else:
            asyncio.run(ask_async(url, **options))
    return caught.value


async def ask_async(url: str, **options: Any) -> None:
    async with AsyncClient(url, **options) as client:
        await client.models()


def drip(connection: socket.socket, first: bytes, each: bytes) -> None:
    request(connection)
    connection.sendall(first)
    while True:
        connection.sendall(each)
        time.sleep(0.1)


SLOW: dict[str, Script] = {
    "silent": lambda connection: connection.recv(1) and time.sleep(20),  # type: ignore[func-returns-value]
    "status drips": lambda connection: drip(connection, b"HTTP/1.1 200 ", b"O"),
    "headers drip": lambda connection: drip(connection, JSON, b"x: y\r\n"),
    "interim answers": lambda connection: drip(connection, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "body drips": lambda connection: drip(connection, JSON + b"Content-Length: 1000\r\n\r\n", b" "),
    "chunks drip": lambda connection: drip(connection, JSON + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "an error drips": lambda connection: drip(connection, b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n", b" "),
    "refusals": answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
}


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("what", SLOW)
def test_the_timeout_covers_the_whole_call(what: str, how: str) -> None:
    with serving(SLOW[what]) as url:
        started = time.monotonic()
        error = ask(url, how, timeout=TIME)
        assert time.monotonic() - started < 3 * TIME
    assert error.code == ("error" if what == "refusals" else "timeout")


@pytest.mark.parametrize("how", ["sync", "async"])
def test_the_timeout_covers_sending(how: str) -> None:
    async def send(url: str) -> None:
        async with AsyncClient(url, timeout=TIME) as client:
            await client.predict("m", bytes(30_000_000))

    def read_slowly(connection: socket.socket) -> None:
        while connection.recv(100):
            time.sleep(0.1)

    with serving(read_slowly) as url:
        started = time.monotonic()
        with pytest.raises(VitrineError) as caught:
            if how == "sync":
                with Client(url, timeout=TIME) as client:
                    client.predict("m", bytes(30_000_000))
            else:
                asyncio.run(send(url))
        assert time.monotonic() - started < 3 * TIME
    assert caught.value.code == "timeout"


def test_the_timeout_covers_connecting() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(3):  # until nobody more can connect
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(full.getsockname())
        started = time.monotonic()
        error = ask(f"http://127.0.0.1:{full.getsockname()[1]}", "sync", timeout=TIME)
        assert time.monotonic() - started < 3 * TIME
        assert error.code in ("unreachable", "timeout")
        for each in waiting:
            each.close()


def endless(first: bytes, more: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(first)
        while True:
            connection.sendall(more)

    return script


BOMB = b"\0" * 300_000_000
LARGE: dict[str, Callable[[], Script]] = {
    "length": lambda: answering(JSON + b"Content-Length: 1000000000000\r\n\r\n" + bytes(2_000_000)),
    "chunks": lambda: endless(JSON + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + bytes(65536) + b"\r\n"),
    "until the end": lambda: endless(JSON + b"\r\n", bytes(65536)),
    "an error": lambda: endless(b"HTTP/1.1 400 Bad\r\n\r\n", bytes(65536)),
    "gzip": lambda: answering(body(gzip.compress(BOMB, 6), b"Content-Encoding: gzip")),
}


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("what", LARGE)
def test_a_response_above_the_limit_is_not_buffered(what: str, how: str) -> None:
    with serving(LARGE[what]()) as url:
        tracemalloc.start()
        try:
            error = ask(url, how, timeout=20, max_answer_bytes=1_000_000)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert error.code == "answer_too_large" and "1000000" in error.message
    assert peak < 10_000_000


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (body(brotli.compress(bytes(300_000_000)), b"Content-Encoding: br"), "not gzip"),
        (body(gzip.compress(b'{"models": []}')[:-5], b"Content-Encoding: gzip"), "cut short"),
        (body(b"no gzip", b"Content-Encoding: gzip"), "like the gateway"),
        (body(b'{"models": ["\xff"]}'), "like the gateway"),
        (body(b"[" * 100_000), "like the gateway"),
        (body(b'{"models": [1e999]}'), "like the gateway"),
        (body(b"null"), "like the gateway"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n", "redirects to"),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "answered 302"),
        (
            b"HTTP/1.1 500 \xff\r\nContent-Type: text/html; charset=base64\r\nContent-Length: 1\r\n\r\n\xff",
            "answered 500",
        ),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 20000\r\n\r\n" + b"[" * 20_000, "answered 400"),
    ],
)
def test_malformed_responses_are_errors(answer: bytes, word: str, how: str) -> None:
    with serving(answering(answer)) as url:
        error = ask(url, how, timeout=10)
    assert word in error.message and error.code == "error"


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.7\r\n", b"", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000_000])
def test_servers_without_http(answer: bytes, how: str) -> None:
    def script(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(answer)

    with serving(script) as url:
        error = ask(url, how, timeout=0.5)
    assert error.code in ("unreachable", "timeout") and error.status is None


def test_a_compressed_response_is_read() -> None:
    with serving(answering(body(gzip.compress(b'{"models": []}'), b"Content-Encoding: gzip"))) as url:
        with Client(url) as client:
            assert [client.models() for _ in range(3)] == [[]] * 3
        with Client(url, max_answer_bytes=14) as client:
            assert client.models() == []
        assert ask(url, "sync", max_answer_bytes=13).code == "answer_too_large"


def test_without_retries_the_first_failure_is_raised() -> None:
    with serving(SLOW["refusals"]) as url:
        started = time.monotonic()
        assert ask(url, "sync", retry=False).status == 503
        assert time.monotonic() - started < 5


def test_a_closed_client_raises() -> None:
    entered = threading.Event()

    def hang(connection: socket.socket) -> None:
        request(connection)
        entered.set()
        connection.recv(1)

    caught: list[VitrineError] = []

    def call(client: Client) -> None:
        with pytest.raises(VitrineError) as failed:
            client.models()
        caught.append(failed.value)

    with serving(hang) as url:
        client = Client(url)
        under_way = threading.Thread(target=call, args=(client,))
        under_way.start()
        assert entered.wait(20)
        client.close()
        under_way.join(20)
        call(client)
        client.close()
    assert [error.code for error in caught] == ["closed", "closed"]


async def test_a_closed_asynchronous_client_raises() -> None:
    client = AsyncClient()
    await client.close()
    with pytest.raises(VitrineError, match="closed"):
        await client.models()


def test_threads_share_a_client_and_none_remains() -> None:
    before = threading.active_count()
    with serving(answering(body(b'{"models": []}'))) as url:
        client = Client(url)
        threads = [threading.Thread(target=client.models) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (loop,) = (thread for thread in threading.enumerate() if thread.name == "vitrine-client")
        client.close()
        assert not loop.is_alive()
        forgotten = Client(url)
        assert forgotten.models() == []
        (loop,) = (thread for thread in threading.enumerate() if thread.name == "vitrine-client")
        with pytest.warns(ResourceWarning):
            del forgotten
            loop.join(20)
            gc.collect()
        assert not loop.is_alive()
    assert threading.active_count() <= before + 2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_client_from_before_a_fork_raises() -> None:
    with serving(answering(body(b'{"models": []}'))) as url, Client(url) as client:
        assert client.models() == []
        child = os.fork()
        if not child:
            try:
                client.models()
            except VitrineError as error:
                os._exit(7 if "fork" in error.message else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert client.models() == []
