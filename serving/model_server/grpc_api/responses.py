"""Outputs of inference as response messages of TensorFlow Serving's API."""

from collections.abc import Sequence
from typing import Any

from serving.model_server.core.manager import ManagedVersion, ServableHandle
from serving.model_server.errors import unimplemented
from serving.model_server.inference import classify_regress
from serving.model_server.inference.classify_regress import ExampleTask
from serving.model_server.inference.inference import ExampleOutputs, PredictOutputs
from serving.tfs_api import messages, tensors
from serving.tfs_api.tensors import Array


def predict_response(outputs: PredictOutputs, *, as_content: bool) -> Any:
    """Return a PredictResponse with the values in ``tensor_content``, or in ``float_val`` etc.

    Raises:
        ServingError: UNIMPLEMENTED for an output of a type that is not served.
    """
    response = messages.PredictResponse()
    _set_spec(response.model_spec, outputs.model, outputs.version, outputs.signature)
    for alias, array in outputs.arrays.items():
        try:
            proto = tensors.to_proto(array, as_content=as_content)
        except TypeError as error:
            raise unimplemented(f"output {alias}: {error}") from None
        response.outputs[alias].CopyFrom(proto)
    return response


def classification_response(outputs: ExampleOutputs[list[tuple[str, float]]]) -> Any:
    """Return a ClassificationResponse."""
    response = messages.ClassificationResponse()
    _set_spec(response.model_spec, outputs.model, outputs.version, outputs.signature)
    _fill_classifications(response.result, outputs.results)
    return response


def regression_response(outputs: ExampleOutputs[float]) -> Any:
    """Return a RegressionResponse."""
    response = messages.RegressionResponse()
    _set_spec(response.model_spec, outputs.model, outputs.version, outputs.signature)
    _fill_regressions(response.result, outputs.results)
    return response


def multi_inference_response(handle: ServableHandle, results: Sequence[tuple[ExampleTask, list[Array]]]) -> Any:
    """Return a MultiInferenceResponse with one result for each task, in their order.

    Raises:
        ServingError: INVALID_ARGUMENT if outputs do not fit their method.
    """
    response = messages.MultiInferenceResponse()
    for task, arrays in results:
        result = response.results.add()
        if task.method == "classify":
            _fill_classifications(result.classification_result, classify_regress.classifications(task, arrays))
        else:
            _fill_regressions(result.regression_result, classify_regress.regressions(task, arrays))
        _set_spec(result.model_spec, handle.model, handle.version, task.call.signature.name)
    return response


def status_response(versions: Sequence[ManagedVersion]) -> Any:
    """Return a GetModelStatusResponse."""
    response = messages.GetModelStatusResponse()
    for version in versions:
        status = response.model_version_status.add(version=version.number, state=int(version.state))
        status.status.SetInParent()
        if version.error:
            status.status.error_code = int(version.error.code)
            status.status.error_message = version.error.message
    return response


def _set_spec(spec: Any, model: str, version: int, signature: str) -> None:
    spec.name = model
    spec.version.value = version
    spec.signature_name = signature


def _fill_classifications(result: Any, examples: Sequence[Sequence[tuple[str, float]]]) -> None:
    result.SetInParent()
    for classes in examples:
        entries = result.classifications.add().classes
        for label, score in classes:
            entries.add(label=label, score=score)


def _fill_regressions(result: Any, values: Sequence[float]) -> None:
    result.SetInParent()
    for value in values:
        result.regressions.add(value=value)
