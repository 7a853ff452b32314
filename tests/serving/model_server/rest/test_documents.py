"""The memory that JSON documents take is reserved before they are read."""

import json

import pytest

from serving.model_server.rest import documents, rapidjson
from serving.tfs_api.status_codes import Code
from tests.serving.model_server.statuses import raises_status


def test_documents_share_their_memory() -> None:
    some = documents.Documents(1000)
    with some.held(600):
        with raises_status(Code.UNAVAILABLE), some.held(401):
            pass
        with some.held(400):
            pass
    with some.held(1000):
        pass
    with pytest.raises(documents.DocumentTooLarge, match="needs 1001 bytes of memory"), some.held(1001):
        pass


def test_the_cost_of_a_document() -> None:
    assert documents.cost(json.dumps({"instances": [[1, 2]] * 128}).encode()) == 0  # small
    pictures = json.dumps({"instances": [[[[255]] * 28] * 28] * 128}, separators=(",", ":")).encode()
    assert len(pictures) < documents.cost(pictures) < 256_000_000 / 20
    for item in (b"[],", b"{},", b'{"b64":""},', b"NaN,", b"[1,2],"):
        assert documents.cost(b'{"instances":[%b1]}' % (item * (31_000_000 // len(item)))) > 256_000_000


def test_an_error_shows_the_start_of_a_long_value() -> None:
    assert len(rapidjson.show([[]] * 1_000_000)) < 20_000
    assert len(rapidjson.show({str(number): 1 for number in range(100_000)})) < 30_000
    assert rapidjson.show([0] * 1_000_000)[:1024] == rapidjson.show([0] * 1100)[:1024]
