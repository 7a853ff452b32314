"""MLServer: adaptive batching, inference in the server's own process, no metrics or gzip; the Open Inference Protocol
with the picture as base64, or pixels as numbers.

https://docs.seldon.ai/mlserver/user-guide/adaptive-batching
https://docs.seldon.ai/mlserver/user-guide/parallel-inference
"""

import argparse
import json
from pathlib import Path

import mlserver
import uvloop
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.settings import ModelParameters, ModelSettings, Settings
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.model import Classifier, from_instance


class FashionCnn(mlserver.MLModel):
    async def load(self) -> bool:
        self._classify = Classifier(Path(self.settings.parameters.uri))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        tensor = payload.inputs[0]
        if tensor.datatype == "UINT8":
            pictures = NumpyCodec.decode_input(tensor)[..., 0]
        else:
            pictures = [from_instance({"b64": text}) for text in tensor.data]
        predictions = [json.dumps(one) for one in self._classify(pictures)]
        return InferenceResponse(
            model_name=self.name, outputs=[StringCodec.encode_output("predictions", predictions, use_bytes=False)]
        )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version_directory", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--other-port", type=int, required=True, help="of gRPC, which cannot be turned off")
    parser.add_argument("--workers", type=int, default=1, help="more than one: inference in so many processes")
    options = parser.parse_args()
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=options.port,
        grpc_port=options.other_port,
        parallel_workers=options.workers if options.workers > 1 else 0,
        metrics_endpoint=None,
        gzip_enabled=False,
    )
    model = ModelSettings(
        name="fashion_cnn",
        implementation=FashionCnn,
        max_batch_size=64,
        max_batch_time=0.002,
        parameters=ModelParameters(uri=str(options.version_directory)),
    )
    await mlserver.MLServer(settings).start([model])


if __name__ == "__main__":
    uvloop.run(main())
