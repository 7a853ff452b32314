"""Upgrade offers to a server whose application echoes requests."""

import asyncio
import functools
import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from serving.http_server.protocol import LimitedHttpProtocol

BODY = b'{"history": [0.31, 0.58], "horizon": 3}'
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = b"5\r\n" + BODY[:5] + b"\r\n%x\r\n" % (len(BODY) - 5) + BODY[5:] + b"\r\n0\r\n\r\n"
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
OFFERS = {
    "the JDK's client": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAB"],
    "curl --http2": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAA"],
    "TLS": ["Connection: Upgrade", "Upgrade: TLS/1.0"],
    "several": ["Connection: keep-alive, upgrade", "Upgrade: h2c, TLS/1.2", "upgrade: websocket"],
    "WebSocket": ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY],
    "without Connection": ["Upgrade: h2c"],
    "after the length": ["X-Long: " + "a" * 3000, "UPGRADE: h2c", "CONNECTION: UPGRADE"],
}


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    request = {"method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode(), **headers}
    content = json.dumps({**request, "body": body.decode(), "version": scope["http_version"]}).encode()
    length = (b"content-length", b"%d" % len(content))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": content})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    protocol = functools.partial(
        LimitedHttpProtocol,
        max_headers=20,
        max_header_bytes=8192,
        head_seconds=10,
        send_seconds=10,
        on_rejected=lambda _: None,
        on_disconnect=lambda _: None,
        render_error=lambda code, message: json.dumps({"error": message, "code": code}).encode(),
    )
    config = uvicorn.Config(echo, http=protocol, ws="none", lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def request(*headers: str, body: bytes = b"", method: str = "POST", version: str = "1.1") -> bytes:
    lines = [f"{method} /v1/models/sine_rnn:forecast?a=1 HTTP/{version}", "Host: localhost", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def exchange(port: int, *pieces: bytes, responses: int = 1) -> list[dict[str, Any]]:
    """Send the pieces one by one; return the parsed bodies of that many responses, with their ``status``."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        stream = connection.makefile("rb")
        return [_read_response(stream) for _ in range(responses)]


def _read_response(stream: io.BufferedReader) -> dict[str, Any]:
    status = int(stream.readline().split()[1])
    headers = http.client.parse_headers(stream)
    return {"status": status, **json.loads(stream.read(int(headers["content-length"])))}


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("form", ["length", "chunked", "none", "1.0"])
def test_upgrade_offer_is_ignored(port: int, offer: str, form: str) -> None:
    if form == "none":
        sent = request(*OFFERS[offer], method="GET")
    elif form == "chunked":
        sent = request("Transfer-Encoding: chunked", *OFFERS[offer], body=CHUNKED)
    else:
        sent = request(LENGTH, *OFFERS[offer], body=BODY, version="1.0" if form == "1.0" else "1.1")
    for pieces in ([sent], [sent[:90], sent[90:]], [sent[: -len(BODY)], sent[-len(BODY) :]]):
        answer = exchange(port, *pieces)[0]
        assert (answer["status"], answer["path"], answer["query"]) == (200, "/v1/models/sine_rnn:forecast", "a=1")
        assert answer["body"].encode() == (b"" if form == "none" else BODY)
        assert answer["version"] == ("1.0" if form == "1.0" else "1.1")
        assert answer["host"] == "localhost"


def test_requests_after_an_offer_are_answered_in_order(port: int) -> None:
    offers = [request(LENGTH, *OFFERS["curl --http2"], body=BODY), request("Content-Length: 1", body=b"b")]
    answers = exchange(port, b"".join(offers * 20), responses=40)
    assert [answer["body"].encode() for answer in answers] == [BODY, b"b"] * 20


def test_limits_apply_to_heads_with_an_offer(port: int) -> None:
    many = [f"X-{number}: 1" for number in range(20)]
    assert exchange(port, request(*OFFERS["TLS"], *many))[0]["status"] == 431
    assert exchange(port, request(*OFFERS["TLS"], "X: " + "a" * 9000))[0]["code"] == "head_too_large"


def test_connect_is_rejected(port: int) -> None:
    assert exchange(port, b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")[0]["status"] == 400
