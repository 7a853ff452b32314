"""BentoML: one worker, the picture as the body; no access log, metrics or traces.

https://docs.bentoml.com/en/latest/build-with-bentoml/iotypes.html
https://docs.bentoml.com/en/latest/reference/bentoml/configurations.html
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
from PIL.Image import Image

from benchmarks.peers.model import Classifier, answer


@bentoml.service(
    workers=1,
    traffic={"timeout": 60},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class FashionCnn:
    def __init__(self) -> None:
        self._classify = Classifier(Path(os.environ["VERSION_DIRECTORY"]))

    @bentoml.api
    async def predict(self, picture: Image, /) -> dict[str, Any]:
        return answer(self._classify([np.asarray(picture)]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version_directory", type=Path)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    environment = os.environ | {"VERSION_DIRECTORY": str(options.version_directory), "BENTOML_DO_NOT_TRACK": "True"}
    address = ["--host=127.0.0.1", f"--port={options.port}"]
    command = [sys.executable, "-m", "bentoml", "serve", "benchmarks.peers.bentoml_server:FashionCnn", *address]
    os.execve(sys.executable, command, environment)
