"""Listening sockets, the same for gRPC and REST."""

import contextlib
import socket

BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; a ``host`` of 0.0.0.0 is every address, of IPv6 as well.

    Raises:
        OSError: the port cannot be had.
        OverflowError: there is no such port.
    """
    if host == "0.0.0.0" and socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # IPv6 may be switched off; a port that is taken is told below
            return socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)
