"""Header blocks (HPACK, RFC 7541): request headers and response headers.

Request headers never enter the dynamic table, so that the encoded bytes are the same on every connection and can be
cached. Servers send identical blocks for identical responses, so the decoder caches blocks too.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import cast

import hpack

from serving.gateway.backends.tf_serving.grpc_client import frames
from serving.gateway.backends.tf_serving.grpc_client.frames import ProtocolError

Metadata = Sequence[tuple[str, str]]
"""Additional headers of a call."""

_MAX_CACHED_BLOCKS = 64
_MAX_CACHED_BLOCK_BYTES = 1024
_MAX_TIMEOUT = 10**8  # grpc-timeout has at most 8 digits

_encoder = hpack.Encoder()


@lru_cache(maxsize=512)
def request_headers(scheme: str, authority: str, path: str, timeout: str) -> bytes:
    """Encode the headers of a unary call (grpc/doc/PROTOCOL-HTTP2.md, Request-Headers)."""
    return encode_metadata(
        [
            (":method", "POST"),
            (":scheme", scheme),
            (":path", path),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "vitrine-gateway"),
            ("grpc-timeout", timeout),
        ]
    )


def encode_metadata(metadata: Metadata) -> bytes:
    """Encode headers without the dynamic table."""
    return _encoder.encode([(name, value, True) for name, value in metadata])


def grpc_timeout(seconds: float) -> str:
    """Format a ``grpc-timeout``, rounded up to two significant digits.

    Rounding makes header blocks repeat, so that both sides can cache them.
    """
    milliseconds = max(1, math.ceil(seconds * 1000))
    step: int = 10 ** max(0, len(str(milliseconds)) - 2)
    rounded = -(-milliseconds // step) * step
    return f"{rounded}m" if rounded < _MAX_TIMEOUT else f"{rounded // 1000}S"


class HeaderDecoder:
    """Decodes the header blocks of one connection."""

    def __init__(self, max_bytes: int) -> None:
        """``max_bytes`` limits a decoded header list, counted as for SETTINGS_MAX_HEADER_LIST_SIZE."""
        self._max_bytes = max_bytes
        self._decoder = hpack.Decoder(max_header_list_size=max_bytes)
        self._cache: dict[bytes, Mapping[str, str]] = {}  # valid while the decoder's dynamic table does not change

    def decode(self, block: bytes) -> Mapping[str, str]:
        """Decode a complete header block. The last value of a repeated header counts.

        Raises:
            ProtocolError: the block is not valid HPACK or too large.
        """
        headers = self._cache.get(block)
        return self._decode(block) if headers is None else headers

    def _decode(self, block: bytes) -> Mapping[str, str]:
        table = self._decoder.header_table.dynamic_entries
        before = len(table), table[0] if table else None
        try:
            pairs = cast(list[tuple[bytes, bytes]], self._decoder.decode(block, raw=True))
        except hpack.OversizedHeaderListError:
            raise ProtocolError(frames.ENHANCE_YOUR_CALM, f"headers exceed {self._max_bytes} bytes") from None
        except hpack.HPACKError as error:
            raise ProtocolError(frames.COMPRESSION_ERROR, str(error)) from None
        headers = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in pairs}
        table = self._decoder.header_table.dynamic_entries
        table_size_update = block[:1] and 0x20 <= block[0] < 0x40
        same = not table_size_update and before[0] == len(table) and (not table or before[1] is table[0])
        if not same or len(self._cache) >= _MAX_CACHED_BLOCKS:
            self._cache.clear()
        if same and len(block) <= _MAX_CACHED_BLOCK_BYTES:
            self._cache[block] = headers
        return headers
