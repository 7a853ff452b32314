"""Connections that wait in the kernel's queue until they are accepted."""

import contextlib
import socket
import sys
from collections.abc import Iterator

from serving.http_server.load_shedding import LoadShedder

_ACCEPTED_AT_ONCE = 64  # in a turn of the event loop
_REFUSED_AT_ONCE = 512
_PEEKED_BYTES = 65_536
_TCPI_UNACKED = 24  # where struct tcp_info has it; of a socket that listens it is the length of its queue


def copy(listener: socket.socket) -> socket.socket:
    """Return another socket for the same queue."""
    return socket.fromfd(listener.fileno(), listener.family, listener.type)


def count(listener: socket.socket) -> int:
    """Return the number of connections that wait; 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_UNACKED + 4)
    return int.from_bytes(info[_TCPI_UNACKED:], sys.byteorder)


def accept(listener: socket.socket, shedder: LoadShedder | None) -> Iterator[tuple[socket.socket, bool]]:
    """Accept connections that wait.

    Args:
        listener: does not block.
        shedder: during an overload. It refuses first requests that have arrived; such a connection is closed after the
            response. A connection with its protocol takes several times the processor time.

    Yields:
        Connections that are not refused, and whether the shedder accepted a request. At most so many that other
        connections get their turn.

    Raises:
        OSError: the system cannot accept a connection, because no file descriptor or memory is left.
    """
    accepted = refused = 0
    with contextlib.suppress(BlockingIOError):
        while accepted < _ACCEPTED_AT_ONCE and refused < _REFUSED_AT_ONCE:
            try:
                connection, address = listener.accept()
            except ConnectionAbortedError:
                continue
            outcome = None if shedder is None else _decide(shedder, connection, address[0])
            if outcome is False:
                refused += 1
            else:
                accepted += 1
                yield connection, bool(outcome)


def _decide(shedder: LoadShedder, connection: socket.socket, address: str) -> bool | None:
    try:
        data = connection.recv(_PEEKED_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return None  # nothing has arrived
    outcome = shedder.accepts(data, address.encode())
    if outcome is False:
        with connection, contextlib.suppress(OSError):
            connection.recv(len(data))  # or closing would reset the connection before the response is read
            connection.send(shedder.last_refusal)
    return outcome


def accept_last(listener: socket.socket) -> Iterator[socket.socket]:
    """Accept the connections that wait, and stop listening at once."""
    with listener, contextlib.suppress(OSError):
        listener.setblocking(False)
        found = []
        with contextlib.suppress(OSError):
            while True:
                found.append(listener.accept()[0])
        listener.shutdown(socket.SHUT_RDWR)  # for the copies too, which the event loop closes later
    yield from found
