"""Header blocks and the encoding of ``grpc-timeout``."""

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.backends.tf_serving.grpc_client import frames
from serving.gateway.backends.tf_serving.grpc_client.frames import ProtocolError
from serving.gateway.backends.tf_serving.grpc_client.headers import (
    HeaderDecoder,
    encode_metadata,
    grpc_timeout,
    request_headers,
)

TEXT = st.text("abcdefgh-", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "1m"), (0.0001, "1m"), (0.25, "250m"), (0.2501, "260m"), (3.21, "3300m"), (1e6, "1000000S")],
)
def test_timeout_is_rounded_up_to_two_digits(seconds: float, expected: str) -> None:
    assert grpc_timeout(seconds) == expected


def test_request_headers_do_not_depend_on_the_connection() -> None:
    block = request_headers("http", "models:8500", "/a.B/C", "1000m") + encode_metadata([("traceparent", "00-1")])
    for _ in range(2):
        decoder = hpack.Decoder()
        headers = dict(decoder.decode(block))
        assert not decoder.header_table.dynamic_entries
    assert headers[":path"] == "/a.B/C" and headers["grpc-timeout"] == "1000m" and headers["traceparent"] == "00-1"


@given(st.lists(st.tuples(st.lists(st.tuples(TEXT, TEXT), max_size=3), st.sampled_from([None, 0, 64, 4096]))))
def test_cached_blocks_follow_the_dynamic_table(blocks: list[tuple[list[tuple[str, str]], int | None]]) -> None:
    encoder, cached, plain = hpack.Encoder(), HeaderDecoder(10_000), hpack.Decoder()
    for headers, table_size in blocks:
        if table_size is not None:
            encoder.header_table_size = table_size
        for _ in range(3):
            block = encoder.encode(headers)
            assert cached.decode(block) == dict(plain.decode(block))


@pytest.mark.parametrize(
    ("block", "code"),
    [(b"\xff\xff", frames.COMPRESSION_ERROR), (b"\x88" * 10_000, frames.ENHANCE_YOUR_CALM)],
)
def test_invalid_blocks(block: bytes, code: int) -> None:
    with pytest.raises(ProtocolError) as failed:
        HeaderDecoder(10_000).decode(block)
    assert failed.value.code == code
