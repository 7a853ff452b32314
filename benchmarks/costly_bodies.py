"""Requests whose cost is out of proportion to their size.

Each function returns requests to send at once.
"""

import gzip
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import brotli

_BODY = 31_900_000  # bytes: just below the gateway's default limit
_TENSORS = "/v1/models/sine_rnn:predict"
_PICTURES = "/v1/models/fashion_cnn:predict"


@dataclass(frozen=True)
class Request:
    """A POST request."""

    path: str
    headers: dict[str, str]
    body: bytes


def json_bomb() -> Sequence[Request]:
    """32 MB of short lists and objects, as 47 kB of gzip."""
    return [_gzipped(filled(b'{"instances":[', b"[],1,{},", b"null]}"))]


def json_values() -> Sequence[Request]:
    """An array and 6 million words, as 47 kB of gzip."""
    return [_gzipped(filled(b'{"a":[' + b"1," * 20_000 + b'1],"instances":[', b"null,", b"null]}"))]


def nan() -> Sequence[Request]:
    """32 MB of numbers, the first of which is NaN."""
    return [_json(filled(b'{"instances":[NaN', b",0.5", b"]}"))]


def irregular() -> Sequence[Request]:
    """32 MB of numbers, and at their end a list."""
    return [_json(filled(b'{"instances":[', b"1,", b"[1]]}"))]


def regular() -> Sequence[Request]:
    """32 MB of numbers."""
    return [_json(filled(b'{"instances":[', b"255,", b"255]}"))]


def series() -> Sequence[Request]:
    """A forecast from a history of 16 million values in KServe's form."""
    start = b'{"model":"sine_rnn","options":{"horizon":3},"inputs":[{"type":"univariate_time_series","name":"a",'
    return [_json(filled(start + b'"frequency":"D","series":[', b"1,", b"1]}]}"), "/v1/timeseries/forecast")]


def string() -> Sequence[Request]:
    """32 MB of base64 with a letter that needs four bytes."""
    return [_json(filled('{"b64":"\U0001f600'.encode(), b"A", b'"}'), _PICTURES)]


def brotli_bombs() -> Sequence[Request]:
    """Four bodies of about a kilobyte that become 1 GB each."""
    packer = brotli.Compressor(quality=1, lgwin=24)
    body = b"".join([*(packer.process(bytes(1_000_000)) for _ in range(1000)), packer.finish()])
    return [Request(_TENSORS, {"content-type": "application/json", "content-encoding": "br"}, body)] * 4


def png_25mp() -> Sequence[Request]:
    """A PNG of 25 million pixels with transparency, the largest that the gateway accepts."""
    return [Request(_PICTURES, {"content-type": "image/png"}, png(4999))]


def png_50mp() -> Sequence[Request]:
    """A PNG of 50 million pixels with transparency, 212 kB."""
    return [Request(_PICTURES, {"content-type": "image/png"}, png(7071))]


def four_worst() -> Sequence[Request]:
    """Lists, numbers, a string and a PNG at once."""
    return [*json_bomb(), *regular(), *string(), *png_50mp()]


def four_regular() -> Sequence[Request]:
    """Four times 32 MB of numbers at once."""
    return [*regular()] * 4


ALL = (
    json_bomb,
    json_values,
    nan,
    irregular,
    regular,
    series,
    string,
    brotli_bombs,
    png_25mp,
    png_50mp,
    four_worst,
    four_regular,
)


def _json(body: bytes, path: str = _TENSORS) -> Request:
    return Request(path, {"content-type": "application/json"}, body)


def _gzipped(body: bytes) -> Request:
    return Request(_TENSORS, {"content-type": "application/json", "content-encoding": "gzip"}, gzip.compress(body, 9))


def filled(start: bytes, item: bytes, end: bytes) -> bytes:
    """Repeat an item in a body of nearly the size limit."""
    return start + item * ((_BODY - len(start) - len(end)) // len(item)) + end


def png(side: int) -> bytes:
    """Return a square PNG with transparency, of one colour."""
    row = b"\0" + b"\x90" * 4 * side
    packer = zlib.compressobj(9)
    content = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    made = b"\x89PNG\r\n\x1a\n"
    for name, data in (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)),
        (b"IDAT", content),
        (b"IEND", b""),
    ):
        made += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return made
