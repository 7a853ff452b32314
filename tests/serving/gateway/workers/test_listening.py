"""Sockets that share a port."""

import socket

import pytest

from serving.gateway.workers import listening


def connect(port: int, count: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(count)]


def accepted(listener: socket.socket) -> int:
    """Connections that wait in a listener's queue."""
    listener.setblocking(False)
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_a_reserved_port_is_taken_for_others_whether_or_not_a_worker_listens() -> None:
    (reserved,) = listening.reserve("127.0.0.1", 0)
    port = reserved.getsockname()[1]
    with reserved:
        for _ in range(2):
            with pytest.raises(OSError, match="in use"):
                listening.reserve("127.0.0.1", port)
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with pytest.raises(OSError, match="in use"):
                    other.bind(("127.0.0.1", port))
            (worker,) = listening.share("127.0.0.1", port)
            with worker:
                worker.listen()
                with pytest.raises(OSError, match="in use"):
                    listening.reserve("127.0.0.1", port)
    listening.close(listening.reserve("127.0.0.1", port))


def test_connections_are_spread_over_the_listeners_and_none_goes_to_the_reservation() -> None:
    (reserved,) = listening.reserve("127.0.0.1", 0)
    port = reserved.getsockname()[1]
    (first,), (second,) = listening.share("127.0.0.1", port), listening.share("127.0.0.1", port)
    with reserved, first, second:
        first.listen(100)
        clients = connect(port, 20)
        assert accepted(first) == 20
        second.listen(100)
        clients += connect(port, 80)
        one, other = accepted(first), accepted(second)
        assert one + other == 80 and min(one, other) > 10
        for client in clients:
            client.close()


def test_a_name_with_two_addresses_has_one_port() -> None:
    addresses = {info[4][0] for info in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    reserved = listening.reserve("localhost", 0)
    assert len(reserved) == len(addresses)
    assert len({one.getsockname()[1] for one in reserved}) == 1
    listening.close(reserved)
