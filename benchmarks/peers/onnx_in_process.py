"""FastAPI with onnxruntime in its process, one thread, no batching: the fastest simple server."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from benchmarks.peers.model import Classifier, answer, pixels
from benchmarks.peers.server import serve


def create_app(version_directory: Path) -> FastAPI:
    """FastAPI + onnxruntime."""
    classify = Classifier(version_directory)
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, Any]:
        return answer(classify([pixels(await request.body())]))

    return app


if __name__ == "__main__":
    serve(create_app)
