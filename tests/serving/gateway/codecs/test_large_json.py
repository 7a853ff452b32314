"""Large JSON bodies are read like small ones, without blocking other requests."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from serving.gateway.codecs import body as body_codec
from serving.gateway.codecs import large_json, numbers, tf_examples
from serving.gateway.codecs.offload import LARGE, offload
from serving.gateway.errors import BadTensor, TooLarge
from serving.gateway.http.memory_budget import MemoryBudget, Reservation

RANDOM = np.random.default_rng(5)
ARRAYS = {
    "one axis": RANDOM.normal(size=5000),
    "pixels": RANDOM.integers(0, 256, (30, 20, 15, 1)),
    "whole and broken": np.where(RANDOM.random((400, 30)) < 0.5, 7, 0.25),
    "rank 8": RANDOM.integers(-9, 9, (1, 2, 1, 3, 4, 1, 5, 200)),
    "axes of one": RANDOM.normal(size=(1, 3000, 1)),
    "largest": np.full(3000, 2**63 - 1),
}
TYPES = {"pixels": np.int16, "rank 8": np.int8, "largest": np.int64}


def reservation(most: int = 10**9) -> Reservation:
    """A request's part of a memory budget of this many bytes."""
    return MemoryBudget(most, ThreadPoolExecutor(1)).reservation()


def plain(value: Any) -> Any:
    """The value with lists instead of arrays."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", ARRAYS)
def test_long_arrays_become_numpy_arrays(name: str, indent: int | None) -> None:
    array = ARRAYS[name]
    rows = [{"x": array.tolist(), "y": [1, 2]}, {"x": array.tolist(), "name": "a [ b"}]
    document = {"instances": rows, "inputs": array.tolist(), "id": "ü", "parameters": {"a": [True, None]}}
    read, finite = large_json.loads(json.dumps(document, indent=indent).encode(), reservation())
    assert finite
    assert plain(read) == document
    assert isinstance(read["inputs"], np.ndarray)
    assert all(isinstance(row["x"], np.ndarray) for row in read["instances"])
    assert read["inputs"].dtype == TYPES.get(name, np.float64)


LONG = "1, " * 20_000
OTHERS = {
    "ragged": f'{{"a": [[{LONG}1], [{LONG}1, 2]]}}',
    "mixed depth": f'{{"a": [[{LONG}1], 1]}}',
    "an object in it": f'{{"a": [{LONG}{{}}]}}',
    "a word in it": f'{{"a": [{LONG}null]}}',
    "in a string": json.dumps({"a": f'":[{LONG}1]', "b": f":[{LONG}1]", "c": f'\\":[{LONG}1],'}),
    "under a key twice": f'{{"a": [{LONG}1], "a": [{LONG}2]}}',
    "the whole body": f"[{LONG}1]",
    "an array in nested lists": f'[[{{"a": [{LONG}1]}}]]',
    "larger than 64 bits": f'{{"a": [{LONG}18446744073709551615]}}',
    "empty lists": '{"a": [' + "[], " * 20_000 + "[]]}",
    "blank": '{"a": [' + " " * 60_000 + "]}",
}
BROKEN = {
    "a comma too many": f'{{"a": [{LONG}]}}',
    "two commas": f'{{"a": [{LONG}, 1]}}',
    "no comma": f'{{"a": [{LONG}1 2]}}',
    "a number before a bracket": f'{{"a": [[{LONG}1], 1[2]]}}',
    "a number around brackets": '{"a": [' + "1[], " * 20_000 + "1[]]}",
    "a number behind brackets": '{"a": [' + "[] 1, " * 20_000 + "[]1]}",
    "no number": f'{{"a": [{LONG}1-]}}',
    "unfinished": f'{{"a": [{LONG}1]',
    "more behind": f'{{"a": [{LONG}1]}}}}',
    "too large for a double": f'{{"a": [{LONG}1e999]}}',
}


@pytest.mark.parametrize("name", OTHERS)
def test_irregular_lists_stay_lists(name: str) -> None:
    body = OTHERS[name].encode()
    assert plain(large_json.loads(body, reservation())[0]) == orjson.loads(body)


def test_lists_that_are_too_deep_stay_lists() -> None:
    """Each axis takes a pass over all brackets: 64 kB of brackets would block a thread for two seconds."""
    array = np.ones((1,) * 8 + (20_000,), int)
    value, _ = large_json.loads(json.dumps({"a": array.tolist()}).encode(), reservation())
    assert value == {"a": array.tolist()}


def test_arrays_with_nan_and_infinity() -> None:
    array = RANDOM.normal(size=(500, 100))
    array[0, 0], array[250, 3], array[-1, -1] = np.nan, np.inf, -np.inf
    read, finite = large_json.loads(json.dumps({"inputs": array.tolist(), "id": "NaN"}).encode(), reservation())
    assert not finite
    assert isinstance(read["inputs"], np.ndarray)
    np.testing.assert_array_equal(read["inputs"], array)
    assert read["id"] == "NaN"


@pytest.mark.parametrize("wrong", [b"NaNNaN", b"1NaN", b"NaN1", b"-NaN", b"+Infinity", b"NaN null", b"Infinit", b"nan"])
def test_misspelt_words_are_refused(wrong: bytes) -> None:
    body = b'{"a":[%b%b]}' % (b"1," * 5000, wrong)
    try:
        value, finite = large_json.loads(body, reservation())
    except orjson.JSONDecodeError:
        return
    assert (value, finite) == (None, False)


def test_nan_outside_of_arrays_is_limited_to_a_megabyte() -> None:
    for count, error in ((100_000, None), (400_000, TooLarge)):
        body = b'{"a":[[NaN],{}%b]}' % (b",1" * count)
        body += b" " * (2_000_000 if error else 0)
        if error is None:
            value, finite = large_json.loads(body, reservation())
            assert (len(value["a"]), finite) == (count + 2, False)
        else:
            with pytest.raises(error, match="at most 1000000 bytes are accepted then"):
                large_json.loads(body, reservation())


def test_rows_of_arrays_and_lists() -> None:
    rows = [{"x": [0] * 600}, {"x": [0.123456789] * 600}]
    read, _ = large_json.loads(json.dumps({"instances": rows}).encode(), reservation())
    columns = [row["x"] for row in read["instances"]]
    assert [type(column) for column in columns] == [list, np.ndarray]
    np.testing.assert_allclose(numbers.array(columns, np.dtype(np.float32), "x"), [row["x"] for row in rows])
    with pytest.raises(BadTensor, match=r"ragged: a row has shape \[600\], but the first one has \[599\]"):
        numbers.array([columns[0][1:], columns[1]], np.dtype(np.float32), "x")


def test_reading_respects_the_memory_budget() -> None:
    body = b'{"a":[%b1]}' % (b"1," * 500_000)
    memory = reservation(10_000_000)
    large_json.loads(body, memory)
    assert memory.held < 500_001 * 10
    with pytest.raises(TooLarge, match="bytes of memory when it is decoded"):
        large_json.loads(body, reservation(1_000_000))


def test_gaps_between_strings_are_searched_once() -> None:
    """Searching to the end of the body from each of 8,000 gaps took 8 s."""
    body = b"{%b}" % b",".join([b'"a":' + b" " * 4200 + b"1"] * 7500)
    began = time.thread_time()
    assert large_json.loads(body, reservation()) == ({"a": 1}, True)
    assert time.thread_time() - began < 3


@pytest.mark.parametrize("name", BROKEN)
def test_invalid_json_gives_the_usual_error(name: str) -> None:
    body = BROKEN[name].encode()
    with pytest.raises(orjson.JSONDecodeError) as expected:
        orjson.loads(body)
    with pytest.raises(orjson.JSONDecodeError) as error:
        large_json.loads(body, reservation())
    assert str(error.value) == str(expected.value)


def test_too_many_lists_or_strings_are_refused() -> None:
    """A million of them would block other requests for most of a second."""
    for one in (b"[]", b"{}", b"[[1],[2,3]]", b'"a"'):
        with pytest.raises(TooLarge, match="values outside of regular arrays of numbers; at most 500000"):
            large_json.loads(b'{"a":[%b]}' % b",".join([one] * 250_001), reservation())


async def turns_during(read: Callable[[bytes], Any], body: bytes) -> int:
    """How often the event loop runs while a thread reads the body."""
    began, ended = threading.Event(), threading.Event()

    def watched(body: bytes) -> Any:
        began.set()
        try:
            return read(body)
        finally:
            ended.set()

    turns = 0
    with ThreadPoolExecutor(1) as threads:
        reading = asyncio.create_task(offload(MemoryBudget(10**9, threads).reservation(), len(body), watched, body))
        while not ended.is_set():
            await asyncio.sleep(0.001)
            turns += began.is_set() and not ended.is_set()
        await reading
    return turns


@pytest.mark.parametrize("shape", [(60, 100, 400, 1), (20, 200_000)])
async def test_the_event_loop_runs_while_a_large_body_is_read(shape: tuple[int, ...]) -> None:
    body = json.dumps({"instances": RANDOM.integers(0, 256, shape).tolist()}).encode()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)  # orjson, which never releases the lock, gives about 2 turns
    try:
        assert await turns_during(lambda body: body_codec.document(body, reservation()), body) > 15
    finally:
        sys.setswitchinterval(interval)


def filled(document: Any) -> bytes:
    """The document with white space wherever JSON allows it."""
    text = json.dumps(document, indent=1)
    return text.replace("\n", "\n" + " " * (900_000 // text.count("\n"))).encode()


FORMS: dict[str, tuple[str, dict[str, Any], Callable[[Any], Any]]] = {
    "rows": ("/v1/models/line:predict", {"instances": np.arange(384.0).reshape(128, 3).tolist()}, lambda it: it),
    "named rows": (
        "/v1/models/line:predict",
        {"instances": [{"x": [1, 2, number], "shift": [number]} for number in range(4)], "signature_name": "both"},
        lambda it: it,
    ),
    "columns": ("/v1/models/line:predict", {"inputs": {"x": [[1, 2, 3.5]] * 128}}, lambda it: it),
    "pixels": ("/v1/models/shade:predict", {"instances": [[[[9]] * 4] * 4] * 20}, lambda it: it),
    "Open Inference Protocol": (
        "/v2/models/line/infer",
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [128, 3], "data": [[1, 2, 3]] * 128}]},
        lambda it: it,
    ),
    "a series": (
        "/v1/models/trend:forecast",
        {"history": [1, 2, 3, 4.5] * 90, "horizon": 2},
        lambda it: it["forecasts"],
    ),
    "rows of series": (
        "/v1/models/trend:forecast",
        {"history": [[1, 2, 3, 4]] * 99, "horizon": 2},
        lambda it: it["forecasts"],
    ),
    "table rows": ("/v1/models/price:predict", {"features": [[4, 10]] * 120}, lambda it: it["predictions"]),
    "signals": ("/v1/models/pulse:predict", {"signal": [[1, 2, 3, 4]] * 60}, lambda it: it["predictions"]),
    "time series": (
        "/v1/timeseries/forecast",
        {
            "model": "trend",
            "inputs": [{"type": "univariate_time_series", "name": "a", "series": [1] * 200, "frequency": "D"}],
            "options": {"horizon": 2},
        },
        lambda it: it["outputs"][0]["content"],
    ),
    "a fraction for a whole number": (
        "/v1/models/shade:predict",
        {"instances": [[[[9.5]] * 4] * 4] * 20},
        lambda it: (it["error"], "whole numbers (uint8), but the number 9.5" in it["error"] or 1 / 0),
    ),
    "out of range": ("/v1/models/shade:predict", {"instances": [[[[256]] * 4] * 4] * 20}, lambda it: it["error"]),
    "too large": ("/v1/models/line:predict", {"instances": [[1e39, 1, 2]] * 99}, lambda it: it["error"]),
    "numbers for text": (
        "/v1/models/line:predict",
        {"inputs": [7] * 128, "signature_name": "describe"},
        lambda it: "must hold strings" in it["error"] or 1 / 0,
    ),
    "a list for a type's name": (
        "/v2/models/line/infer",
        {"inputs": [{"name": "x", "datatype": [1] * 200, "shape": [1, 3], "data": [[1, 2, 3]]}]},
        lambda it: it["error"],
    ),
    "a list for a format": (
        "/v1/embeddings",
        {"model": "shade", "input": "data:,", "encoding_format": [1] * 200},
        lambda it: it["error"],
    ),
    "another key": ("/v1/models/trend:forecast", {"histories": [1] * 200}, lambda it: it["error"]),
    "examples": ("/v1/models/line:classify", {"examples": [{"x": [1, 0.5] * 100}]}, lambda it: it["error"]),
}


@pytest.mark.parametrize("name", FORMS)
def test_large_and_small_bodies_get_the_same_answer(http: httpx.Client, name: str) -> None:
    path, document, part = FORMS[name]
    headers = {"content-type": "application/json"}
    small, big = json.dumps(document).encode(), filled(document)
    assert len(small) < LARGE < len(big) <= 1_000_000
    answers = [http.post(path, content=body, headers=headers) for body in (small, big)]
    assert answers[0].status_code == answers[1].status_code
    assert part(answers[0].json()) == part(answers[1].json())


def test_pixels_of_a_medium_body_become_an_array() -> None:
    """Lists of one number take ten times the memory of an array, and twice the time."""
    pixels = RANDOM.integers(0, 256, (1, 28, 28, 1)).tolist()
    for rows, expected in ((pixels, np.ndarray), (RANDOM.normal(size=(4, 256)).tolist(), list)):
        body = json.dumps({"instances": rows}).encode()
        assert len(body) < LARGE
        read = body_codec.document(body, reservation())["instances"]
        assert isinstance(read, expected)
        assert plain(read) == rows


def test_a_context_counts_once_for_each_call() -> None:
    keys = {"context": {f"f{number}": 1 for number in range(10_000)}, "examples": [{}] * 20_000}
    with pytest.raises(TooLarge, match="bytes of memory when it is decoded"):
        tf_examples.read(keys, 128, reservation(50_000_000))
