"""Validation: a table, and a property over random signatures and tensors."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from serving.gateway.errors import BadTensor
from serving.gateway.inference.validation import check
from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api import messages
from serving.tfs_api.tensors import numpy_type

TYPES = (
    messages.DT_FLOAT,
    messages.DT_HALF,
    messages.DT_UINT8,
    messages.DT_INT32,
    messages.DT_INT64,
    messages.DT_BOOL,
)
IMAGE = TensorSpec("image", messages.DT_UINT8, (None, 2, 2, 1))
HISTORY = TensorSpec("history", messages.DT_FLOAT, (None, 3))
HORIZON = TensorSpec("horizon", messages.DT_INT32, (None,))
TEXT = TensorSpec("text", messages.DT_STRING, (None,))
FREE = TensorSpec("free", messages.DT_FLOAT, None)
FIXED = TensorSpec("fixed", messages.DT_FLOAT, (2,))


def signature(*specs: TensorSpec) -> Signature:
    return Signature("s", {spec.name: spec for spec in specs}, {})


def text(*values: object) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("specs", "arrays", "rows"),
    [
        ([IMAGE], {"image": np.zeros((5, 2, 2, 1), np.uint8)}, 5),
        ([HISTORY, HORIZON], {"history": np.zeros((2, 3), "f4"), "horizon": np.ones(2, "i4")}, 2),
        ([TEXT], {"text": text(b"a", b"b", b"c")}, 3),
        ([FREE], {"free": np.zeros((7, 7), "f4")}, 1),
        ([FREE], {"free": np.float32([0]).reshape(())}, 1),
        ([FIXED], {"fixed": np.zeros(2, "f4")}, 1),
    ],
)
def test_valid_tensors(specs: list[TensorSpec], arrays: dict[str, Any], rows: int) -> None:
    assert check(signature(*specs), arrays, 128) == rows


@pytest.mark.parametrize(
    ("specs", "arrays", "words"),
    [
        ([IMAGE], {}, "missing: image"),
        ([IMAGE], {"image": np.zeros((1, 2, 2, 1), "u1"), "more": np.zeros(1)}, "unknown: more"),
        ([IMAGE], {"image": np.zeros((2, 2, 1), "u1")}, r"3 axes, not 4"),
        ([IMAGE], {"image": np.zeros((1, 2, 3, 1), "u1")}, r"\[N, 2, 2, 1\]"),
        ([IMAGE], {"image": np.zeros((1, 2, 2, 1), "i1")}, "int8"),
        ([IMAGE], {"image": np.zeros((0, 2, 2, 1), "u1")}, "empty"),
        ([IMAGE], {"image": np.zeros((129, 2, 2, 1), "u1")}, "1 to 128 rows, not 129"),
        ([HISTORY], {"history": np.zeros((1, 3), ">f4")}, "float32"),
        ([HISTORY], {"history": np.array([[1, np.nan, 2]], "f4")}, "NaN"),
        ([HISTORY], {"history": np.array([[1, np.inf, 2]], "f4")}, "infinity"),
        ([HISTORY, HORIZON], {"history": np.zeros((2, 3), "f4"), "horizon": np.ones(1, "i4")}, "history 2, horizon 1"),
        ([TEXT], {"text": text("a")}, "bytes"),
        ([TEXT], {"text": np.zeros(1)}, "string"),
        ([FREE], {"free": np.zeros(0, "f4")}, "empty"),
        ([FIXED], {"fixed": np.zeros(3, "f4")}, r"\[2\]"),
    ],
)
def test_invalid_tensors(specs: list[TensorSpec], arrays: dict[str, Any], words: str) -> None:
    with pytest.raises(BadTensor, match=words):
        check(signature(*specs), arrays, 128)


@pytest.mark.parametrize(
    ("specs", "arrays", "rows"),
    [
        ([HISTORY], {"history": np.array([[1, np.nan, np.inf]], "f4")}, 1),
        ([HISTORY], {"history": np.zeros((0, 3), "f4")}, 0),
        ([FREE], {"free": np.zeros((2, 0), "f4")}, 1),
        ([HISTORY, HORIZON], {"history": np.zeros((2, 3), "f4"), "horizon": np.ones(5, "i4")}, 5),
    ],
)
def test_valid_tensors_without_a_card(specs: list[TensorSpec], arrays: dict[str, Any], rows: int) -> None:
    assert check(signature(*specs), arrays, 128, strict=False) == rows


def test_more_rows_than_the_limit_are_valid_if_they_can_be_split() -> None:
    inputs = {spec.name: spec for spec in (HISTORY, HORIZON)}
    arrays = {"history": np.zeros((129, 3), "f4"), "horizon": np.ones(129, "i4")}
    assert check(Signature("s", inputs, {"y": HORIZON}), arrays, 128, splits=True) == 129
    unequal = arrays | {"horizon": np.ones(1, "i4")}
    for outputs, sent, splits in (
        ({"y": HORIZON}, arrays, False),
        ({"y": FIXED}, arrays, True),
        ({"y": HORIZON}, unequal, True),
    ):
        with pytest.raises(BadTensor, match="1 to 128 rows, not 129"):
            check(Signature("s", inputs, outputs), sent, 128, strict=False, splits=splits)


shapes = st.lists(st.none() | st.integers(1, 3), max_size=4).map(tuple)
specs = st.builds(TensorSpec, st.sampled_from(["a", "b", "c"]), st.sampled_from(TYPES), shapes)
arrays = st.sampled_from(TYPES).flatmap(
    lambda kind: stn.arrays(numpy_type(kind), stn.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
)


@given(
    st.lists(specs, min_size=1, max_size=3, unique_by=lambda spec: spec.name),
    st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), arrays, max_size=3),
    st.data(),
)
def test_a_wrong_name_type_rank_size_or_value_is_rejected(
    chosen: list[TensorSpec], given_arrays: dict[str, np.ndarray], data: st.DataObject
) -> None:
    # Half of the tensors get the expected type and shape; otherwise hardly any would be valid.
    for spec in chosen:
        if data.draw(st.booleans()):
            shape = tuple(data.draw(st.integers(0, 3)) if size is None else size for size in spec.shape or ())
            given_arrays[spec.name] = data.draw(stn.arrays(spec.dtype, shape))
    try:
        rows = check(signature(*chosen), given_arrays, 2)
    except BadTensor as error:
        assert len(error.message) > 20
        return
    assert given_arrays.keys() == {spec.name for spec in chosen}
    for spec in chosen:
        array = given_arrays[spec.name]
        assert array.dtype == spec.dtype
        assert len(spec.shape) == array.ndim
        assert all(want in (None, size) for want, size in zip(spec.shape, array.shape, strict=True))
        assert array.size > 0
        assert np.isfinite(array.astype(float)).all()
        if spec.batched:
            assert array.shape[0] == rows <= 2
