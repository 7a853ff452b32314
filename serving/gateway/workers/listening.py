"""Sockets of several processes on one port.

Linux spreads new connections over all sockets that listen with ``SO_REUSEPORT``. The supervisor's own sockets never
listen: they keep the port while no worker does.
"""

import socket
from collections.abc import Sequence


def reserve(host: str, port: int) -> list[socket.socket]:
    """Bind all addresses of ``host`` to one port; port 0 takes a free one.

    Raises:
        OSError: an address cannot be bound, or another program has the port.
    """
    reserved: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            one = _new_socket(family)
            reserved.append(one)
            chosen = reserved[0].getsockname()[1] if len(reserved) > 1 else address[1]
            # SO_REUSEADDR: connections of an earlier process may still be closing. SO_REUSEPORT only after the bind:
            # with it the bind would succeed on a port of another program of the same user.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address[0], chosen, *address[2:]))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        close(reserved)
        raise
    return reserved


def share(host: str, port: int) -> list[socket.socket]:
    """Bind sockets that share a reserved port. They accept connections once they listen."""
    shared: list[socket.socket] = []
    for family, address in _addresses(host, port):
        one = _new_socket(family)
        shared.append(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(address)
    return shared


def close(sockets: Sequence[socket.socket]) -> None:
    """Close all sockets."""
    for one in sockets:
        one.close()


def _new_socket(family: socket.AddressFamily) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return one


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))  # type: ignore[misc]
