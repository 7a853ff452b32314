"""TensorFlow Serving's messages without importing TensorFlow.

The ``tensorflow-serving-api`` package's ``*_pb2`` modules import their neighbours as ``tensorflow.core…``, which would
run all of ``tensorflow/__init__.py`` (3.5 s, 580 MB). In a process that has not imported TensorFlow itself a bare
package object stands in its place (0.03 s, 17 MB); a process that needs the real thing later calls
:func:`import_tensorflow`, which keeps the message classes that are registered already.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

_STAND_IN = "__vitrine_stand_in__"


def _register_stand_in() -> None:
    if "tensorflow" in sys.modules:
        return
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError(
            "the *_pb2.py files of TensorFlow and TensorFlow Serving are missing: install vitrine[training], "
            "or copy them as the gateway image does"
        )
    package = ModuleType("tensorflow")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    setattr(package, _STAND_IN, True)
    sys.modules["tensorflow"] = package


def import_tensorflow() -> Any:
    """Import the real TensorFlow, also in a process where the stand-in was registered."""
    if hasattr(sys.modules.get("tensorflow"), _STAND_IN):
        del sys.modules["tensorflow"]
    return importlib.import_module("tensorflow")


_register_stand_in()

from tensorflow.core.framework import tensor_pb2, types_pb2  # noqa: E402
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2  # noqa: E402
from tensorflow_serving.apis import (  # noqa: E402
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
    regression_pb2,
)
from tensorflow_serving.config import model_server_config_pb2  # noqa: E402

PREDICT = "/tensorflow.serving.PredictionService/Predict"
CLASSIFY = "/tensorflow.serving.PredictionService/Classify"
REGRESS = "/tensorflow.serving.PredictionService/Regress"
GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

__all__ = [
    "CLASSIFY",
    "GET_MODEL_METADATA",
    "GET_MODEL_STATUS",
    "PREDICT",
    "REGRESS",
    "classification_pb2",
    "get_model_metadata_pb2",
    "get_model_status_pb2",
    "import_tensorflow",
    "inference_pb2",
    "input_pb2",
    "meta_graph_pb2",
    "model_management_pb2",
    "model_pb2",
    "model_server_config_pb2",
    "predict_pb2",
    "prediction_log_pb2",
    "regression_pb2",
    "saved_model_pb2",
    "tensor_pb2",
    "types_pb2",
]
