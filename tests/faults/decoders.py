"""All decoders of bytes that a caller or a model server sends, with valid inputs to start from.

Each decoder either returns or raises one of its documented errors.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.gateway.codecs import base64, body, dataframes, multipart, tf_examples, tf_serving_json
from serving.gateway.codecs.open_inference import grpc_messages, request
from serving.gateway.codecs.open_inference.tensor_types import DATATYPES
from serving.gateway.errors import GatewayError
from serving.gateway.http.memory_budget import MemoryBudget, Reservation
from serving.gateway.models.signature import Signature, TensorSpec
from serving.gateway.oip_grpc import messages as oip
from serving.inputs import npy
from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.reader import read_bytes
from serving.preprocessing import image
from serving.preprocessing.image import ImageRecipe, PictureError
from serving.tfs_api import messages
from serving.tfs_api.tensors import numpy_type, type_name
from tests.serving.gateway.backends.tf_serving.grpc_client.test_fuzz import run_connection, server_bytes
from tests.serving.gateway.codecs.test_multipart import body as multipart_body
from tests.serving.gateway.conftest import picture
from tests.serving.preprocessing.picture_files.files import encoded, shape

_THREADS = ThreadPoolExecutor(1)
_BUDGET = 100_000_000
_MAX_PIXELS = 100_000
_RECIPES = [
    ImageRecipe(height=28, width=28, channels=1, colour="grey", crop=True, cut_out=True),
    ImageRecipe(height=28, width=28, channels=1, colour="ink", crop=True, margin=0.1),
    ImageRecipe(height=16, width=16, channels=3, colour="rgb"),
]
_TYPES = [number for number in messages.DataType.values() if numpy_type(number) is not None]
_ONE = Signature("one", {"x": TensorSpec("x", messages.DT_FLOAT, (None, 2))}, {})
_ALL = Signature("all", {type_name(one): TensorSpec(type_name(one), one, (None,)) for one in _TYPES}, {})
_MIXED = Signature(
    "mixed",
    {
        "x": TensorSpec("x", messages.DT_FLOAT, (None, 1)),
        "n": TensorSpec("n", messages.DT_INT64, (None,)),
        "text": TensorSpec("text", messages.DT_STRING, (None,)),
    },
    {},
)
_SIGNATURES = {one.name: one for one in (_ONE, _MIXED, _ALL)}


@dataclass(frozen=True)
class FuzzedDecoder:
    """A decoder, its documented errors, and valid inputs. The first line of an input may hold a header's value."""

    name: str
    decode: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: Sequence[bytes]


def _memory() -> Reservation:
    return MemoryBudget(_BUDGET, _THREADS).reservation()


def _headed(content: bytes) -> tuple[str, bytes]:
    head, _, rest = content.partition(b"\n")
    return head.decode("latin-1"), rest


def _body(content: bytes) -> object:
    content_type, sent = _headed(content)
    return body.read(sent, content_type, 16, _memory())


def _multipart(content: bytes) -> object:
    parameters, sent = _headed(content)
    return multipart.files(sent, parameters, 16, _memory())


def _data_url(content: bytes) -> object:
    return base64.picture(content.decode("utf-8", "replace"))


def _picture(content: bytes) -> object:
    recipe = _RECIPES[content[0] % len(_RECIPES)] if content else _RECIPES[0]
    return image.decode(content[1:], recipe, max_pixels=_MAX_PIXELS)


def _tensorflow_json(content: bytes) -> object:
    keys = body.document(content, _memory(), tf_serving_json.is_request)
    signature = _SIGNATURES.get(tf_serving_json.signature_name(keys), _ONE)
    return tf_serving_json.read(keys, signature)


def _tensorflow_examples(content: bytes) -> object:
    keys = body.examples(content, _memory())
    tf_examples.signature_name(keys)
    return tf_examples.read(keys, 8, _memory())


def _open_inference(content: bytes) -> object:
    header_length, sent = _headed(content)
    return request.arrays(request.read(sent, header_length, "m", None, _memory()), _ALL)


def _open_inference_grpc(content: bytes) -> object:
    return request.arrays(request.request_of(grpc_messages.decode(content, _memory()), "m", None), _ALL)


def _dataframe(content: bytes) -> object:
    keys = body.document(content, _memory(), lambda keys: True)
    frame = dataframes.records(keys["r"]) if "r" in keys else dataframes.split(keys.get("s"))
    return dataframes.arrays(frame, _MIXED if frame.columns else _ONE, ["a", "b"])


def _dataframe_csv(content: bytes) -> object:
    return dataframes.arrays(dataframes.from_csv(content, _memory()), _ONE, ["a", "b"])


_LOOP = asyncio.new_event_loop()


def _grpc_frames(content: bytes) -> object:
    errors: list[Any] = []
    _LOOP.set_exception_handler(lambda loop, context: errors.append(context))
    results = _LOOP.run_until_complete(run_connection(content, chunks=False))
    if errors:
        raise AssertionError(errors)
    return results


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _in_format(form: str, mode: str = "RGB") -> bytes:
    return encoded(shape().resize((24, 18)).convert(mode), form)


def _pictures() -> list[bytes]:
    forms = [_in_format(form) for form in ("PNG", "JPEG", "WEBP", "BMP", "GIF")]
    forms += [_in_format("PNG", mode) for mode in ("L", "LA", "P", "1", "I;16")] + [_in_format("JPEG", "CMYK")]
    return [bytes([number % 3]) + form for number, form in enumerate(forms * 2)]


def _raw_request() -> bytes:
    names = [name for name, spec in _ALL.inputs.items() if spec.data_type in DATATYPES]
    inputs, raw = [], b""
    for name in names:
        spec = _ALL.inputs[name]
        value = b"\1\0\0\0a" if spec.is_string else bytes(np.dtype(spec.dtype).itemsize)
        inputs.append(
            {
                "name": name,
                "shape": [1],
                "datatype": DATATYPES[spec.data_type],
                "parameters": {"binary_data_size": len(value)},
            }
        )
        raw += value
    document = _json({"inputs": inputs, "parameters": {"binary_data_output": True}})
    return str(len(document)).encode() + b"\n" + document + raw


def _grpc_requests() -> list[bytes]:
    raw = oip.ModelInferRequest(model_name="m", id="1")
    raw.inputs.add(name="float", datatype="FP32", shape=[2])
    raw.raw_input_contents.append(bytes(8))
    plain = oip.ModelInferRequest(model_name="m")
    for name, datatype, field, value in (
        ("float", "FP32", "fp32_contents", 1.5),
        ("int64", "INT64", "int64_contents", -1),
        ("string", "BYTES", "bytes_contents", b"a"),
        ("bool", "BOOL", "bool_contents", True),
        ("uint8", "UINT8", "uint_contents", 255),
    ):
        tensor = plain.inputs.add(name=name, datatype=datatype, shape=[1])
        getattr(tensor.contents, field).append(value)
    plain.parameters["signature_name"].string_param = "all"
    plain.outputs.add(name="y").parameters["binary_data"].bool_param = True
    return [raw.SerializeToString(), plain.SerializeToString()]


def decoders() -> dict[str, FuzzedDecoder]:
    """All decoders by name."""
    png = picture()
    form = multipart_body((['Content-Disposition: form-data; name="a"; filename="a.png"'], png))
    base64_form = multipart_body(
        (["Content-Disposition: form-data; name=a; filename=a", "Content-Transfer-Encoding: base64"], b"YWJj\r\n"),
        line_end=b"\n",
    )
    arrays = [np.arange(6, dtype=kind).reshape(2, 3) for kind in ("u1", ">i4", "f4", "f8", "f2")]
    written = [npy.write(array) for array in (*arrays, np.asfortranarray(arrays[3]))]
    rows: dict[str, object] = {"instances": [{"x": 1.5, "n": 2, "text": {"b64": "YQ=="}}], "signature_name": "mixed"}
    columns = {"inputs": {"x": [[1.0]], "n": [2], "text": ["é"]}, "signature_name": "mixed"}
    long = {"instances": [[float(number), 2] for number in range(700)]}
    special = {"string": "a", "bool": True}
    typed = {"inputs": {name: [special.get(name, 1)] for name in _ALL.inputs}, "signature_name": "all"}
    tensors = [{"name": "int32", "shape": [2], "datatype": "INT32", "data": [1, 2]}]
    open_inference = _json({"id": "a", "model_name": "m", "inputs": tensors, "outputs": [{"name": "y"}]})
    dates = b"".join(b"2024-01-%02d,%d.5\n" % (day, day * 10) for day in range(1, 29))
    one_row = {"columns": ["x", "n", "text"], "index": [0], "data": [[1, 2, "a"]]}
    gateway_errors = (GatewayError,)
    found = [
        FuzzedDecoder(
            "request body",
            _body,
            gateway_errors,
            [b"image/png\n" + png, b"application/x-npy\n" + written[0], b"\n" + written[1]]
            + [b"application/json; charset=utf-8\n" + _json(each) for each in (rows, columns, long)]
            + [b"text/json\n\xef\xbb\xbf" + _json({"b64": "YQ=="}), b"multipart/form-data; boundary=B\n" + form],
        ),
        FuzzedDecoder(
            "multipart form", _multipart, gateway_errors, [b"boundary=B\n" + form, b'boundary="B"\n' + base64_form]
        ),
        FuzzedDecoder(
            "picture in text", _data_url, gateway_errors, [b"YWJjZA==", b"data:image/png;base64,YWJjZA%3D%3D"]
        ),
        FuzzedDecoder("picture file", _picture, (PictureError,), _pictures()),
        FuzzedDecoder("npy array", npy.read, (npy.NpyError,), written),
        FuzzedDecoder(
            "TensorFlow JSON", _tensorflow_json, gateway_errors, [_json(each) for each in (rows, columns, long, typed)]
        ),
        FuzzedDecoder(
            "tf.Example JSON",
            _tensorflow_examples,
            gateway_errors,
            [_json({"examples": [{"x": 1.0, "y": ["a"], "z": {"b64": "YQ=="}}], "context": {"n": 2**63 - 1}})],
        ),
        FuzzedDecoder(
            "Open Inference",
            _open_inference,
            gateway_errors,
            [_raw_request(), b"%d\n%b" % (len(open_inference), open_inference)],
        ),
        FuzzedDecoder("Open Inference over gRPC", _open_inference_grpc, gateway_errors, _grpc_requests()),
        FuzzedDecoder(
            "data frame",
            _dataframe,
            gateway_errors,
            [
                _json({"r": [{"x": 1, "n": 2, "text": "a"}]}),
                _json({"s": one_row}),
                _json({"s": {"data": [[1, 2]] * 300}}),
            ],
        ),
        FuzzedDecoder("data frame in CSV", _dataframe_csv, gateway_errors, [b"a,b\n1,2\n3,4.5\n", b'1,"2"\r\n']),
        FuzzedDecoder(
            "series in CSV",
            read_bytes,
            (SeriesFileError,),
            [
                b"Date,Close\n" + dates,
                b'"day";"value"\n01.02.2024;1.234,5\n02.02.2024;7\n03.02.2024;-8,1\n',
                b"\xff\xfe" + "year\tvalue\n2001\t2\n2002\t3\n2003\t4\n2004\t5\n".encode("utf-16-le"),
            ],
        ),
        FuzzedDecoder("frames from a model server", _grpc_frames, (), [server_bytes(seed) for seed in range(20)]),
    ]
    return {one.name: one for one in found}
