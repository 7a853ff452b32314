"""Classify and Regress: checks of a signature, and its outputs as classes and numbers.

Source: tensorflow_serving/servables/tensorflow/{classifier,regressor,multi_inference,util}.cc. The signature's one
input takes serialized tf.Examples, which the SavedModel's graph parses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from serving.model_server.core.servable import Servable, SignatureCall
from serving.model_server.core.signature import DEFAULT_SIGNATURE, ServableSignature
from serving.model_server.errors import invalid_argument, unimplemented
from serving.tfs_api import messages, tensors
from serving.tfs_api.tensors import Array

Method = Literal["classify", "regress"]

_METHOD_NAMES: dict[str, Method] = {
    "tensorflow/serving/classify": "classify",
    "tensorflow/serving/regress": "regress",
}
_INPUT = "inputs"
_CLASSES, _SCORES = "classes", "scores"
_OUTPUT = "outputs"


@dataclass(frozen=True)
class ExampleTask:
    """One signature to run on examples, and the method that reads its outputs."""

    call: SignatureCall
    method: Method
    examples: int


def prepare(
    servable: Servable, signature_name: str, examples: Sequence[bytes], method: Method, *, check_method: bool = False
) -> ExampleTask:
    """Check a signature for a method.

    Args:
        servable: The version.
        signature_name: Name of the signature, ``serving_default`` if empty.
        examples: Serialized tf.Examples.
        method: How the outputs are read.
        check_method: Reject signatures that were exported for another method. TensorFlow 2 exports every signature for
            predict, so this is off by default, as in TensorFlow Serving.

    Raises:
        ServingError: INVALID_ARGUMENT for an unknown signature, for wrong input or output names, or without examples.
    """
    name = signature_name or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise invalid_argument(f"No signature was found with the name: {name}")
    signature = servable.signatures[name]
    outputs = _outputs(signature, method, check_method)
    array = _examples(examples)
    return ExampleTask(SignatureCall(signature, {_INPUT: array}, outputs), method, len(array))


def prepare_multi(
    servable: Servable, tasks: Sequence[tuple[str, str]], examples: Sequence[bytes], *, check_method: bool = False
) -> list[ExampleTask]:
    """Check several signatures, given as pairs of signature and method name, for the same examples.

    Raises:
        ServingError: UNIMPLEMENTED for a method other than classify and regress, INVALID_ARGUMENT for a signature that
            occurs twice, and as :func:`prepare`.
    """
    checked: dict[str, tuple[ServableSignature, Method, tuple[str, ...]]] = {}
    for signature_name, method_name in tasks:
        name = signature_name or DEFAULT_SIGNATURE
        if name in checked:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        if name not in servable.signatures:
            raise invalid_argument(f"Requested signature not found in model graph: {name}")
        if method_name not in _METHOD_NAMES:
            raise unimplemented(f"Unsupported signature method_name: {method_name}")
        signature, method = servable.signatures[name], _METHOD_NAMES[method_name]
        checked[name] = signature, method, _outputs(signature, method, check_method)
    array = _examples(examples)
    return [
        ExampleTask(SignatureCall(signature, {_INPUT: array}, outputs), method, len(array))
        for signature, method, outputs in checked.values()
    ]


def classifications(task: ExampleTask, arrays: Sequence[Array]) -> list[list[tuple[str, float]]]:
    """Return label and score of each class for each example; an output that is missing gives ``""`` or 0.

    Raises:
        ServingError: INVALID_ARGUMENT if the outputs are not classes and scores of the examples.
    """
    named = dict(zip(task.call.outputs, arrays, strict=True))
    for alias, kinds, expected in ((_CLASSES, "OSU", "DT_STRING"), (_SCORES, "f", "DT_FLOAT")):
        array = named.get(alias)
        if array is None:
            continue
        if array.ndim != 2:
            raise invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
        if array.dtype.kind not in kinds or array.dtype == np.float64:
            raise invalid_argument(f"Expected {alias} Tensor of {expected}. Got: {_type(array)}")
        if len(array) != task.examples:
            raise invalid_argument(f"Expected {alias} output batch size of {task.examples}. Got: {len(array)}")
    classes, scores = named.get(_CLASSES), named.get(_SCORES)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid_argument(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    rows, columns = next(iter(named.values())).shape
    labels = [[""] * columns] * rows if classes is None else [[_text(value) for value in row] for row in classes]
    numbers: list[list[float]] = [[0.0] * columns] * rows if scores is None else scores.tolist()
    return [list(zip(*row, strict=True)) for row in zip(labels, numbers, strict=True)]


def regressions(task: ExampleTask, arrays: Sequence[Array]) -> list[float]:
    """Return one number for each example.

    Raises:
        ServingError: INVALID_ARGUMENT if the output is not one number for each example.
    """
    (array,) = arrays
    if not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)):
        raise invalid_argument(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(array)}"
        )
    if len(array) != task.examples:
        raise invalid_argument(f"Input batch size did not match output batch size: {task.examples} vs. {len(array)}")
    if array.dtype != np.float32:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {_type(array)}")
    values: list[float] = array.ravel().tolist()
    return values


def _outputs(signature: ServableSignature, method: Method, check_method: bool) -> tuple[str, ...]:
    """Check the signature's inputs and outputs, and return the outputs that the method reads."""
    kind = "classification" if method == "classify" else "regression"
    if check_method and _METHOD_NAMES.get(signature.method) != method:
        raise invalid_argument(
            f"Expected {kind} signature method_name to be tensorflow/serving/{method}. Was: {signature.method}"
        )
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if method == "classify" and len(signature.outputs) not in (1, 2):
        raise invalid_argument(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if method == "regress" and len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    if _INPUT not in signature.inputs:
        raise invalid_argument(f"No {kind} inputs found in SignatureDef: {signature.name}")
    aliases = (_CLASSES, _SCORES) if method == "classify" else (_OUTPUT,)
    outputs = tuple(alias for alias in aliases if alias in signature.outputs)
    if not outputs and method == "classify":
        raise invalid_argument(
            "Expected classification signature outputs to contain at least one of "
            f'"{_CLASSES}" or "{_SCORES}". Signature was: {signature.name}'
        )
    if not outputs:
        raise invalid_argument(f"No regression outputs found in SignatureDef: {signature.name}")
    return outputs


def _examples(examples: Sequence[bytes]) -> Array:
    if not examples:
        raise invalid_argument("Input is empty.")
    array: Array = np.empty(len(examples), np.object_)
    array[:] = examples
    return array


def _text(value: Any) -> str:
    try:
        return value if isinstance(value, str) else bytes(value).decode()
    except UnicodeDecodeError:
        raise invalid_argument(f"a class label is no UTF-8 text: {value!r}") from None


def _shape(array: Array) -> str:
    return "[" + ",".join(map(str, array.shape)) + "]"


def _type(array: Array) -> str:
    return str(messages.DataType.Name(tensors.data_type(array)))
