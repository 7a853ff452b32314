"""Servers and channels that are closed after each test."""

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from serving.gateway.backends.tf_serving.grpc_client import Address, Channel
from tests.serving.gateway.backends.tf_serving.grpc_client.frame_server import FrameServer

OpenChannel = Callable[..., Channel]
StartServer = Callable[..., FrameServer]


@pytest.fixture
async def open_channel() -> AsyncIterator[OpenChannel]:
    channels: list[Channel] = []

    def open_(
        *ports: int,
        ssl_context: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        max_message_bytes: int = 32_000_000,
    ) -> Channel:
        addresses = [Address(host, port) for port in ports]
        channels.append(Channel(addresses, ssl_context, max_message_bytes=max_message_bytes))
        return channels[-1]

    yield open_
    for channel in channels:
        await channel.close()


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    with ExitStack() as stack:
        yield lambda *scripts, **more: stack.enter_context(closing(FrameServer(*scripts, **more)))
