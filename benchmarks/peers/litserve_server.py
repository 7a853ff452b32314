"""LitServe: batches of up to 64, the fast queue, one worker on the processor.

https://lightning.ai/docs/litserve/features/batching
"""

import argparse
from pathlib import Path
from typing import Any

import litserve
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.model import Classifier, answer, from_instance


class FashionCnn(litserve.LitAPI):
    def __init__(self, version_directory: Path) -> None:
        super().__init__(max_batch_size=64, batch_timeout=0.002, api_path="/predict")
        self._version_directory = version_directory

    def setup(self, device: str) -> None:
        self._classify = Classifier(self._version_directory)

    def decode_request(self, request: dict[str, Any]) -> NDArray[np.uint8]:
        return from_instance(request["instances"][0])

    def batch(self, inputs: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return inputs

    def predict(self, pictures: list[NDArray[np.uint8]]) -> list[dict[str, Any]]:
        return self._classify(pictures)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return answer([output])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version_directory", type=Path)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    server = litserve.LitServer(FashionCnn(options.version_directory), accelerator="cpu", fast_queue=True)
    server.run(host="127.0.0.1", port=options.port, num_api_servers=1, log_level="warning", generate_client_file=False)
