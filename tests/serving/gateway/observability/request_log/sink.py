"""A receiver of CloudEvents for tests."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class EventSink:
    """Received events: their headers in lower case, and their data.

    ``statuses`` are those of the next responses, then 202.
    """

    url: str = ""
    events: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.events) >= count, 20), self.events


@contextlib.contextmanager
def event_sink(*statuses: int) -> Iterator[EventSink]:
    sink = EventSink(statuses=list(statuses))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            with sink.changed:
                sink.events.append(({name.lower(): value for name, value in self.headers.items()}, content))
                self.send_response(sink.statuses.pop(0) if sink.statuses else 202)
                sink.changed.notify_all()
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    sink.url = f"http://127.0.0.1:{server.server_port}/events"
    try:
        yield sink
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
