"""Detection of dead connections: HTTP/2 pings and TCP keep-alive.

Source: grpc/doc/keepalive.md. gRPC servers close a connection that pings more often than every five minutes. TCP
probes have no such limit and find a lost host sooner.
"""

import asyncio
import math
import socket
from collections.abc import Callable

IDLE_TIME = 30.0  # seconds without data, while calls are pending, before a ping
PING_INTERVAL = 305.0  # least seconds between two pings
PING_TIMEOUT = 2.0  # seconds for the server to answer a ping, and for its host to acknowledge a TCP segment


class Keepalive:
    """Pings a silent server while calls are pending.

    Attributes:
        received: set by the owner whenever data arrives.
    """

    def __init__(
        self, has_pending_calls: Callable[[], bool], send_ping: Callable[[], None], on_timeout: Callable[[str], None]
    ) -> None:
        self.received = False
        self._has_pending_calls = has_pending_calls
        self._send_ping = send_ping
        self._on_timeout = on_timeout
        self._last_ping = -math.inf
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the timer."""
        self._timer = self._loop.call_later(IDLE_TIME, self._check)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        now = self._loop.time()
        if not self.received and self._has_pending_calls() and now - self._last_ping >= PING_INTERVAL:
            self._last_ping = now
            self._send_ping()
            self._timer = self._loop.call_later(PING_TIMEOUT, self._check_reply)
        else:
            self.received = False
            self.start()

    def _check_reply(self) -> None:
        if self.received:
            self._check()
        else:
            self._on_timeout(f"the server did not answer a ping within {PING_TIMEOUT:g} s")


def enable_tcp_keepalive(sock: socket.socket) -> None:
    """Let the kernel close the connection if the host stops acknowledging data."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sock.family == socket.AF_UNIX:
        return
    timeout = math.ceil(PING_TIMEOUT)
    options = {
        "TCP_USER_TIMEOUT": timeout * 1000,
        "TCP_KEEPIDLE": math.ceil(IDLE_TIME),
        "TCP_KEEPINTVL": timeout,
        "TCP_KEEPCNT": 1,
    }
    for name, value in options.items():
        if hasattr(socket, name):  # the options differ between systems
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
