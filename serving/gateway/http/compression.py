"""Content encodings of request bodies (gzip, deflate, br) and responses (br, gzip).

Request bodies are decompressed piece by piece, and each piece is reserved in the memory budget before it is kept, so
that a small body that expands to a huge one costs no more than the limit. Responses are compressed if the client
accepts it and they are large enough.
"""

import functools
import zlib
from collections.abc import Callable, Iterator

import brotli

from serving.gateway.errors import BadDocument, TooLarge, UnsupportedMedia
from serving.gateway.http.memory_budget import Reservation

#: Smaller responses are not compressed.
MIN_COMPRESSED_BYTES = 4096
_PIECE = 65_536
_BROTLI_WINDOW = 17_000_000  # bytes; a stream may use a window of 16 MiB
#: In order of preference. The levels are low, because time matters more than the last percent.
_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda body: brotli.compress(body, quality=3),
    "gzip": lambda body: zlib.compress(body, 1, 31),
}
_COMPRESSED_TYPES = ("application/json", "text/")


def decompress(body: bytes, encoding: str, max_bytes: int, memory: Reservation) -> bytes:
    """Decompress a request body. The result stays reserved in ``memory``.

    Raises:
        UnsupportedMedia: unknown encoding.
        TooLarge: more than ``max_bytes`` after decompression.
        BadDocument: the body does not have this encoding, or is truncated.
        Overloaded: the memory budget is used up.
    """
    encoding = encoding.strip().lower()
    decoder = _DECODERS.get(encoding.removeprefix("x-") if encoding == "x-gzip" else encoding)
    if decoder is None:
        raise UnsupportedMedia(f"content encoding {encoding!r} is not supported; use gzip, deflate or br")
    pieces: list[bytes] = []
    size = 0
    window = _BROTLI_WINDOW if encoding == "br" else 0
    memory.hold(window)
    try:
        for piece in decoder(body):
            size += len(piece)
            if size > max_bytes:
                raise TooLarge(f"the body has more than {max_bytes} bytes after decompression")
            memory.hold(len(piece))
            pieces.append(piece)
    except (zlib.error, brotli.error) as error:
        raise BadDocument(f"the body is not valid {encoding}, its Content-Encoding: {error}") from None
    except _WrongLength:
        raise BadDocument(f"the {encoding} body is truncated or continues after its end") from None
    memory.release(window)
    return memory.joined(pieces)


class _WrongLength(Exception):
    """The data ends before the stream, or continues after it."""


def _inflate(body: bytes, window: int) -> Iterator[bytes]:
    stream = zlib.decompressobj(window)
    for start in range(0, len(body), _PIECE):
        if stream.eof:
            raise _WrongLength
        data = body[start : start + _PIECE]
        while data:
            yield stream.decompress(data, _PIECE)
            data = stream.unconsumed_tail
    while not stream.eof and (piece := stream.decompress(b"", _PIECE)):  # rest of the last piece
        yield piece
    if not stream.eof or stream.unused_data:
        raise _WrongLength


def _decompress_brotli(body: bytes) -> Iterator[bytes]:
    stream = brotli.Decompressor()
    for start in range(0, len(body), _PIECE):
        yield stream.process(body[start : start + _PIECE], output_buffer_limit=_PIECE)
        while not stream.can_accept_more_data():
            yield stream.process(b"", output_buffer_limit=_PIECE)
    if not stream.is_finished():
        raise _WrongLength


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": lambda body: _inflate(body, 31),
    "deflate": lambda body: _inflate(body, 15),
    "br": _decompress_brotli,
}


def choose_encoding(accepted: str, content_type: str) -> str | None:
    """Choose the encoding of a response by the Accept-Encoding header; None for no compression."""
    return _preferred(accepted) if accepted and content_type.startswith(_COMPRESSED_TYPES) else None


def compress(body: bytes, encoding: str) -> bytes:
    """Compress a response body with an encoding that :func:`choose_encoding` returned."""
    return _ENCODERS[encoding](body)


@functools.lru_cache(maxsize=256)
def _preferred(accepted: str) -> str | None:
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, parameters = part.partition(";")
        _, _, weight = parameters.partition("=")
        try:
            weights[name.strip()] = float(weight) if parameters else 1.0
        except ValueError:
            continue
    anything = weights.get("*", 0.0)
    best = max(_ENCODERS, key=lambda name: weights.get(name, anything))  # the first of equals
    return best if weights.get(best, anything) > 0 else None
