"""Merge calls into one batch, and split its outputs.

Source: tensorflow_serving/batching/batching_session.cc (ComputeInputSize, MergeInputTensors, SplitOutputTensors) and
batching_util.cc (AddPadding).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.core.servable import Servable, SignatureCall
from serving.model_server.core.signature import ServableSignature
from serving.model_server.errors import failed_precondition, invalid_argument
from serving.tfs_api.tensors import Array

_MAX_RANK = 6


def count_rows(inputs: Mapping[str, Array]) -> int:
    """Return the batch size of one call.

    Raises:
        ServingError: INVALID_ARGUMENT if it has none or several.
    """
    if not inputs:
        raise invalid_argument("Batching Run() must have at least one input tensor")
    if any(array.ndim == 0 for array in inputs.values()):
        raise invalid_argument("Batching Run() input tensors must have at least one dimension")
    sizes = {len(array) for array in inputs.values()}
    if len(sizes) > 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def run(servable: Servable, parameters: BatchingParameters, calls: Sequence[SignatureCall]) -> list[list[Array]]:
    """Run calls of one signature as one batch, and return the outputs of each.

    Raises:
        ServingError: The calls cannot be merged, the servable fails, or its outputs are no batch.
    """
    signature, outputs = calls[0].signature, calls[0].outputs
    sizes = [count_rows(call.inputs) for call in calls]
    rows = parameters.padded(sum(sizes)) if sum(sizes) else 0
    pad = parameters.pad_variable_length_inputs
    merged = merge(signature, [call.inputs for call in calls], rows, pad_variable_length=pad)
    return split(servable.run(SignatureCall(signature, merged, outputs)), sizes, rows)


def cut(call: SignatureCall, start: int, stop: int) -> SignatureCall:
    """Return the call with rows ``start`` to ``stop`` of each input."""
    return SignatureCall(
        call.signature, {alias: array[start:stop] for alias, array in call.inputs.items()}, call.outputs
    )


def merge(
    signature: ServableSignature, calls: Sequence[Mapping[str, Array]], rows: int, *, pad_variable_length: bool
) -> dict[str, Array]:
    """Concatenate the inputs of all calls, and fill up to ``rows`` with the last call's first row.

    Args:
        signature: The signature of all calls.
        calls: The inputs of each call by alias.
        rows: Rows of the batch.
        pad_variable_length: Pad rows of different sizes to the largest size of each dimension, with the first value of
            their tensor. Otherwise such calls are rejected.

    Raises:
        ServingError: FAILED_PRECONDITION if sizes differ, INVALID_ARGUMENT for an empty tensor, or one with more than
            six dimensions, that would need padding.
    """
    if len(calls) == 1 and count_rows(calls[0]) == rows:
        return dict(calls[0])
    merged: dict[str, Array] = {}
    for alias in calls[0]:
        arrays = [call[alias] for call in calls]
        if pad_variable_length:
            arrays = _padded_alike(arrays)
        elif any(array.shape[1:] != arrays[0].shape[1:] for array in arrays):
            raise failed_precondition(
                f"Tensors with name '{signature.inputs[alias].name}' from different tasks have different shapes and "
                "padding is turned off.Set pad_variable_length_inputs to true, or ensure that all tensors with the "
                "same namehave equal dimensions starting with the first dim."
            )
        missing = rows - sum(map(len, arrays))
        filler = next((array[:1] for array in reversed(arrays) if len(array)), None)
        if missing and filler is not None:
            arrays.append(np.repeat(filler, missing, axis=0))
        merged[alias] = np.concatenate(arrays)
    return merged


def split(arrays: Sequence[Array], sizes: Sequence[int], rows: int) -> list[list[Array]]:
    """Return the outputs of each call, without the rows that filled the batch up.

    Raises:
        ServingError: FAILED_PRECONDITION if an output does not have as many rows as the batch.
    """
    for array in arrays:
        if array.ndim == 0:
            raise failed_precondition("Batched output tensor has 0 dimensions")
        if len(array) != rows:
            raise failed_precondition(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors"
            )
    outputs, start = [], 0
    for size in sizes:
        outputs.append([array[start : start + size] for array in arrays])
        start += size
    return outputs


def join(parts: Sequence[Sequence[Array]]) -> list[Array]:
    """Return the outputs of a call that was cut into parts."""
    return list(parts[0]) if len(parts) == 1 else [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _padded_alike(arrays: Sequence[Array]) -> list[Array]:
    """Pad the arrays to the largest size of every dimension but the first."""
    ranks = {array.ndim for array in arrays}
    if len(ranks) > 1:
        raise invalid_argument(f"Tensors of different ranks cannot be padded: {sorted(ranks)}")
    largest = tuple(max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True))
    return [_padded(array, largest) for array in arrays]


def _padded(array: Array, sizes: tuple[int, ...]) -> Array:
    if array.shape[1:] == sizes:
        return array
    if array.ndim > _MAX_RANK:
        raise invalid_argument("Only tensors with rank from 1 to 6 can be padded.")
    if not array.size:
        if not len(array):
            return np.empty((0, *sizes), array.dtype)
        raise invalid_argument("Got empty tensor in batch of non-empty tensors.")
    padded = np.full((len(array), *sizes), array.flat[0], array.dtype)
    padded[tuple(map(slice, array.shape))] = array
    return padded
