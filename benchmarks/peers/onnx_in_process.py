"""FastAPI with onnxruntime in its own process: the ONNX twin, one thread, no batching. The quickest simple server."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from fastapi import FastAPI, Request
from PIL import Image

from benchmarks.peers.server import answer, labels, serve


def create_app(version_directory: Path) -> FastAPI:
    """FastAPI + onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    twin = version_directory / "assets.extra" / "model.onnx"
    session = onnxruntime.InferenceSession(str(twin), options, providers=["CPUExecutionProvider"])
    names = labels(version_directory)
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, Any]:
        pixels = np.asarray(Image.open(io.BytesIO(await request.body())))
        (probabilities,) = session.run(["probabilities"], {"image": pixels[None, :, :, None]})
        return answer(names, probabilities[0].tolist())

    return app


if __name__ == "__main__":
    serve(create_app)
