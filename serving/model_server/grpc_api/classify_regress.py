"""Classify, Regress and MultiInference: tf.Examples to calls, and outputs to results; knows nothing of gRPC.

Source: tensorflow_serving/servables/tensorflow/{classifier,regressor,multi_inference,util}.cc. The examples go to the
signature's one input in serialized form, and the SavedModel's own graph parses them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.model_server.core.servable import Servable, SignatureCall
from serving.model_server.core.signature import DEFAULT_SIGNATURE, ServableSignature
from serving.model_server.errors import invalid_argument, unimplemented
from serving.tfs_api import messages, tensors
from serving.tfs_api.tensors import Array

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"

_INPUT = "inputs"
_CLASSES, _SCORES = "classes", "scores"
_OUTPUT = "outputs"


@dataclass(frozen=True)
class Task:
    """One signature to run, and what its outputs are made into."""

    call: SignatureCall
    method: str
    examples: int


def prepare_classify(servable: Servable, request: Any, *, check_method: bool = False) -> Task:
    """What a ClassificationRequest asks for.

    Args:
        check_method: refuse signatures that were exported for another method; TensorFlow 2 exports them all for
            predict, so this is off by default, as in TensorFlow Serving.

    Raises:
        INVALID_ARGUMENT: no such signature, one whose inputs and outputs are not named as they must be, or no examples.
    """
    return _prepare(servable, request, CLASSIFY, check_method)


def prepare_regress(servable: Servable, request: Any, *, check_method: bool = False) -> Task:
    """What a RegressionRequest asks for; see :func:`prepare_classify`."""
    return _prepare(servable, request, REGRESS, check_method)


def prepare_multi(servable: Servable, request: Any, *, check_method: bool = False) -> list[Task]:
    """What a MultiInferenceRequest asks for: every signature is given the same examples.

    Raises:
        INVALID_ARGUMENT: tasks for several models, one signature twice, or see above.
        UNIMPLEMENTED: a method other than classify and regress.
    """
    wanted: dict[str, tuple[ServableSignature, str, tuple[str, ...]]] = {}
    for task in request.tasks:
        if not task.model_spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        if task.model_spec.name != request.tasks[0].model_spec.name:
            raise invalid_argument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in wanted:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        if name not in servable.signatures:
            raise invalid_argument(f"Requested signature not found in model graph: {name}")
        if task.method_name not in (CLASSIFY, REGRESS):
            raise unimplemented(f"Unsupported signature method_name: {task.method_name}")
        signature = servable.signatures[name]
        outputs = _outputs(signature, task.method_name, check_method)
        wanted[name] = signature, task.method_name, outputs
    examples = _examples(request.input)
    return [
        Task(SignatureCall(signature, {_INPUT: examples}, outputs), method, len(examples))
        for signature, method, outputs in wanted.values()
    ]


def respond_classify(model: str, version: int, task: Task, arrays: Sequence[Array]) -> Any:
    """The ClassificationResponse.

    Raises:
        INVALID_ARGUMENT: the outputs are no classes and scores of the examples.
    """
    response = messages.ClassificationResponse()
    _classify(response.result, task, arrays)
    _spec(response.model_spec, model, version, task)
    return response


def respond_regress(model: str, version: int, task: Task, arrays: Sequence[Array]) -> Any:
    """The RegressionResponse.

    Raises:
        INVALID_ARGUMENT: the output is not one number for each example.
    """
    response = messages.RegressionResponse()
    _regress(response.result, task, arrays)
    _spec(response.model_spec, model, version, task)
    return response


def respond_multi(model: str, version: int, tasks: Sequence[Task], outputs: Sequence[Sequence[Array]]) -> Any:
    """The MultiInferenceResponse: a result for each task, in their order."""
    response = messages.MultiInferenceResponse()
    for task, arrays in zip(tasks, outputs, strict=True):
        result = response.results.add()
        if task.method == CLASSIFY:
            _classify(result.classification_result, task, arrays)
        else:
            _regress(result.regression_result, task, arrays)
        _spec(result.model_spec, model, version, task)
    return response


def _prepare(servable: Servable, request: Any, method: str, check_method: bool) -> Task:
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise invalid_argument(f"No signature was found with the name: {name}")
    signature = servable.signatures[name]
    outputs = _outputs(signature, method, check_method)
    examples = _examples(request.input)
    return Task(SignatureCall(signature, {_INPUT: examples}, outputs), method, len(examples))


def _outputs(signature: ServableSignature, method: str, check_method: bool) -> tuple[str, ...]:
    """The outputs that the method needs, having checked that the signature has what it takes."""
    kind = "classification" if method == CLASSIFY else "regression"
    if check_method and signature.method != method:
        raise invalid_argument(f"Expected {kind} signature method_name to be {method}. Was: {signature.method}")
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if method == CLASSIFY and len(signature.outputs) not in (1, 2):
        raise invalid_argument(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if method == REGRESS and len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    if _INPUT not in signature.inputs:
        raise invalid_argument(f"No {kind} inputs found in SignatureDef: {signature.name}")
    wanted = (_CLASSES, _SCORES) if method == CLASSIFY else (_OUTPUT,)
    outputs = tuple(alias for alias in wanted if alias in signature.outputs)
    if not outputs and method == CLASSIFY:
        raise invalid_argument(
            "Expected classification signature outputs to contain at least one of "
            f'"{_CLASSES}" or "{_SCORES}". Signature was: {signature.name}'
        )
    if not outputs:
        raise invalid_argument(f"No regression outputs found in SignatureDef: {signature.name}")
    return outputs


def _examples(message: Any) -> Array:
    """The serialized examples of an Input; a context is put before each, which merges the two."""
    kind = message.WhichOneof("kind")
    listed = getattr(message, kind).examples if kind else ()
    if not listed:
        raise invalid_argument("Input is empty.")
    context = b"" if kind == "example_list" else message.example_list_with_context.context.SerializeToString()
    examples: Array = np.empty(len(listed), np.object_)
    examples[:] = [context + example.SerializeToString() for example in listed]
    return examples


def _classify(result: Any, task: Task, arrays: Sequence[Array]) -> None:
    found = dict(zip(task.call.outputs, arrays, strict=True))
    for alias, kind, expected in ((_CLASSES, "OSU", "DT_STRING"), (_SCORES, "f", "DT_FLOAT")):
        array = found.get(alias)
        if array is None:
            continue
        if array.ndim != 2:
            raise invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
        if array.dtype.kind not in kind or array.dtype == np.float64:
            raise invalid_argument(f"Expected {alias} Tensor of {expected}. Got: {_type(array)}")
        if len(array) != task.examples:
            raise invalid_argument(f"Expected {alias} output batch size of {task.examples}. Got: {len(array)}")
    classes, scores = found.get(_CLASSES), found.get(_SCORES)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid_argument(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    for row in range(task.examples):
        listed = result.classifications.add().classes
        for column in range(next(iter(found.values())).shape[1]):
            entry = listed.add()
            if classes is not None:
                entry.label = _text(classes[row, column])
            if scores is not None:
                entry.score = scores[row, column]


def _regress(result: Any, task: Task, arrays: Sequence[Array]) -> None:
    (array,) = arrays
    if not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)):
        raise invalid_argument(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(array)}"
        )
    if len(array) != task.examples:
        raise invalid_argument(f"Input batch size did not match output batch size: {task.examples} vs. {len(array)}")
    if array.dtype != np.float32:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {_type(array)}")
    for value in array.ravel().tolist():
        result.regressions.add().value = value


def _text(value: Any) -> str:
    try:
        return value if isinstance(value, str) else bytes(value).decode()
    except UnicodeDecodeError:
        raise invalid_argument(f"a class label is no UTF-8 text: {value!r}") from None


def _shape(array: Array) -> str:
    return "[" + ",".join(map(str, array.shape)) + "]"


def _type(array: Array) -> str:
    return str(messages.DataType.Name(tensors.data_type(array)))


def _spec(spec: Any, model: str, version: int, task: Task) -> None:
    spec.name = model
    spec.version.value = version
    spec.signature_name = task.call.signature.name
