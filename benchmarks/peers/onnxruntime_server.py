"""FastAPI with onnxruntime in its process, one thread, no batching: the fastest simple server."""

from typing import Any

from fastapi import FastAPI, Request

from benchmarks.peers.model import Classifier, answer, rows
from benchmarks.peers.server import serve, version_directory


def create_app() -> FastAPI:
    """FastAPI + onnxruntime."""
    classify = Classifier(version_directory())
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, Any]:
        return answer(classify(rows(await request.body())))

    return app


if __name__ == "__main__":
    serve("benchmarks.peers.onnxruntime_server")
