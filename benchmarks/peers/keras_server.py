"""FastAPI with ``keras.Model.predict`` in the request handler, as in most tutorials."""

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from fastapi import FastAPI, Request

from benchmarks.peers.model import answer, labels, prediction, rows
from benchmarks.peers.server import serve, version_directory


def create_app() -> FastAPI:
    """FastAPI + keras.Model.predict."""
    folder = version_directory()
    image = keras.Input((28, 28, 1), dtype="uint8", name="image")
    outputs = keras.layers.TFSMLayer(str(folder), call_endpoint="serving_default")(image)
    model = keras.Model(image, outputs["probabilities"])
    names = labels(folder)
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, Any]:
        pictures = np.stack(rows(await request.body()))[..., None]
        return answer([prediction(names, row) for row in model.predict(pictures, verbose=0).tolist()])

    return app


if __name__ == "__main__":
    serve("benchmarks.peers.keras_server")
