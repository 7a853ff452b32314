"""Asking the model server for a model, by many at the same moment."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.artifacts import routing_file as routing
from serving.gateway.backends.tf_serving.backend import TFServingBackend
from serving.gateway.backends.tf_serving.grpc_client import Channel
from serving.gateway.models.discovery import ConfiguredModels, ModelDiscovery
from serving.gateway.models.file_watcher import WatchedFile
from serving.gateway.models.signature import TensorSpec
from serving.gateway.settings import addresses
from serving.tfs_api import messages
from tests.serving.gateway import stub

AVAILABLE = messages.ModelVersionStatus.AVAILABLE


class Asked(stub.Stub):
    """Says which version there is, once it may, and counts who wants to know."""

    def __init__(self) -> None:
        super().__init__({"echo": {"only": stub.echo("only", TensorSpec("x", messages.DT_FLOAT, (None,)))}})
        self.version = 1
        self.statuses = self.metadatas = 0
        self.may_answer, self.entered = threading.Event(), threading.Event()

    def status(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.statuses += 1
        response = messages.GetModelStatusResponse()
        response.model_version_status.add(version=self.version, state=AVAILABLE)
        self.entered.set()
        assert self.may_answer.wait(20)
        return response

    def metadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.metadatas += 1
        return super().metadata(request, context)


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[tuple[ModelDiscovery, Asked]]:
    model_server = Asked()
    with stub.serving(model_server) as address:
        backend = TFServingBackend(Channel(addresses(address), max_message_bytes=1_000_000), address)
        configured = ConfiguredModels(tmp_path / "none", ("echo",))
        routes = WatchedFile(tmp_path / "none", routing.parse, {}, optional=True)
        yield ModelDiscovery(backend, configured, routes, 1.0), model_server
        await backend.close()


async def test_one_asks_for_all_who_want_to_know(asked: tuple[ModelDiscovery, Asked]) -> None:
    registry, model_server = asked
    model_server.may_answer.set()
    await asyncio.gather(*(registry.refresh("echo") for _ in range(100)))
    asked_before = model_server.statuses
    assert asked_before <= 2, "once for those who came before the question went, once for the others"
    assert model_server.metadatas == 1
    await asyncio.sleep(0.002)  # uvloop's clock has milliseconds, so that this wish could be as old as the last answer
    await registry.refresh("echo")
    assert model_server.statuses == asked_before + 1


async def test_nobody_gets_an_answer_that_is_older_than_the_wish(asked: tuple[ModelDiscovery, Asked]) -> None:
    registry, model_server = asked
    first = asyncio.create_task(registry.refresh("echo"))
    assert await asyncio.to_thread(model_server.entered.wait, 20)
    model_server.version = 2
    later = [asyncio.create_task(registry.refresh("echo")) for _ in range(10)]
    gives_up = asyncio.create_task(registry.refresh("echo"))
    await asyncio.sleep(0)
    gives_up.cancel()
    model_server.may_answer.set()
    await first
    assert registry.models["echo"].default == 1
    await asyncio.gather(*later)
    assert registry.models["echo"].default == 2
    assert model_server.statuses == 2
