"""Calls with a default message, path and deadline."""

import asyncio
from typing import Any

import pytest

from serving.gateway.backends.tf_serving.grpc_client import Channel, RpcError


async def call(channel: Channel, message: bytes = b"hello", path: str = "/test/Echo", seconds: float = 10) -> bytes:
    return await channel.call(path, message, asyncio.get_running_loop().time() + seconds)


async def failed_call(channel: Channel, **arguments: Any) -> RpcError:
    with pytest.raises(RpcError) as failed:
        await call(channel, **arguments)
    return failed.value
