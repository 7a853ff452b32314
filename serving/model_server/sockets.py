"""Listening sockets."""

import contextlib
import socket

BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. The host 0.0.0.0 means all addresses, including those of IPv6.

    Raises:
        OSError: The port is not available.
        OverflowError: The port number is too large.
    """
    if host == "0.0.0.0" and socket.has_dualstack_ipv6():  # nosec B104 # compares
        with contextlib.suppress(OSError):  # IPv6 may be off; a port in use is reported below
            return socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)
