"""Property: no invalid tensor reaches the model server by any protocol.

Random signatures and tensors, against a stub that checks every call. A real TensorFlow Serving 2.20 ends after one
picture of the wrong rank.
"""

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from serving.gateway.codecs.open_inference import tensor_types as datatypes
from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api import messages
from serving.tfs_api.tensors import numpy_type, to_proto
from tests.serving.gateway import programs, stub
from tests.serving.gateway.programs import Gateway
from tests.serving.gateway.stub import Stub

MUTATIONS = ["none"] * 6 + ["one axis more", "one axis less", "size", "type", "rows", "empty", "name"]
MAX_ROWS = 4
COUNT = 40


def random_signature(source: random.Random) -> Signature:
    def shape() -> tuple[int | None, ...] | None:
        if source.random() < 0.1:
            return None
        sizes = [source.choice([None, 1, 2, 3]) for _ in range(source.randint(0, 3))]
        return (None, *sizes) if source.random() < 0.7 else tuple(sizes)

    names = source.sample("abc", source.randint(1, 3))
    specs = [TensorSpec(name, source.choice(sorted(datatypes.DATATYPES)), shape()) for name in names]
    return stub.echo("serving_default", *specs)


_source = random.Random(7)
MODELS = {f"m{number}": {"serving_default": random_signature(_source)} for number in range(COUNT)}


@pytest.fixture(scope="module")
def gateway_and_stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Stub]]:
    model_server = Stub(MODELS, max_rows=MAX_ROWS)
    missing = tmp_path_factory.mktemp("none") / "none"
    flags = (f"--models={','.join(MODELS)}", f"--max-rows={MAX_ROWS}")
    with stub.serving(model_server) as address, programs.gateway(address, missing, *flags) as one:
        programs.wait_until_ready(one, *MODELS)
        yield one, model_server


def of_type(data_type: int, shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    if data_type == messages.DT_STRING:
        return stn.arrays(object, shape, elements=st.binary(max_size=3), fill=st.nothing())
    if data_type == messages.DT_BFLOAT16:
        return stn.arrays(np.float32, shape, elements=st.integers(-9, 9)).map(
            lambda array: array.astype(numpy_type(data_type))
        )
    return stn.arrays(numpy_type(data_type), shape)


@st.composite
def tensors(draw: st.DrawFn, signature: Signature) -> dict[str, tuple[int, np.ndarray]]:
    """Valid inputs by name, each with its DataType, some of them mutated."""
    rows = draw(st.integers(1, MAX_ROWS))
    inputs = {}
    for spec in signature.inputs.values():
        sizes = list(spec.shape if spec.shape is not None else draw(st.lists(st.integers(1, 2), max_size=3)))
        shape = tuple(
            (rows if axis == 0 else draw(st.integers(1, 3))) if size is None else size
            for axis, size in enumerate(sizes)
        )
        data_type = spec.data_type
        match draw(st.sampled_from(MUTATIONS)):
            case "one axis more":
                shape = (*shape, 1)
            case "one axis less":
                shape = shape[1:]
            case "size":
                shape = tuple(size + draw(st.integers(0, 1)) for size in shape)
            case "type":
                data_type = draw(st.sampled_from(sorted(datatypes.DATATYPES)))
            case "rows":
                shape = (draw(st.integers(0, MAX_ROWS + 2)), *shape[1:])
            case "empty":
                shape = (*shape[:-1], 0)
            case "name":
                inputs[draw(st.sampled_from("abcd"))] = data_type, draw(of_type(data_type, shape))
                continue
        inputs[spec.name] = data_type, draw(of_type(data_type, shape))
    return inputs


def listed(array: np.ndarray) -> Any:
    """JSON values: bytes are base64 objects."""
    if array.dtype == object:
        encoded = [{"b64": base64.b64encode(value).decode()} for value in array.flat]
        return np.array([*encoded, None], object)[:-1].reshape(array.shape).tolist()
    return (array.astype(float) if array.dtype.kind in "fV" else array).tolist()


def post(http: httpx.Client, model: str, inputs: dict[str, tuple[int, np.ndarray]], encoding: str) -> httpx.Response:
    if encoding == "columns":
        document = {"inputs": {name: listed(array) for name, (_, array) in inputs.items()}}
        return http.post(f"/v1/models/{model}:predict", content=json.dumps(document))
    if encoding == "rows":
        rows = max(len(array) if array.ndim else 0 for _, array in inputs.values())
        instances = [
            {
                name: listed(np.asarray(array[row], array.dtype))
                for name, (_, array) in inputs.items()
                if array.ndim and row < len(array)
            }
            for row in range(rows)
        ]
        return http.post(f"/v1/models/{model}:predict", content=json.dumps({"instances": instances}))
    head = []
    blobs = []
    for name, (data_type, array) in inputs.items():
        one = {"name": name, "shape": list(array.shape), "datatype": datatypes.DATATYPES[data_type]}
        if encoding == "binary":
            blobs.append(datatypes.to_bytes(array))
            one["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            one["data"] = listed(array) if array.ndim else [listed(array)]
        head.append(one)
    document = json.dumps({"inputs": head}).encode()
    headers = {"inference-header-content-length": str(len(document))} if encoding == "binary" else {}
    return http.post(f"/v2/models/{model}/infer", content=b"".join([document, *blobs]), headers=headers)


answered = {"columns": 0, "rows": 0, "json": 0, "binary": 0}


@pytest.mark.parametrize("encoding", answered)
def test_invalid_tensors_do_not_reach_the_model_server(gateway_and_stub: tuple[Gateway, Stub], encoding: str) -> None:
    gateway, model_server = gateway_and_stub

    @given(st.data())
    @settings(max_examples=150, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    def check(data: st.DataObject) -> None:
        model = data.draw(st.sampled_from(sorted(MODELS)))
        inputs = data.draw(tensors(MODELS[model]["serving_default"]))
        answer = post(gateway.http, model, inputs, encoding)
        assert model_server.violations == []
        # Outputs that JSON cannot represent are a 502.
        assert answer.status_code in (200, 400) or "NaN or infinity" in answer.text, answer.text
        answered[encoding] += answer.status_code == 200

    check()
    assert answered[encoding] > 10  # otherwise the property would hold by rejecting everything
    assert model_server.calls >= answered[encoding]


def test_the_stub_detects_violations() -> None:
    model_server = Stub({})
    image = stub.echo("s", TensorSpec("image", messages.DT_UINT8, (None, 2)))
    for array in (np.zeros(2, np.uint8), np.zeros((1, 3), np.uint8), np.zeros((1, 2), np.int8)):
        assert list(model_server._wrong(image, {"image": array}, {"image": to_proto(array)}))
    assert list(model_server._wrong(image, {}, {}))
    good = np.zeros((1, 2), np.uint8)
    assert not list(model_server._wrong(image, {"image": good}, {"image": to_proto(good)}))


def test_no_verb_bypasses_validation(gateway_and_stub: tuple[Gateway, Stub]) -> None:
    gateway, model_server = gateway_and_stub
    calls = model_server.calls
    for path in ("/v1/models/m0:classify", "/v1/models/m0:regress", "/v1/models/m0:embed", "/v1/models/m0:forecast"):
        assert gateway.http.post(path, json={"examples": [{"a": 1}]}).status_code in (400, 404)
    assert model_server.calls == calls
