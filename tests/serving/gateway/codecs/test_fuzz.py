"""Broken JSON to every API, from a fixed seed, gets an answer or a client error.

``python -m tests.serving.gateway.codecs.test_fuzz SEED COUNT`` tries more.
"""

import base64
import json
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from serving.gateway.codecs.open_inference.tensor_types import DATATYPES
from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api import messages
from serving.tfs_api.tensors import numpy_type, type_name
from tests.programs import model_server
from tests.serving.gateway import programs, served_models, stub
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway

#: Text for a value: not JSON, not UTF-8, a number that no type holds, or another type than expected.
NASTY = [
    *(b"null", b"true", b"false", b"{}", b"[]", b'""', b'"a"', b"0", b"-1", b"1.5", b"-0.0", b"[[]]", b"[1,[2]]"),
    *(b"128", b"256", b"65536", b"2147483648", b"4294967296", b"9223372036854775808", b"18446744073709551615"),
    *(b"-9223372036854775809", b"18446744073709551616", b"1" + b"0" * 400, b"1e39", b"1e308", b"1e400", b"-1e400"),
    *(b"1e-400", b"NaN", b"Infinity", b"-Infinity", b"nan", b"01", b"+1", b".5", b"1.", b"0x10", b"1_000", b"'a'"),
    *(b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"\\u0000"', b'"\x00"', b'"\xf0\x9f\x91\x9f"'),
    *(b'{"b64":"YQ=="}', b'{"b64":1}', b'{"b64":"\\ud800"}', b'{"b64":"%"}', b'{"b64":{"b64":"YQ=="}}', b'{"":0}'),
    *(
        b"[" * 9 + b"1" + b"]" * 9,
        b"[" * 2000,
        b"[" * 1000 + b"]" * 1000,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b"",
        b"]",
    ),
]
NAMES = [b"\\ud800", b"\xff", b"\\u0000", b"", b"x" * 70_000, b"inputs", b"instances", b"b64", b"signature_name", b"id"]
HISTORY = [1.0, 2.0, 3.0, 4.0]
URL = "data:image/png;base64," + base64.b64encode(picture()).decode()
B64 = URL.partition(",")[2]
TYPES = {type_name(number): number for number in messages.DataType.values() if numpy_type(number) is not None}
#: Valid requests by path.
GOOD: list[tuple[str, Any]] = [
    ("/v1/models/shade:predict", {"b64": B64}),
    ("/v1/models/shade:embed", {"b64": [B64, B64]}),
    ("/v1/models/shade:neighbours", {"b64": B64}),
    ("/v1/models/trend:forecast", {"history": HISTORY, "horizon": 2}),
    ("/v1/models/trend:predict", {"history": [HISTORY, HISTORY]}),
    ("/v1/models/trend:predict", {"instances": [HISTORY], "signature_name": "serving_default"}),
    (
        "/v1/models/trend:predict",
        {"inputs": {"history": [HISTORY], "horizon": [2]}, "signature_name": "forecast"},
    ),
    ("/v1/models/price:predict", {"features": {"rooms": 2, "age": 3.5}}),
    ("/v1/models/price:predict", {"features": [[2, 3.5]]}),
    ("/v1/models/pulse:predict", {"signal": [1, 2, 3, 4]}),
    ("/v1/models/line:predict", {"instances": [{"x": [1, 2, 3], "shift": [1]}], "signature_name": "both"}),
    ("/v1/models/line:predict", {"inputs": [[1, 2, 3.5]]}),
    ("/v1/embeddings", {"model": "shade", "input": [URL], "encoding_format": "float", "user": "me"}),
    (
        "/v1/timeseries/forecast",
        {
            "model": "trend",
            "inputs": [
                {
                    "type": "univariate_time_series",
                    "name": "a",
                    "series": HISTORY,
                    "frequency": "day",
                    "start_timestamp": "2026-01-31T00:00:00",
                }
            ],
            "options": {"horizon": 2, "quantiles": [0.05]},
            "metadata": {"a": 1},
        },
    ),
    (
        "/v2/models/trend/infer",
        {
            "id": "one",
            "parameters": {"signature_name": "forecast"},
            "inputs": [
                {"name": "history", "shape": [1, 4], "datatype": "FP32", "data": HISTORY},
                {"name": "horizon", "shape": [1], "datatype": "INT32", "data": [2]},
            ],
            "outputs": [{"name": "mean", "parameters": {"binary_data": False}}],
        },
    ),
]
#: Valid requests to the stub, whose models have every type.
TYPED: list[tuple[str, Any]] = [
    ("/v1/models/examples:classify", {"examples": [{"x": 1.0, "y": ["a"]}], "context": {"z": 1}, "signature_name": ""}),
    ("/v1/models/examples:regress", {"examples": [{"x": [1, 2]}], "signature_name": "regress"}),
]
for _name, _number in TYPES.items():
    _value = "a" if _name == "string" else True if _name == "bool" else 1
    TYPED += [
        (f"/v1/models/{_name}:predict", {"instances": [_value, _value]}),
        (f"/v1/models/{_name}:predict", {"inputs": {"x": [_value]}}),
    ]
    if _number in DATATYPES:
        _tensor = {"name": "x", "shape": [1], "datatype": DATATYPES[_number], "data": [_value]}
        TYPED.append((f"/v2/models/{_name}/infer", {"inputs": [_tensor]}))


def typed() -> stub.Models:
    x = {name: TensorSpec("x", number, (None,)) for name, number in TYPES.items()}
    echoes = {name: {"serving_default": stub.echo("serving_default", spec)} for name, spec in x.items()}
    inputs = {"inputs": TensorSpec("inputs", messages.DT_STRING, (None,))}
    scores = {"scores": TensorSpec("scores", messages.DT_FLOAT, (None, 2))}
    outputs = {"outputs": TensorSpec("outputs", messages.DT_FLOAT, (None,))}
    examples = {
        "serving_default": Signature("serving_default", inputs, scores),
        "regress": Signature("regress", inputs, outputs),
    }
    return {**echoes, "examples": examples}


Position = tuple[Any, ...]


def positions(value: Any, position: Position = ()) -> Iterator[Position]:
    """The position of every value in a document, the document itself first."""
    yield position
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from positions(item, (*position, key))


def written(value: Any, changes: Mapping[Position, bytes], more: bytes = b"", position: Position = ()) -> bytes:
    """The document as JSON with other values at some positions, and ``more`` in its first object or list."""
    if position in changes:
        return changes[position]
    if isinstance(value, dict):
        parts = [
            b'"%b":%b' % (key.encode(), written(item, changes, b"", (*position, key))) for key, item in value.items()
        ]
        return b"{%b}" % b",".join([*parts, more] if more else parts)
    if isinstance(value, list):
        parts = [written(item, changes, b"", (*position, number)) for number, item in enumerate(value)]
        return b"[%b]" % b",".join([*parts, more] if more else parts)
    return json.dumps(value).encode()


def single(documents: list[tuple[str, Any]]) -> list[tuple[str, bytes]]:
    """Bodies with each invalid value at each position, one at a time."""
    return [
        (path, written(document, {position: nasty}))
        for path, document in documents
        for position in positions(document)
        for nasty in NASTY
    ]


def several(documents: list[tuple[str, Any]], generator: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Bodies with a few invalid values, an extra member and stray bytes."""
    for _ in range(count):
        path, document = generator.choice(documents)
        changed = generator.sample(list(positions(document)), 2)
        more = b'"%b":%b' % (generator.choice(NAMES), generator.choice(NASTY)) if generator.random() < 0.5 else b""
        body = written(
            document, {position: generator.choice(NASTY) for position in changed if generator.random() < 0.5}, more
        )
        if generator.random() < 0.3:
            position = generator.randint(0, len(body))
            body = (
                body[:position]
                + generator.choice((b"\xff", b"\x00", b"\xef\xbb\xbf", b",", b""))
                + body[position + 1 :]
            )
        yield path, body + b" " * generator.choice((0,) * 20 + (300_000,))  # large bodies take another code path


def faults(gateway: Gateway, bodies: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    for path, body in bodies:
        answer = gateway.http.post(path, content=body, headers={"content-type": "application/json"})
        allowed = answer.status_code < 500 or (answer.status_code == 501 and path.startswith("/v1/models/examples"))
        if not allowed or not (answer.status_code == 200 or answer.json()["error"]):
            yield f"{path} {answer.status_code} {answer.text[:200]}: {body.strip()[:300]!r}"


@pytest.fixture(scope="module")
def every_type(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    models = typed()
    with (
        stub.serving(stub.Stub(models)) as address,
        programs.gateway(address, tmp_path_factory.mktemp("none") / "none", f"--models={','.join(models)}") as gateway,
    ):
        programs.wait_until_ready(gateway, *models)
        yield gateway


def bodies(documents: list[tuple[str, Any]], seed: int, count: int) -> list[tuple[str, bytes]]:
    generator = random.Random(seed)
    singles = single(documents)
    return generator.sample(singles, min(count, len(singles))) + list(several(documents, generator, count))


def test_models_with_a_card(served: Gateway) -> None:
    for path, document in GOOD:
        assert served.http.post(path, json=document).status_code == 200, path
    assert list(faults(served, bodies(GOOD, seed=13, count=1000))) == []


def test_every_type(every_type: Gateway) -> None:
    value = ("inputs", "x", 0), ("inputs", 0, "data", 0)
    values = [
        (path, written(document, dict.fromkeys(value, nasty)))
        for path, document in TYPED
        if "inputs" in document
        for nasty in NASTY
    ]
    assert list(faults(every_type, values + bodies(TYPED, seed=13, count=1000))) == []


if __name__ == "__main__":
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        root = served_models.write(Path(folder))
        with (
            model_server(root, *programs.PROMPT) as address,
            programs.gateway(address, root / "models.config") as gateway,
        ):
            programs.wait_until_ready(gateway, *served_models.NAMES)
            for fault in faults(gateway, bodies(GOOD, seed, count)):
                print(fault)
        with (
            stub.serving(stub.Stub(typed())) as address,
            programs.gateway(address, root / "none", f"--models={','.join(typed())}") as gateway,
        ):
            programs.wait_until_ready(gateway, *typed())
            for fault in faults(gateway, bodies(TYPED, seed, count)):
                print(fault)
