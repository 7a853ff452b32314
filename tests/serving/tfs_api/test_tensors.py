"""NumPy arrays to TensorProto and back, as TensorFlow reads and writes them."""

import contextlib
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.tfs_api import messages
from serving.tfs_api.tensors import numpy_type, to_array, to_proto, type_name

NUMBERS = [
    np.float16,
    np.float32,
    np.float64,
    np.int8,
    np.int16,
    np.int32,
    np.int64,
    np.uint8,
    np.uint16,
    np.uint32,
    np.uint64,
    np.bool_,
    np.complex64,
    np.complex128,
]


def proto(data_type: int, *sizes: int, **fields: Any) -> Any:
    tensor = messages.TensorProto(dtype=data_type, **fields)
    tensor.tensor_shape.SetInParent()
    for size in sizes:
        tensor.tensor_shape.dim.add().size = size
    return tensor


@pytest.mark.parametrize("as_content", [True, False])
@pytest.mark.parametrize("kind", NUMBERS)
@given(data=st.data())
def test_numbers_round_trip(kind: Any, as_content: bool, data: st.DataObject) -> None:
    array = data.draw(arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)))
    sent = messages.TensorProto.FromString(to_proto(array, as_content=as_content).SerializeToString())
    back = to_array(sent)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)
    assert not (as_content and len(sent.float_val))
    assert as_content or not sent.tensor_content


STRINGS = st.binary(max_size=20) | st.integers(120, 20_000).map(bytes)  # lengths of one, two and three bytes


@pytest.mark.parametrize("as_content", [True, False])
@given(array=arrays.arrays(np.object_, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0), elements=STRINGS))
def test_strings_round_trip(array: Any, as_content: bool) -> None:
    sent = to_proto(array, as_content=as_content)
    assert not (sent.string_val if as_content else sent.tensor_content)
    back = to_array(sent)
    assert (back.dtype, back.shape, back.tolist()) == (np.object_, array.shape, array.tolist())


def test_text_becomes_utf_8() -> None:
    sent = to_proto(np.array(["Ürümqi", "x"]), as_content=False)
    assert (sent.dtype, list(sent.string_val)) == (messages.DT_STRING, ["Ürümqi".encode(), b"x"])
    sent = to_proto(np.array([b"x", b"\x00\x01"], object), as_content=False)
    assert list(sent.string_val) == [b"x", b"\x00\x01"]


def test_strings_in_content_as_tensorflow_writes_them() -> None:
    """tensor_coding.cc: all lengths, then all bytes; a card of 2,982 bytes begins with A6 17."""
    assert to_proto(np.array([b"ab", b"", b"c"], object)).tensor_content == b"\x02\x00\x01abc"
    assert to_proto(np.array(["Ü"])).tensor_content == b"\x02\xc3\x9c"
    assert to_proto(np.array([b"x" * 2982], object)).tensor_content[:2] == b"\xa6\x17"
    assert to_array(proto(messages.DT_STRING, tensor_content=b"\x01a")).tolist() == b"a"  # of no dimension
    assert to_array(proto(messages.DT_STRING, 2, tensor_content=b"\0\0")).tolist() == [b"", b""]


@given(content=st.binary(max_size=40), size=st.integers(0, 2**40))
def test_any_content_of_strings_gives_an_array_or_a_value_error(content: bytes, size: int) -> None:
    with contextlib.suppress(ValueError):
        assert to_array(proto(messages.DT_STRING, size, tensor_content=content)).shape == (size,)


def test_content_is_not_copied() -> None:
    assert not to_array(to_proto(np.ones(3))).flags.writeable


def test_an_array_in_another_memory_layout_or_byte_order() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3).T
    np.testing.assert_array_equal(to_array(to_proto(array)), array)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (proto(messages.DT_FLOAT, 4, float_val=[1, 2]), [1, 2, 2, 2]),
        (proto(messages.DT_FLOAT, 2, 2, float_val=[7]), [[7, 7], [7, 7]]),
        (proto(messages.DT_UINT8, 3), [0, 0, 0]),
        (proto(messages.DT_STRING, 2), [b"", b""]),
        (proto(messages.DT_STRING, 3, string_val=[b"a", b"b"]), [b"a", b"b", b"b"]),
        (proto(messages.DT_BOOL, 2, bool_val=[True]), [True, True]),
        (proto(messages.DT_HALF, 2, half_val=[0x3C00]), [1, 1]),
        (proto(messages.DT_INT64, int64_val=[5]), 5),
        (proto(messages.DT_FLOAT, 0, 5), []),
    ],
)
def test_short_fields_are_filled_with_the_last_value_or_zeros(sent: Any, expected: Any) -> None:
    assert to_array(sent).tolist() == expected


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (proto(messages.DT_INVALID, 1), "tensors of type invalid are not served"),
        (proto(messages.DT_QINT8, 1, int_val=[1]), "tensors of type qint8 are not served"),
        (proto(12345, 1), "12345"),
        (proto(messages.DT_FLOAT, -1, float_val=[1]), r"shape \[-1\] has a negative size"),
        (proto(messages.DT_FLOAT, 1, float_val=[1, 2]), r"has 2 values; shape \[1\] needs 1"),
        (proto(messages.DT_FLOAT, 2, tensor_content=b"1234"), r"has 4 bytes; shape \[2\] needs 8"),
        (proto(messages.DT_FLOAT, 1, tensor_content=b"12345"), r"has 5 bytes; shape \[1\] needs 4"),
        (proto(messages.DT_FLOAT, 2**40, float_val=[1]), "too many to fill in"),
        (proto(messages.DT_FLOAT, 2**62, 2**62), "too many to fill in"),
        (proto(messages.DT_STRING, 2**40), "too many to fill in"),
        (proto(messages.DT_STRING, 2**40, tensor_content=b"\x01a"), "has 2 bytes; 1099511627776 strings need"),
        (proto(messages.DT_STRING, 2**62, 2**62, tensor_content=b"\x01a"), "strings need at least one each"),
        (proto(messages.DT_STRING, 1, tensor_content=b"\x02a"), "has 1 bytes of strings; .* add up to 2"),
        (proto(messages.DT_STRING, 1, tensor_content=b"\x01ab"), "has 2 bytes of strings; .* add up to 1"),
        (proto(messages.DT_STRING, 0, tensor_content=b"\x00"), "has 1 bytes of strings; .* of its 0 strings"),
        (proto(messages.DT_STRING, 2, tensor_content=b"\x01a"), "has 0 bytes of strings; .* add up to 98"),
        (proto(messages.DT_STRING, 1, tensor_content=b"\x81"), "ends within the length of string 0 of 1"),
        (proto(messages.DT_STRING, 2, tensor_content=b"\x81\x01"), "ends within the length of string 1 of 2"),
        (proto(messages.DT_STRING, 1, tensor_content=b"\x80" * 5 + b"\x01"), "takes more than five bytes"),
        (proto(messages.DT_STRING, 1, tensor_content=b"\xff" * 4 + b"\x1f"), "not a varint of 32 bits"),
        (proto(messages.DT_STRING, 1, tensor_content=b"\xff" * 4 + b"\x0f"), "add up to 4294967295"),
        (proto(messages.DT_STRING, 1, tensor_content=b"\x81\x00a"), "in its shortest form"),
        (proto(messages.DT_UINT8, 1, int_val=[256]), "does not fit uint8"),
        (proto(messages.DT_INT8, 1, int_val=[-129]), "does not fit int8"),
        (proto(messages.DT_HALF, 1, half_val=[70000]), "does not fit"),
        (proto(messages.DT_FLOAT, *[1] * 100, float_val=[1]), "dimension"),
    ],
)
def test_invalid_tensors(sent: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_array(sent)


def test_no_rank() -> None:
    sent = proto(messages.DT_FLOAT, float_val=[1])
    sent.tensor_shape.unknown_rank = True
    with pytest.raises(ValueError, match="no rank"):
        to_array(sent)


def test_an_array_without_a_data_type() -> None:
    with pytest.raises(TypeError, match="datetime64"):
        to_proto(np.zeros(1, "M8[s]"))


@given(st.binary(max_size=200))
def test_any_bytes_give_an_array_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError, DecodeError):
        to_array(messages.TensorProto.FromString(data))


def test_names() -> None:
    assert type_name(messages.DT_UINT8) == "uint8"
    assert numpy_type(messages.DT_FLOAT) == np.float32
    assert numpy_type(messages.DT_STRING) == np.object_
    assert numpy_type(messages.DT_RESOURCE) is None
