"""Command line and fastest uvicorn settings of the peers in the project's environment.

python -m benchmarks.peers.onnx_in_process exports/fashion_cnn/2 --port 9000
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn


def serve(create_app: Callable[..., Any]) -> None:
    """Serve ``create_app(VERSION_DIRECTORY)``, with ``--model-server`` ``create_app(VERSION_DIRECTORY, ADDRESS)``."""
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
