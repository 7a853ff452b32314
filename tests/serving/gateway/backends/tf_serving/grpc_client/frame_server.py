"""A server that says what a test tells it, frame by frame."""

import socket
import struct
import threading
from collections.abc import Callable

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x4, 0x8, 0x20


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def prefixed(message: bytes, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, len(message)) + message


class Peer:
    """One connection that was accepted, seen from the server."""

    def __init__(self, accepted: socket.socket, settings: dict[int, int]) -> None:
        self.socket = accepted
        self.socket.settimeout(20)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.rest = b""
        while len(self.rest) < len(PREFACE):
            self._more()
        assert self.rest.startswith(PREFACE)
        self.rest = self.rest[len(PREFACE) :]
        self.send(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in settings.items()))

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self.rest += data

    def send(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self.socket.sendall(frame(kind, flags, stream, payload))

    def read(self) -> tuple[int, int, int, bytes]:
        """The next frame; raises EOFError where the client has closed."""
        while len(self.rest) < 9 or len(self.rest) < 9 + int.from_bytes(self.rest[:3], "big"):
            self._more()
        size = int.from_bytes(self.rest[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.rest[3:9])
        payload, self.rest = self.rest[9 : 9 + size], self.rest[9 + size :]
        return kind, flags, stream, payload

    def until(self, kind: int) -> tuple[int, int, int, bytes]:
        while (found := self.read())[0] != kind:
            pass
        return found

    def request(self) -> tuple[int, dict[str, str], bytes]:
        """The next whole request: its stream, its headers and its message."""
        _, _, stream, block = self.until(HEADERS)
        body = b""
        while True:
            _, flags, number, payload = self.until(DATA)
            assert number == stream
            body += payload
            if flags & END_STREAM:
                return stream, dict(self.decoder.decode(block)), body[5:]

    def headers(self, stream: int, end: bool, **more: str) -> None:
        pairs = [(name.replace("_", "-"), text) for name, text in more.items()]
        block = self.encoder.encode([(f":{name}" if name == "status" else name, text) for name, text in pairs])
        first, rest = block[:16_384], block[16_384:]
        self.send(HEADERS, END_HEADERS * (not rest) | END_STREAM * end, stream, first)
        while rest:
            part, rest = rest[:16_384], rest[16_384:]
            self.send(CONTINUATION, END_HEADERS * (not rest), stream, part)

    def answer(self, stream: int, message: bytes) -> None:
        self.headers(stream, False, status="200", content_type="application/grpc")
        self.send(DATA, 0, stream, prefixed(message))
        self.headers(stream, True, grpc_status="0")


Script = Callable[[Peer], None]


class Fake:
    """Listens on a free port; the first connection is the first script's, and so on. The last is used again."""

    def __init__(self, *scripts: Script, settings: dict[int, int] | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.failed: list[BaseException] = []
        self._open: list[socket.socket] = []
        self._scripts, self._settings = scripts, settings or {}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(accepted)
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            threading.Thread(target=self._play, args=(accepted, script), daemon=True).start()

    def _play(self, accepted: socket.socket, script: Script) -> None:
        try:
            script(Peer(accepted, self._settings))
        except (EOFError, OSError):  # the client has gone, or the test is over
            pass
        except BaseException as error:
            self.failed.append(error)
        finally:
            accepted.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()
        for accepted in self._open:
            accepted.close()
        assert self.failed == []
