"""Calls that a model server cancels because it stops."""

import time
from typing import Any

import grpc
import numpy as np
import pytest

from serving.gateway.backends.tf_serving.backend import TFServingBackend
from serving.gateway.backends.tf_serving.grpc_client import Channel
from serving.gateway.errors import Unavailable
from serving.gateway.models.signature import TensorSpec
from serving.gateway.settings import addresses
from serving.tfs_api import messages
from tests.serving.gateway import stub

SIGNATURE = stub.echo("only", TensorSpec("x", messages.DT_FLOAT, (None,)))


class StoppingStub(stub.Stub):
    """Cancels a number of calls, then answers, as the server does that takes the first one's place."""

    def __init__(self, cancelled: int) -> None:
        super().__init__({"echo": {"only": SIGNATURE}})
        self.cancelled = cancelled

    def predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        if self.cancelled:
            self.cancelled -= 1
            context.abort(grpc.StatusCode.CANCELLED, "CANCELLED")
        return super().predict(request, context)


async def predict(model_server: StoppingStub) -> np.ndarray:
    with stub.serving(model_server) as address:
        backend = TFServingBackend(Channel(addresses(address), max_message_bytes=1_000_000), address)
        try:
            answer = await backend.predict("echo", 1, SIGNATURE, [{"x": np.float32([1, 2])}], time.monotonic() + 20)
        finally:
            await backend.close()
        return answer["echo_x"]


async def test_a_cancelled_call_is_repeated() -> None:
    assert (await predict(StoppingStub(1))).tolist() == [1, 2]


async def test_a_call_that_is_cancelled_twice_is_an_error_that_says_try_again() -> None:
    with pytest.raises(Unavailable, match="cancelled the call, as a server does that stops; try again"):
        await predict(StoppingStub(2))
