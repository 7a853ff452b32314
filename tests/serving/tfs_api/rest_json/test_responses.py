"""Outputs as JSON text."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.tfs_api.rest_json import documents, responses


def test_predictions() -> None:
    assert responses.predictions({"y": np.float32([0.1, 2])}, finite=True) == b'{"predictions":[0.1,2.0]}'
    two = {"a": np.int64([1, 2]), "b_bytes": np.array([b"a", b"\xff"], object)}
    assert json.loads(responses.predictions(two, finite=True)) == {
        "predictions": [{"a": 1, "b_bytes": {"b64": "YQ=="}}, {"a": 2, "b_bytes": {"b64": "/w=="}}]
    }


def test_columns() -> None:
    assert responses.columns({"y": np.float32(2)}, finite=True) == b'{"outputs":2.0}'
    strings = {"a": np.array(["é".encode(), b"\xff"], object), "b": np.array([True])}
    assert json.loads(responses.columns(strings, finite=True)) == {
        "outputs": {"a": ["é", {"b64": "/w=="}], "b": [True]}
    }


def test_results() -> None:
    assert responses.classifications([[("low", 0.1), ("high", 2)]]) == b'{"results":[[["low",0.1],["high",2.0]]]}'
    assert responses.regressions(np.float32([0.1, np.nan])) == b'{"results":[0.1,NaN]}'


@pytest.mark.parametrize("finite", [True, False])
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_floats_round_trip(finite: bool, values: list[float]) -> None:
    text = responses.columns({"y": np.array(values, np.float32)}, finite=finite)
    assert np.float32(json.loads(text)["outputs"]).tolist() == values
    assert all("." in number or "e" in number for number in text.decode().strip('{}"outps:').strip("[]").split(","))


def test_nan_and_infinity_are_bare_words() -> None:
    values = np.array([math.nan, math.inf, -math.inf])
    text = responses.columns({"y": values}, finite=False)
    assert text == b'{"outputs":[NaN,Infinity,-Infinity]}'
    np.testing.assert_array_equal(documents.loads(text)["outputs"], values)


def test_memory_of_a_document() -> None:
    pictures = json.dumps({"instances": [[[[255]] * 28] * 28] * 128}, separators=(",", ":")).encode()
    assert len(pictures) < documents.memory(pictures) < 256_000_000 / 10
    for item in (b"[],", b"{},", b'{"b64":""},', b"[1,2],"):
        assert documents.memory(b'{"instances":[%b1]}' % (item * (31_000_000 // len(item)))) > 256_000_000
