"""Stub of a model server over a real socket: it echoes inputs, and records those that do not fit the signature.

Output ``echo_x`` equals input ``x``. The checks share no code with the gateway.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np

from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api import messages
from serving.tfs_api.tensors import numpy_type, to_array, to_proto

Models = Mapping[str, Mapping[str, Signature]]


def echo(name: str, *inputs: TensorSpec) -> Signature:
    """Return a signature whose outputs echo these inputs."""
    outputs = [TensorSpec(f"echo_{spec.name}", spec.data_type, spec.shape) for spec in inputs]
    return Signature(name, {spec.name: spec for spec in inputs}, {spec.name: spec for spec in outputs})


class Stub:
    """Counts Predict in ``calls`` and collects wrong inputs as messages in ``violations``."""

    def __init__(self, models: Models, max_rows: int = 128) -> None:
        self.models = models
        self.violations: list[str] = []
        self.calls = 0
        self._max_rows = max_rows
        self._lock = threading.Lock()

    def predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        signature = self.models[request.model_spec.name][request.model_spec.signature_name]
        arrays = {name: to_array(proto) for name, proto in request.inputs.items()}
        wrong = list(self._wrong(signature, arrays, request.inputs))
        with self._lock:
            self.calls += 1
            self.violations += wrong
        if wrong:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, wrong[0])
        response = messages.PredictResponse(model_spec=request.model_spec)
        for name, array in arrays.items():
            response.outputs[f"echo_{name}"].CopyFrom(to_proto(array))
        return response

    def metadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        definitions = messages.SignatureDefMap()
        for name, signature in self.models[request.model_spec.name].items():
            definition = definitions.signature_def[name]
            definition.method_name = "tensorflow/serving/predict"
            for infos, specs in ((definition.inputs, signature.inputs), (definition.outputs, signature.outputs)):
                for spec in specs.values():
                    infos[spec.name].dtype = spec.data_type
                    if spec.shape is None:
                        infos[spec.name].tensor_shape.unknown_rank = True
                    for size in spec.shape or ():
                        infos[spec.name].tensor_shape.dim.add().size = -1 if size is None else size
        response = messages.GetModelMetadataResponse(model_spec=request.model_spec)
        response.metadata["signature_def"].Pack(definitions)
        return response

    def status(self, request: Any, context: grpc.ServicerContext) -> Any:
        response = messages.GetModelStatusResponse()
        response.model_version_status.add(version=1, state=messages.ModelVersionStatus.AVAILABLE)
        return response

    def _wrong(
        self, signature: Signature, arrays: Mapping[str, np.ndarray], protos: Mapping[str, Any]
    ) -> Iterator[str]:
        if set(arrays) != set(signature.inputs):
            yield f"{set(arrays)}, not {set(signature.inputs)}"
            return
        rows = set()
        for name, spec in signature.inputs.items():
            array = arrays[name]
            if protos[name].dtype != spec.data_type or array.dtype != numpy_type(spec.data_type):
                yield f"{name} is {array.dtype}, not {spec}"
            if spec.shape is None:
                continue
            if array.ndim != len(spec.shape):
                yield f"{name} has rank {array.ndim}, not {spec}"
            elif any(want not in (None, size) for want, size in zip(spec.shape, array.shape, strict=True)):
                yield f"{name} has shape {array.shape}, not {spec}"
            elif spec.shape[:1] == (None,):
                rows.add(array.shape[0])
        # Without a card the gateway forwards inputs of no rows, or of different numbers of rows.
        if rows and max(rows) > self._max_rows:
            yield f"rows {rows}"


@contextlib.contextmanager
def serving(stub: Stub) -> Iterator[str]:
    """Serve the stub by gRPC; yield its address."""
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    services = {
        "tensorflow.serving.PredictionService": {
            "Predict": (stub.predict, messages.PredictRequest),
            "GetModelMetadata": (stub.metadata, messages.GetModelMetadataRequest),
        },
        "tensorflow.serving.ModelService": {"GetModelStatus": (stub.status, messages.GetModelStatusRequest)},
    }
    for service, methods in services.items():
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                method, request.FromString, lambda response: response.SerializeToString()
            )
            for name, (method, request) in methods.items()
        }
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()
