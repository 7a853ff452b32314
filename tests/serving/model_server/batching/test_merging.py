"""Merging calls and splitting their outputs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from serving.model_server.batching import merging
from serving.model_server.core.servable import SignatureCall
from serving.model_server.core.signature import ServableSignature, TensorInfo
from serving.tfs_api import messages
from serving.tfs_api.status_codes import Code
from serving.tfs_api.tensors import Array
from tests.serving.model_server.statuses import raises_status

X = ServableSignature("serving_default", "", {"x": TensorInfo("serving_default_x:0", messages.DT_FLOAT, None)}, {}, {})


def batches(columns: st.SearchStrategy[int]) -> st.SearchStrategy[list[Array]]:
    shape = st.tuples(st.integers(0, 5), columns)
    one = shape.flatmap(lambda sizes: arrays(np.int64, sizes, elements=st.integers(-9, 9)))
    return st.lists(one, min_size=1, max_size=8)


@given(calls=batches(st.just(3)), extra=st.integers(0, 4))
def test_split_of_merge_is_identity(calls: list[Array], extra: int) -> None:
    total = sum(map(len, calls))
    rows = total + extra if total else 0
    merged = merging.merge(X, [{"x": call} for call in calls], rows, pad_variable_length=False)
    assert len(merged["x"]) == rows
    for call, (found,) in zip(calls, merging.split([merged["x"]], list(map(len, calls)), rows), strict=True):
        np.testing.assert_array_equal(found, call)
    if extra and total:
        last = next(call for call in reversed(calls) if len(call))
        np.testing.assert_array_equal(merged["x"][total:], np.repeat(last[:1], extra, axis=0))


@given(calls=batches(st.integers(1, 6)))
def test_rows_of_different_sizes_are_padded_with_the_first_value_of_their_tensor(calls: list[Array]) -> None:
    total = sum(map(len, calls))
    merged = merging.merge(X, [{"x": call} for call in calls], total, pad_variable_length=True)["x"]
    widest = max(call.shape[1] for call in calls)
    assert merged.shape == (total, widest)
    for call, (found,) in zip(calls, merging.split([merged], list(map(len, calls)), total), strict=True):
        np.testing.assert_array_equal(found[:, : call.shape[1]], call)
        assert not call.size or (found[:, call.shape[1] :] == call.flat[0]).all()


@given(array=arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(0, 3))), cuts=st.data())
def test_cut_and_join_round_trip(array: Array, cuts: st.DataObject) -> None:
    places = sorted(cuts.draw(st.lists(st.integers(0, len(array)), max_size=4)))
    call = SignatureCall(X, {"x": array}, ())
    bounds = zip([0, *places], [*places, len(array)], strict=True)
    parts = [[merging.cut(call, start, stop).inputs["x"]] for start, stop in bounds]
    np.testing.assert_array_equal(merging.join(parts)[0], array)


def test_strings_are_merged() -> None:
    calls = [{"x": np.array([[b"a"]], object)}, {"x": np.array([[b"b", b"c"]], object)}]
    merged = merging.merge(X, calls, 3, pad_variable_length=True)["x"]
    assert merged.tolist() == [[b"a", b"a"], [b"b", b"c"], [b"b", b"c"]]


def test_rows_of_different_sizes_are_rejected_without_padding() -> None:
    calls = [{"x": np.zeros((1, 2))}, {"x": np.zeros((1, 3))}]
    with raises_status(Code.FAILED_PRECONDITION) as caught:
        merging.merge(X, calls, 2, pad_variable_length=False)
    assert str(caught.value).startswith(
        "Tensors with name 'serving_default_x:0' from different tasks have different shapes and padding is turned off."
    )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "Batching Run() must have at least one input tensor"),
        ({"x": np.float32(1)}, "Batching Run() input tensors must have at least one dimension"),
        (
            {"x": np.zeros(2), "y": np.zeros(3)},
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
    ],
)
def test_invalid_batches_are_rejected(inputs: dict[str, Array], message: str) -> None:
    with raises_status(Code.INVALID_ARGUMENT) as caught:
        merging.count_rows({name: np.asarray(value) for name, value in inputs.items()})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.array(1.0), "Batched output tensor has 0 dimensions"),
        (np.zeros(3), "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes"),
    ],
)
def test_invalid_output_batches_are_rejected(output: Array, message: str) -> None:
    with raises_status(Code.FAILED_PRECONDITION, match=message):
        merging.split([output], [1, 1], 2)
