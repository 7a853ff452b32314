"""Connections that clients use as few do, or as none may."""

import gzip
import socket
import struct
import time

import hpack
import pytest

from serving.gateway.backends.tf_serving.http2 import frames
from tests.serving.gateway.backends.tf_serving.http2.raw import (
    CALM,
    COMPRESSION,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL,
    FRAME_SIZE,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    REFUSED,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Connect,
    frame,
    prefixed,
)
from tests.serving.model_server.grpc_api.grpc_servers import Running, channel, running


def test_frames_that_come_byte_by_byte(connect: Connect, server: Running) -> None:
    raw = connect(server)
    whole = frame(HEADERS, END_HEADERS, 1, raw.headers()) + frame(DATA, END_STREAM, 1, prefixed(b"slow"))
    for byte in whole:
        raw.socket.sendall(bytes([byte]))
    assert raw.answer(1) == (prefixed(b"slow"), {"grpc-status": "0"})


def test_headers_in_parts_with_padding_and_priority(connect: Connect, server: Running) -> None:
    raw = connect(server)
    block = raw.headers(x_long="y" * 3000)
    first = bytes([7]) + bytes(5) + block[:10] + bytes(7)
    raw.send(HEADERS, PADDED | WITH_PRIORITY, 1, first)
    raw.send(CONTINUATION, 0, 1, block[10:2000])
    raw.send(CONTINUATION, END_HEADERS, 1, block[2000:])
    raw.send(DATA, PADDED, 1, bytes([3]) + prefixed(b"padded")[:6] + bytes(3))
    raw.send(PRIORITY, 0, 1, bytes(5))
    raw.send(0xF0, 0xFF, 1, b"of a kind that nobody knows")
    raw.send(DATA, 0, 1, prefixed(b"padded")[6:])
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, raw.encoder.encode([("x-trailer", "1")]))
    assert raw.answer(1) == (prefixed(b"padded"), {"grpc-status": "0"})


def test_headers_that_never_end_are_refused(connect: Connect, server: Running) -> None:
    raw = connect(server)
    raw.send(HEADERS, 0, 1, raw.headers())
    raw.socket.sendall(frame(CONTINUATION, 0, 1) * 1000)
    raw.send(CONTINUATION, END_HEADERS, 1)
    raw.send(DATA, END_STREAM, 1, prefixed(b"ended"))
    assert raw.answer(1)[0] == prefixed(b"ended")
    raw.send(HEADERS, 0, 3, raw.headers())
    raw.socket.sendall(frame(CONTINUATION, 0, 3) * 2000)
    assert raw.goaway() == CALM


def test_many_settings_with_many_streams_cost_little(connect: Connect, server: Running) -> None:
    """Applied to each stream one by one, these would hold the server for minutes."""
    raw = connect(server)
    for number in range(3000):
        raw.send(HEADERS, END_HEADERS, 2 * number + 1, raw.headers())
    values = b"".join(struct.pack(">HI", frames.INITIAL_WINDOW_SIZE, 10 + number % 7) for number in range(2700))
    started = time.monotonic()
    raw.socket.sendall(frame(SETTINGS, 0, 0, values) * 50)
    raw.send(SETTINGS, 0, 0, values + struct.pack(">HI", frames.INITIAL_WINDOW_SIZE, 8))
    raw.send(DATA, END_STREAM, 1, prefixed(b"four"))
    assert raw.until(DATA) == (DATA, 0, 1, prefixed(b"four")[:8]), "the last value counts"
    assert time.monotonic() - started < 10


def test_a_push_from_a_client_ends_the_connection(connect: Connect, server: Running) -> None:
    raw = connect(server)
    raw.send(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + raw.headers())
    assert raw.goaway() == PROTOCOL_ERROR


def test_padding_is_given_back_to_the_window(connect: Connect, server: Running) -> None:
    raw = connect(server)
    raw.send(HEADERS, END_HEADERS, 1, raw.headers())
    raw.send(DATA, PADDED, 1, bytes([3]) + prefixed(b"padded") + bytes(3))
    assert raw.until(WINDOW_UPDATE, 1)[3] == struct.pack(">I", 4)


def test_requests_that_are_interleaved(connect: Connect, server: Running) -> None:
    raw = connect(server)
    for stream in (1, 3, 5):
        raw.send(HEADERS, END_HEADERS, stream, raw.headers())
    for at in range(2):
        for stream in (5, 1, 3):
            raw.send(DATA, END_STREAM * at, stream, prefixed(bytes([stream]) * 6)[6 * at : 6 * at + 6][: 6 - at])
    found = {}
    while len(found) < 3:
        kind, _, number, payload = raw.read()
        if kind == DATA:
            found[number] = payload
    assert found == {stream: prefixed(bytes([stream]) * 6) for stream in (1, 3, 5)}


def test_an_answer_waits_for_the_clients_windows(connect: Connect, server: Running) -> None:
    raw = connect(server, settings={frames.INITIAL_WINDOW_SIZE: 10})
    raw.call(1, b"m" * 95)
    assert raw.until(DATA) == (DATA, 0, 1, prefixed(b"m" * 95)[:10])
    raw.send(WINDOW_UPDATE, 0, 1, struct.pack(">I", 20))
    assert len(raw.until(DATA)[3]) == 20
    raw.send(SETTINGS, 0, 0, struct.pack(">HI", frames.INITIAL_WINDOW_SIZE, 0))  # the window is now -10
    raw.send(WINDOW_UPDATE, 0, 1, struct.pack(">I", 15))
    assert len(raw.until(DATA)[3]) == 5
    raw.send(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1000))
    assert raw.answer(1) == (b"m" * 65, {"grpc-status": "0"})
    raw.send(SETTINGS, 0, 0, struct.pack(">HI", frames.INITIAL_WINDOW_SIZE, 2**20))
    raw.call(3, bytes(70_000))  # the connection has a window of its own, of 65,535 bytes
    sent = 0
    while sent < 65_535 - 100:
        sent += len(raw.until(DATA)[3])
    assert sent == 65_535 - 100
    raw.send(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**20))
    assert len(raw.answer(3)[0]) == 70_005 - sent


def test_pings_are_answered_and_a_small_table_of_headers_is_told_of(connect: Connect, server: Running) -> None:
    raw = connect(server, settings={frames.HEADER_TABLE_SIZE: 0})
    raw.send(PING, 0, 0, b"12345678")
    assert raw.until(PING) == (PING, frames.ACK, 0, b"12345678")
    raw.call(1, b"x")
    assert raw.until(HEADERS, 1)[3].startswith(b"\x20"), "RFC 7541, 4.2: the next headers begin with the update"
    raw.call(3, b"x")
    assert not raw.until(HEADERS, 3)[3].startswith(b"\x20")


def test_a_client_that_pings_too_often_is_sent_away(connect: Connect, server: Running) -> None:
    """As by gRPC's C servers: two pings may come too early; an answer sets the count back."""
    raw = connect(server)
    for number in range(1, 13, 2):
        raw.send(PING, 0, 0, bytes(8))
        raw.until(PING)
        raw.call(number, b"x")
        raw.answer(number)
    for _ in range(3):
        raw.send(PING, 0, 0, bytes(8))
        raw.until(PING)
    raw.send(PING, 0, 0, bytes(8))
    payload = raw.until(GOAWAY)[3]
    assert (int.from_bytes(payload[4:8], "big"), payload[8:]) == (CALM, b"too_many_pings")


def test_a_stream_that_was_reset_is_no_more(connect: Connect, server: Running) -> None:
    raw = connect(server)
    raw.send(HEADERS, END_HEADERS, 1, raw.headers())
    raw.send(RST_STREAM, 0, 1, bytes(4))
    raw.send(DATA, END_STREAM, 1, prefixed(b"late"))
    raw.call(3, b"next")
    assert raw.answer(3)[0] == prefixed(b"next")


def test_more_streams_than_allowed_are_refused(connect: Connect) -> None:
    with running("grpc.max_concurrent_streams=1") as server:
        raw = connect(server)
        assert frames.read_settings(raw.until(SETTINGS)[3])[-1] == (frames.MAX_CONCURRENT_STREAMS, 1)
        raw.send(HEADERS, END_HEADERS, 1, raw.headers())
        raw.send(HEADERS, END_HEADERS, 3, raw.headers())
        assert raw.until(RST_STREAM) == (RST_STREAM, 0, 3, struct.pack(">I", REFUSED))
        raw.send(DATA, END_STREAM, 1, prefixed(b"x"))
        assert raw.answer(1)[0] == prefixed(b"x")


@pytest.mark.parametrize(
    ("body", "more", "status", "message"),
    [
        (b"", {}, "13", "this one has none"),
        (prefixed(b"x") + prefixed(b"y"), {}, "13", "the message has 7 bytes, but 1 by its prefix"),
        (prefixed(b"xyz")[:-1], {}, "13", "the message has 2 bytes, but 3 by its prefix"),
        (prefixed(b"x", 1), {}, "12", "grpc-encoding 'identity'"),
        (prefixed(b"x", 1), {"grpc_encoding": "snappy"}, "12", "grpc-encoding 'snappy'"),
        (prefixed(b"no gzip", 1), {"grpc_encoding": "gzip"}, "13", "not in grpc-encoding 'gzip'"),
        (prefixed(gzip.compress(b"abc")[:-9], 1), {"grpc_encoding": "gzip"}, "13", "breaks off"),
    ],
)
def test_bodies_that_are_no_message(
    connect: Connect, server: Running, body: bytes, more: dict[str, str], status: str, message: str
) -> None:
    raw = connect(server)
    raw.send(HEADERS, END_HEADERS, 1, raw.headers(**more))
    raw.send(DATA, END_STREAM, 1, body)
    found = raw.answer(1)[1]
    assert (found["grpc-status"], message in found["grpc-message"]) == (status, True), found
    raw.call(3, b"next")
    assert raw.answer(3)[0] == prefixed(b"next")


@pytest.mark.parametrize("declared", [500, 1001])
def test_a_body_is_refused_as_soon_as_it_is_too_large(connect: Connect, declared: int) -> None:
    """The request never ends, and its prefix comes in two pieces."""
    with running("grpc.max_receive_message_length=1000") as server:
        raw = connect(server)
        raw.send(HEADERS, END_HEADERS, 1, raw.headers())
        body = struct.pack(">BI", 0, declared)
        raw.send(DATA, 0, 1, body[:3])
        raw.send(DATA, 0, 1, b"")
        raw.send(DATA, 0, 1, body[3:] + bytes(495))
        if declared == 500:
            raw.send(DATA, 0, 1, bytes(6))
        assert raw.answer(1)[1]["grpc-status"] == ("13" if declared == 500 else "8")
        raw.call(3, b"next")
        assert raw.answer(3)[0] == prefixed(b"next")


def test_a_bomb_is_not_unpacked(connect: Connect) -> None:
    with running("grpc.max_receive_message_length=100000") as server:
        raw = connect(server)
        raw.send(HEADERS, END_HEADERS, 1, raw.headers(grpc_encoding="gzip"))
        raw.send(DATA, END_STREAM, 1, prefixed(gzip.compress(bytes(10_000_000)), 1))
        assert raw.answer(1)[1]["grpc-status"] == "8"


@pytest.mark.parametrize(
    ("change", "status"), [({":method": "GET"}, "405"), ({"content-type": "application/json"}, "415")]
)
def test_what_is_no_call(connect: Connect, server: Running, change: dict[str, str], status: str) -> None:
    raw = connect(server)
    own = {":method": "POST", ":scheme": "http", ":path": "/t/echo", "content-type": "application/grpc"}
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, raw.encoder.encode(list((own | change).items())))
    assert raw.answer(1)[1][":status"] == status


def test_a_connection_that_breaks_the_protocol_ends_and_says_why(connect: Connect, server: Running) -> None:
    def after(*wrong: bytes, headers: bool = False) -> int:
        raw = connect(server)
        if headers:
            raw.send(HEADERS, END_HEADERS, 1, raw.headers())
        raw.socket.sendall(b"".join(wrong))
        return raw.goaway()

    block = hpack.Encoder().encode([(":method", "POST"), (":path", "/t/echo")])
    assert after(frame(HEADERS, 0, 1, block), frame(PING, 0, 0, bytes(8))) == PROTOCOL_ERROR
    assert after(frame(CONTINUATION, END_HEADERS, 1, block)) == PROTOCOL_ERROR
    assert after(frame(HEADERS, END_HEADERS, 2, block)) == PROTOCOL_ERROR
    assert after(frame(DATA, 0, 7, b"x")) == PROTOCOL_ERROR
    assert after(frame(RST_STREAM, 0, 7, bytes(4))) == PROTOCOL_ERROR
    assert after(frame(RST_STREAM, 0, 1, bytes(3)), headers=True) == FRAME_SIZE
    assert after(frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff")) == COMPRESSION
    assert after(frame(HEADERS, END_HEADERS, 1, b"\x40\x7f")) == COMPRESSION
    assert after(frame(DATA, PADDED, 1, b"\x05abc"), headers=True) == PROTOCOL_ERROR
    assert after(frame(DATA, 0, 1, bytes(16_385)), headers=True) == FRAME_SIZE
    assert after(frame(SETTINGS, 0, 0, bytes(5))) == FRAME_SIZE
    assert after(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31))) == FLOW_CONTROL
    assert after(frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 100))) == PROTOCOL_ERROR
    assert after(frame(PING, 0, 0, bytes(7))) == FRAME_SIZE
    assert after(frame(WINDOW_UPDATE, 0, 0, bytes(4))) == PROTOCOL_ERROR
    assert after(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1))) == FLOW_CONTROL
    large = hpack.Encoder().encode([(f"x-{number}", "y" * 1000, True) for number in range(30)])
    parts = [frame(HEADERS, 0, 1, large[:16_000]), frame(CONTINUATION, END_HEADERS, 1, large[16_000:])]
    assert after(*parts) == CALM
    endless = [frame(CONTINUATION, 0, 1, large[:10_000]) for _ in range(4)]
    assert after(parts[0], *endless) == CALM


def test_clients_that_hang_up_with_answers_under_way_leave_no_error(connect: Connect) -> None:
    with running() as server:  # asserts as it closes
        for _ in range(30):
            raw = connect(server)
            for stream in range(1, 20, 2):
                raw.call(stream, b"x")
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.socket.close()
        with channel(server) as opened:
            assert opened.unary_unary("/t/echo")(b"x", timeout=20) == b"x"


def test_http_1_is_told_and_closed(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while data := plain.recv(1000):
            answer += data
    assert b"must speak HTTP/2" in answer
