"""The yardstick, no peer: the least that a coalescing gateway in front of gRPC does, without a single feature.

No routing, validation, errors, metrics, request ids, deadlines or admission: a PNG of the right size comes in, goes to
the embedded model server with all that wait at the same moment, and its row of the answer goes out.
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
CALLS = 2  # to the model server at the same time

Messages = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Coalescer:
    """Pictures that wait at the same moment go out as one Predict. Needs a running event loop."""

    def __init__(self, address: str) -> None:
        # Else a channel that is opened before the model server is there waits a second before it tries again.
        pauses = [("grpc.initial_reconnect_backoff_ms", 200), ("grpc.min_reconnect_backoff_ms", 200)]
        self._predict = grpc.aio.insecure_channel(address, pauses).unary_unary(PREDICT)
        self._waiting: list[tuple[bytes, asyncio.Future[NDArray[np.float32]]]] = []
        self._free = CALLS
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def classify(self, pixels: bytes) -> "asyncio.Future[NDArray[np.float32]]":
        """Probabilities for the 28×28 pixels."""
        future: asyncio.Future[NDArray[np.float32]] = self._loop.create_future()
        self._waiting.append((pixels, future))
        if len(self._waiting) == 1:
            self._loop.call_soon(self._pump)
        return future

    def _pump(self) -> None:
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
            self._pump()


def create_app(version_directory: Path, model_server: str) -> Callable[..., Awaitable[None]]:
    """The sketch of a gateway (yardstick)."""
    names = labels(version_directory)
    coalescer: Coalescer

    async def app(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        nonlocal coalescer
        if scope["type"] == "lifespan":
            await receive()
            coalescer = Coalescer(model_server)
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
        row = await coalescer.classify(PngImageFile(io.BytesIO(body)).tobytes())
        content = orjson.dumps(answer([prediction(names, row.tolist())]))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


if __name__ == "__main__":
    serve(create_app)
