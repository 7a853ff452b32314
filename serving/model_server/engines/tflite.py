"""A TensorFlow Lite model, run by TensorFlow's own interpreter.

Source: tensorflow_serving/servables/tensorflow/tflite_session.cc. The only signature is ``serving_default``. Its
aliases are those of the SignatureDef in the file, or of the file's only signature, or the names of its tensors.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serving import extras
from serving.model_server.core import signature
from serving.model_server.engines import tensorflow as tensorflow_engine
from serving.model_server.errors import data_loss, internal, invalid_argument, unimplemented
from serving.tfs_api import messages, tensors
from serving.tfs_api.tensors import Array

MODEL_FILE = "model.tflite"
_METADATA = b"signature_defs_metadata"
_PREDICT = "tensorflow/serving/predict"


class TfliteEngine:
    """Runs a TensorFlow Lite model, one call at a time (:class:`serving.model_server.engines.base.Engine`)."""

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        """Load the model; 0 threads for the interpreter's choice.

        Raises:
            ServingError: UNIMPLEMENTED without TensorFlow, DATA_LOSS for a damaged file.
        """
        try:
            tensorflow = tensorflow_engine.load_tensorflow()
        except ImportError as error:
            raise unimplemented(f"TensorFlow cannot be imported ({error}): {extras.install('training')}") from None
        self._lock = threading.Lock()
        try:
            content = path.read_bytes()
            self._interpreter = tensorflow.lite.Interpreter(model_content=content, num_threads=threads or None)
            self._interpreter.allocate_tensors()
            aliases = _aliases(self._interpreter, content)
        except Exception as error:  # the interpreter raises ValueError, RuntimeError, struct.error …
            raise data_loss(f"Cannot build FlatBufferModel from {path}: {error}") from None
        self._inputs = {_alias(detail, aliases): detail for detail in self._interpreter.get_input_details()}
        self._outputs = {_alias(detail, aliases): detail for detail in self._interpreter.get_output_details()}
        self._shapes: dict[str, tuple[int, ...] | None] = dict.fromkeys(self._inputs)

    @property
    def signatures(self) -> signature.ServableSignatures:
        """The only signature."""
        definition = messages.SignatureDef(method_name=_PREDICT)
        for message, details in ((definition.inputs, self._inputs), (definition.outputs, self._outputs)):
            for alias, detail in details.items():
                message[alias].name = detail["name"]
                message[alias].dtype = tensors.data_type(np.empty(0, detail["dtype"]))
                for size in detail["shape_signature"]:
                    message[alias].tensor_shape.dim.add().size = int(size)
        return signature.of_definitions({signature.DEFAULT_SIGNATURE: definition})

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Run the model after resizing its inputs."""
        with self._lock:
            try:
                for alias, array in inputs.items():
                    if self._shapes[alias] != array.shape:
                        self._shapes[alias] = None
                        self._interpreter.resize_tensor_input(self._inputs[alias]["index"], array.shape)
                        self._shapes[alias] = array.shape
                self._interpreter.allocate_tensors()
                for alias, array in inputs.items():
                    self._interpreter.set_tensor(self._inputs[alias]["index"], array)
            except (RuntimeError, ValueError) as error:
                raise invalid_argument(f"Failed to resize input tensor: {error}") from None
            try:
                self._interpreter.invoke()
            except (RuntimeError, ValueError) as error:
                raise internal(f"Failed to run interpreter: {error}") from None
            return [np.array(self._interpreter.get_tensor(self._outputs[alias]["index"])) for alias in outputs]


def _aliases(interpreter: Any, content: bytes) -> dict[str, str]:
    """Return the aliases by tensor name."""
    listed = _definitions(content)
    if len(listed) > 1:
        raise ValueError("Multiple SignatureDefs found in TfLite model")
    for definition in listed.values():
        infos = [*definition.inputs.items(), *definition.outputs.items()]
        return {info.name.split(":")[0]: alias for alias, info in infos}
    runners = interpreter.get_signature_list()
    if len(runners) != 1:
        return {}
    runner = interpreter.get_signature_runner(next(iter(runners)))
    details = [*runner.get_input_details().items(), *runner.get_output_details().items()]
    return {_bare(detail): alias for alias, detail in details}


def _definitions(content: bytes) -> dict[str, Any]:
    """Return the SignatureDefs that TensorFlow Lite's converter stores in the file's metadata, by name."""
    from flatbuffers import flexbuffers
    from tensorflow.lite.python import schema_py_generated

    model = schema_py_generated.Model.GetRootAsModel(content, 0)
    for index in range(model.MetadataLength()):
        if model.Metadata(index).Name() == _METADATA:
            buffer = model.Buffers(model.Metadata(index).Buffer()).DataAsNumpy().tobytes()
            found = flexbuffers.Loads(buffer)
            return {
                name: messages.SignatureDef.FromString(data.encode("latin-1") if isinstance(data, str) else bytes(data))
                for name, data in found.items()
            }
    return {}


def _alias(detail: Mapping[str, Any], aliases: Mapping[str, str]) -> str:
    return aliases.get(_bare(detail), _bare(detail))


def _bare(detail: Mapping[str, Any]) -> str:
    return str(detail["name"]).split(":")[0]
