"""An HTTP/2 server that sends exactly the frames that a test scripts."""

import socket
import struct
import threading
from collections.abc import Callable

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x4, 0x8, 0x20
FRAME_SIZE = 16_384


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def prefixed(message: bytes, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, len(message)) + message


def uint32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def settings_payload(values: dict[int, int]) -> bytes:
    return b"".join(struct.pack(">HI", *pair) for pair in values.items())


class ClientConnection:
    """One accepted connection."""

    def __init__(self, accepted: socket.socket, settings: dict[int, int]) -> None:
        self.socket = accepted
        self.socket.settimeout(20)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self._received = b""
        while len(self._received) < len(PREFACE):
            self._receive()
        assert self._received.startswith(PREFACE)
        self._received = self._received[len(PREFACE) :]
        self.send(SETTINGS, 0, 0, settings_payload(settings))

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self._received += data

    def send(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self.socket.sendall(frame(kind, flags, stream, payload))

    def read(self) -> tuple[int, int, int, bytes]:
        """Return the next frame. Raises EOFError after the client has closed the connection."""
        while len(self._received) < 9 or len(self._received) < 9 + int.from_bytes(self._received[:3], "big"):
            self._receive()
        size = int.from_bytes(self._received[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self._received[3:9])
        payload, self._received = self._received[9 : 9 + size], self._received[9 + size :]
        return kind, flags, stream, payload

    def read_until(self, kind: int) -> tuple[int, int, int, bytes]:
        """Skip frames of other types."""
        while (found := self.read())[0] != kind:
            pass
        return found

    def read_request(self) -> tuple[int, dict[str, str], bytes]:
        """Return stream id, headers and message of the next complete request."""
        _, _, stream, block = self.read_until(HEADERS)
        body = b""
        while True:
            _, flags, number, payload = self.read_until(DATA)
            assert number == stream
            body += payload
            if flags & END_STREAM:
                return stream, dict(self.decoder.decode(block)), body[5:]

    def read_goaway(self) -> int:
        """Return the error code of the client's GOAWAY frame."""
        return int.from_bytes(self.read_until(GOAWAY)[3][4:8], "big")

    def wait_for_close(self) -> None:
        """Read until the client closes the connection."""
        try:
            while True:
                self.read()
        except (EOFError, OSError):
            pass

    def send_headers(self, stream: int, end: bool, **headers: str) -> None:
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        block = self.encoder.encode([(f":{name}" if name == "status" else name, value) for name, value in pairs])
        first, rest = block[:FRAME_SIZE], block[FRAME_SIZE:]
        self.send(HEADERS, END_HEADERS * (not rest) | END_STREAM * end, stream, first)
        while rest:
            part, rest = rest[:FRAME_SIZE], rest[FRAME_SIZE:]
            self.send(CONTINUATION, END_HEADERS * (not rest), stream, part)

    def respond(self, stream: int, message: bytes) -> None:
        self.send_headers(stream, False, status="200", content_type="application/grpc")
        self.send(DATA, 0, stream, prefixed(message))
        self.send_headers(stream, True, grpc_status="0")


Script = Callable[[ClientConnection], None]


class FrameServer:
    """Listens on a free port. The first connection runs the first script, and so on; the last script repeats."""

    def __init__(self, *scripts: Script, settings: dict[int, int] | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.errors: list[BaseException] = []
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
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
            self._threads.append(threading.Thread(target=self._run, args=(accepted, script), daemon=True))
            self._threads[-1].start()

    def _run(self, accepted: socket.socket, script: Script) -> None:
        try:
            script(ClientConnection(accepted, self._settings))
        except (EOFError, OSError):  # the client has closed the connection, or the test is over
            pass
        except BaseException as error:
            self.errors.append(error)
        finally:
            accepted.close()

    def join(self) -> None:
        """Wait until the scripts of all connections have ended."""
        for thread in self._threads:
            thread.join()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        self._listener.close()
        for accepted in self._open:
            accepted.close()
        assert self.errors == []
