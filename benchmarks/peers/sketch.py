"""A yardstick: the minimal work of a gateway that batches requests for a gRPC model server.

It accepts PNGs of the right size alone, sends all waiting ones to the embedded model server in one call, and returns
each one's row. It has no routing, validation, errors, metrics, request ids, deadlines or admission.
"""

import asyncio
import gc
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
import orjson
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from benchmarks.peers.model import answer, labels, prediction
from benchmarks.peers.server import serve
from serving.tfs_api import messages
from serving.tfs_api.methods import PREDICT

MOST_ROWS = 128
CALLS = 2  # concurrent calls to the model server

Messages = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Batcher:
    """Sends waiting pictures in one Predict call. Needs a running event loop."""

    def __init__(self, address: str) -> None:
        # By default a channel that is opened before the model server starts retries after a second.
        pauses = [("grpc.initial_reconnect_backoff_ms", 200), ("grpc.min_reconnect_backoff_ms", 200)]
        self._predict = grpc.aio.insecure_channel(address, pauses).unary_unary(PREDICT)
        self._waiting: list[tuple[bytes, asyncio.Future[NDArray[np.float32]]]] = []
        self._free = CALLS
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def classify(self, pixels: bytes) -> "asyncio.Future[NDArray[np.float32]]":
        """Return the probabilities of 28×28 pixels."""
        future: asyncio.Future[NDArray[np.float32]] = self._loop.create_future()
        self._waiting.append((pixels, future))
        if len(self._waiting) == 1:
            self._loop.call_soon(self._send_waiting)
        return future

    def _send_waiting(self) -> None:
        while self._free and self._waiting:
            batch, self._waiting = self._waiting[:MOST_ROWS], self._waiting[MOST_ROWS:]
            self._free -= 1
            task = self._loop.create_task(self._call(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _call(self, batch: list[tuple[bytes, "asyncio.Future[NDArray[np.float32]]"]]) -> None:
        try:
            request = messages.PredictRequest()
            request.model_spec.name = "default"
            tensor = request.inputs["image"]
            tensor.dtype = messages.DT_UINT8
            for size in (len(batch), 28, 28, 1):
                tensor.tensor_shape.dim.add(size=size)
            tensor.tensor_content = b"".join([pixels for pixels, _ in batch])
            response = messages.PredictResponse.FromString(await self._predict(request.SerializeToString()))
            content = response.outputs["probabilities"].tensor_content
            rows = np.frombuffer(content, np.float32).reshape(len(batch), -1)
            for (_, future), row in zip(batch, rows, strict=True):
                future.set_result(row)
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        finally:
            self._free += 1
            self._send_waiting()


def create_app(version_directory: Path, model_server: str) -> Callable[..., Awaitable[None]]:
    """The sketch of a gateway (yardstick)."""
    names = labels(version_directory)
    batcher: Batcher

    async def app(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        nonlocal batcher
        if scope["type"] == "lifespan":
            await receive()
            batcher = Batcher(model_server)
            gc.collect()
            gc.freeze()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        row = await batcher.classify(PngImageFile(io.BytesIO(body)).tobytes())
        content = orjson.dumps(answer([prediction(names, row.tolist())]))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


if __name__ == "__main__":
    serve(create_app)
