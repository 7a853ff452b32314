"""FastAPI with ``keras.Model.predict`` in the request handler, as in most tutorials."""

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from fastapi import FastAPI, Request

from benchmarks.peers.model import answer, labels, pixels, prediction
from benchmarks.peers.server import serve


def create_app(version_directory: Path) -> FastAPI:
    """FastAPI + keras.Model.predict."""
    image = keras.Input((28, 28, 1), dtype="uint8", name="image")
    outputs = keras.layers.TFSMLayer(str(version_directory), call_endpoint="serving_default")(image)
    model = keras.Model(image, outputs["probabilities"])
    names = labels(version_directory)
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, Any]:
        picture = pixels(await request.body())
        probabilities = model.predict(picture[None, :, :, None], verbose=0)
        return answer([prediction(names, probabilities[0].tolist())])

    return app


if __name__ == "__main__":
    serve(create_app)
