"""Discovery: callers at the same moment share a poll."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.artifacts import routing_file
from serving.gateway.backends.tf_serving.backend import TFServingBackend
from serving.gateway.backends.tf_serving.grpc_client import Channel
from serving.gateway.models.discovery import ConfiguredModels, ModelDiscovery
from serving.gateway.models.file_watcher import WatchedFile
from serving.gateway.models.signature import TensorSpec
from serving.gateway.settings import addresses
from serving.tfs_api import messages
from tests.serving.gateway import stub

AVAILABLE = messages.ModelVersionStatus.AVAILABLE


class PolledStub(stub.Stub):
    """Reports a version when ``release`` is set, and counts the polls."""

    def __init__(self) -> None:
        super().__init__({"echo": {"only": stub.echo("only", TensorSpec("x", messages.DT_FLOAT, (None,)))}})
        self.version = 1
        self.statuses = self.metadatas = 0
        self.release, self.entered = threading.Event(), threading.Event()

    def status(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.statuses += 1
        response = messages.GetModelStatusResponse()
        response.model_version_status.add(version=self.version, state=AVAILABLE)
        self.entered.set()
        assert self.release.wait(20)
        return response

    def metadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.metadatas += 1
        return super().metadata(request, context)


@pytest.fixture
async def polled(tmp_path: Path) -> AsyncIterator[tuple[ModelDiscovery, PolledStub]]:
    model_server = PolledStub()
    with stub.serving(model_server) as address:
        backend = TFServingBackend(Channel(addresses(address), max_message_bytes=1_000_000), address)
        configured = ConfiguredModels(tmp_path / "none", ("echo",))
        routes = WatchedFile(tmp_path / "none", routing_file.parse, {}, optional=True)
        yield ModelDiscovery(backend, configured, routes, 1.0), model_server
        await backend.close()


async def test_calls_at_the_same_moment_share_one_poll(polled: tuple[ModelDiscovery, PolledStub]) -> None:
    discovery, model_server = polled
    model_server.release.set()
    await asyncio.gather(*(discovery.refresh("echo") for _ in range(100)))
    polls = model_server.statuses
    assert polls <= 2, "one poll for the callers before it was sent, one for the others"
    assert model_server.metadatas == 1
    await discovery.refresh("echo")
    assert model_server.statuses == polls + 1


async def test_every_caller_gets_a_state_newer_than_its_call(polled: tuple[ModelDiscovery, PolledStub]) -> None:
    discovery, model_server = polled
    first = asyncio.create_task(discovery.refresh("echo"))
    assert await asyncio.to_thread(model_server.entered.wait, 20)
    model_server.version = 2
    later = [asyncio.create_task(discovery.refresh("echo")) for _ in range(10)]
    cancelled = asyncio.create_task(discovery.refresh("echo"))
    await asyncio.sleep(0)
    cancelled.cancel()
    model_server.release.set()
    await first
    assert discovery.models["echo"].default == 1
    await asyncio.gather(*later)
    assert discovery.models["echo"].default == 2
    assert model_server.statuses == 2
