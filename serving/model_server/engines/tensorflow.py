"""The SavedModel, run by TensorFlow, for versions and signatures without an ONNX export.

TensorFlow is imported when the first such version or signature is used. The graph runs in a session with the feed and
fetch names of its signatures, as in TensorFlow Serving. This serves SavedModels of TensorFlow 1 and 2, with the same
error messages.
"""

import functools
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serving import extras
from serving.model_server import errors
from serving.model_server.core.signature import ServableSignature
from serving.tfs_api.status_codes import Code
from serving.tfs_api.tensors import Array

_MAX_CALLABLES = 64  # one for each signature and choice of outputs


@functools.cache
def load_tensorflow() -> Any:
    """Import TensorFlow with the settings of this server.

    Raises:
        ImportError: TensorFlow is not installed.
    """
    # With oneDNN an image of the wrong rank aborts the process, and small models run slower.
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow

    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


class TensorFlowEngine:
    """Runs the signatures of a SavedModel (:class:`serving.model_server.engines.base.Engine`)."""

    def __init__(
        self,
        version_directory: Path,
        signatures: Mapping[str, ServableSignature],
        tags: Sequence[str],
        *,
        intra_op_threads: int = 0,
        inter_op_threads: int = 0,
    ) -> None:
        """Load the SavedModel's graph with these tags.

        Args:
            version_directory: Where the SavedModel is.
            signatures: Its signatures by name.
            tags: Tags of the graph.
            intra_op_threads: Threads of one operation; 0 for TensorFlow's choice.
            inter_op_threads: Threads for operations of one run; 0 for TensorFlow's choice.

        Raises:
            ServingError: UNIMPLEMENTED without TensorFlow, DATA_LOSS for a damaged SavedModel.
        """
        try:
            tensorflow = load_tensorflow()
        except ImportError as error:
            raise errors.unimplemented(
                f"The ONNX export lacks this, and TensorFlow cannot be imported ({error}): {extras.install('training')}"
            ) from None
        self._op_error = tensorflow.errors.OpError
        self._signatures = signatures
        v1 = tensorflow.compat.v1
        config = v1.ConfigProto(
            intra_op_parallelism_threads=intra_op_threads, inter_op_parallelism_threads=inter_op_threads
        )
        graph = tensorflow.Graph()
        self._session = v1.Session(graph=graph, config=config)
        try:
            with graph.as_default():
                v1.saved_model.load(self._session, list(tags), str(version_directory))
        except self._op_error as error:
            raise self._translated(error) from None
        except Exception as error:  # a damaged graph: ValueError, OSError, DecodeError, RuntimeError …
            raise errors.data_loss(f"The SavedModel {version_directory} cannot be loaded: {error}") from None
        self._callable_options = importlib.import_module("tensorflow.core.protobuf.config_pb2").CallableOptions
        self._callables: dict[tuple[str, tuple[str, ...]], Callable[..., Any]] = {}

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Run a signature in the session."""
        definition = self._signatures[signature]
        try:
            values = self._callable(definition, tuple(outputs))(*(inputs[alias] for alias in definition.inputs))
        except self._op_error as error:
            raise self._translated(error) from None
        except (TypeError, ValueError) as error:
            raise errors.invalid_argument(str(error)) from None
        return [_as_array(value) for value in values]

    def _callable(self, signature: ServableSignature, outputs: tuple[str, ...]) -> Callable[..., Any]:
        key = signature.name, outputs
        if key not in self._callables:
            if len(self._callables) > _MAX_CALLABLES:
                self._callables.clear()
            # The public make_callable is slower and prefixes each message with a traceback.
            self._callables[key] = self._session._make_callable_from_options(
                self._callable_options(
                    feed=[info.name for info in signature.inputs.values()],
                    fetch=[signature.outputs[alias].name for alias in outputs],
                )
            )
        return self._callables[key]

    def _translated(self, error: Any) -> errors.ServingError:
        return errors.ServingError(Code.from_number(error.error_code), str(error.message))


def _as_array(value: Any) -> Array:
    """Convert strings and scalars, which a session returns as Python objects."""
    return np.asarray(value, np.object_) if isinstance(value, (bytes, str)) else np.asarray(value)
