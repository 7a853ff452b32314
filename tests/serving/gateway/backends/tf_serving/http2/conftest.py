"""A server, and clients that are closed in the end."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving.gateway.backends.tf_serving.http2.raw import Connect, Raw
from tests.serving.model_server.grpc_api.grpc_servers import Running, running


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Connect]:
    opened: list[Raw] = []

    def connect(server: Running, **more: Any) -> Raw:
        opened.append(Raw(server, **more))
        return opened[-1]

    yield connect
    for raw in opened:
        raw.socket.close()
