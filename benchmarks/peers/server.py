"""What all peers share: their command line, uvicorn's fastest settings, and one form of answer, which is ours.

python -m benchmarks.peers.onnx_in_process exports/fashion_cnn/1 --port 9000
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from serving import card


def serve(create_app: Callable[..., Any]) -> None:
    """Serve ``create_app(VERSION_DIRECTORY)``, or with ``--model-server`` ``create_app(VERSION_DIRECTORY, ADDRESS)``:
    one process, uvloop and httptools, no access log."""
    parser = argparse.ArgumentParser(description=create_app.__doc__)
    parser.add_argument("version_directory", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model-server", help="HOST:PORT")
    options = parser.parse_args()
    upstream = [options.model_server] if options.model_server else []
    app = create_app(options.version_directory, *upstream)
    uvicorn.run(
        app,
        port=options.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
    )


def labels(version_directory: Path) -> tuple[str, ...]:
    """Names of the classes, from the model card."""
    return tuple(card.read(version_directory).labels)


def answer(names: tuple[str, ...], probabilities: list[float]) -> dict[str, Any]:
    """One picture's answer, as our gateway gives it."""
    index = max(range(len(names)), key=probabilities.__getitem__)
    prediction = {
        "label": names[index],
        "index": index,
        "probability": probabilities[index],
        "probabilities": dict(zip(names, probabilities, strict=True)),
    }
    return {"predictions": [prediction]}
