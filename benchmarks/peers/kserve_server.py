"""KServe's Python server: no gRPC, no access or latency log; version 1 of its protocol with the picture as
base64, version 2 with pixels as a binary tensor.

https://kserve.github.io/website/docs/reference/python-runtime-sdk/python-runtime-sdk-api
"""

import argparse
import json
from pathlib import Path
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

from benchmarks.peers.model import Classifier, answer, from_instance


class FashionCnn(Model):
    def __init__(self, version_directory: Path) -> None:
        super().__init__("fashion_cnn")
        self._version_directory = version_directory
        self._classify = Classifier(version_directory)
        self.ready = True

    def __reduce__(self) -> tuple[Any, ...]:
        """Let each worker process load the model: KServe pickles it, and an ONNX session cannot be pickled."""
        return FashionCnn, (self._version_directory,)

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        if isinstance(payload, InferRequest):
            found = self._classify(payload.inputs[0].as_numpy()[..., 0])
            output = InferOutput("predictions", [len(found)], "BYTES", [json.dumps(one) for one in found])
            return InferResponse("", self.name, [output])
        return answer(self._classify([from_instance(instance) for instance in payload["instances"]]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version_directory", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    server = ModelServer(
        http_port=options.port, enable_grpc=False, enable_latency_logging=False, workers=options.workers
    )
    server.start([FashionCnn(options.version_directory)])
