"""Command line and fastest uvicorn settings of the peers in the project's environment.

python -m benchmarks.peers.onnxruntime_server exports/fashion_cnn/3 --port 9000
"""

import argparse
import os
from pathlib import Path

import uvicorn

_FOLDER = "VERSION_DIRECTORY"


def serve(module: str) -> None:
    """Serve the module's ``create_app()``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("version_directory", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    os.environ[_FOLDER] = str(options.version_directory)
    uvicorn.run(
        f"{module}:create_app",
        factory=True,
        port=options.port,
        workers=options.workers,
        loop="uvloop",
        http="httptools",
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
    )


def version_directory() -> Path:
    """Return the folder of the model in a worker process."""
    return Path(os.environ[_FOLDER])
