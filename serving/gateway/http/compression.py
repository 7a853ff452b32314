"""Compressed bodies and answers: gzip, deflate and br.

A body is decompressed piece by piece, and each piece is reserved in the memory budget before it is kept: a small body
which would become a huge one costs no more than the limit. Answers are compressed only where the caller accepts it and
they are large enough.
"""

import functools
import zlib
from collections.abc import Callable, Iterator

import brotli

from serving.gateway.errors import BadDocument, TooLarge, UnsupportedMedia
from serving.gateway.http.memory_budget import Reservation

#: Answers below so many bytes go as they are.
WORTH = 4096
_PIECE = 65_536
_BROTLI_WINDOW = 17_000_000  # bytes: a stream may ask for a window of 16 MiB
#: The best first. Levels are low: time counts more than the last percent.
_WAYS: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda body: brotli.compress(body, quality=3),
    "gzip": lambda body: zlib.compress(body, 1, 31),
}
_COMPRESSED_TYPES = ("application/json", "text/")


def decompressed(body: bytes, encoding: str, max_bytes: int, memory: Reservation) -> bytes:
    """A body without its Content-Encoding. The result stays reserved in ``memory``.

    Raises:
        UnsupportedMedia: the encoding is another. TooLarge: it becomes more than ``max_bytes``.
        BadDocument: it is not what the encoding says, or not whole. Overloaded: the memory budget is used up.
    """
    encoding = encoding.strip().lower()
    decoder = _DECODERS.get(encoding.removeprefix("x-") if encoding == "x-gzip" else encoding)
    if decoder is None:
        raise UnsupportedMedia(f"content encoding {encoding!r} is not read here; gzip, deflate and br are")
    pieces: list[bytes] = []
    size = 0
    window = _BROTLI_WINDOW if encoding == "br" else 0
    memory.hold(window)
    try:
        for piece in decoder(body):
            size += len(piece)
            if size > max_bytes:
                raise TooLarge(f"the body has more than {max_bytes} bytes when it is decompressed")
            memory.hold(len(piece))
            pieces.append(piece)
    except (zlib.error, brotli.error) as error:
        raise BadDocument(f"the body is not {encoding}, as its Content-Encoding says: {error}") from None
    except _NotWhole:
        raise BadDocument(f"the body is {encoding} that is cut off or goes on after its end") from None
    memory.release(window)
    return memory.joined(pieces)


class _NotWhole(Exception):
    """The data ends before the stream does, or goes on after it."""


def _inflated(body: bytes, window: int) -> Iterator[bytes]:
    stream = zlib.decompressobj(window)
    for start in range(0, len(body), _PIECE):
        if stream.eof:
            raise _NotWhole
        data = body[start : start + _PIECE]
        while data:
            yield stream.decompress(data, _PIECE)
            data = stream.unconsumed_tail
    while not stream.eof and (piece := stream.decompress(b"", _PIECE)):  # what the last piece still holds
        yield piece
    if not stream.eof or stream.unused_data:
        raise _NotWhole


def _unbrotlied(body: bytes) -> Iterator[bytes]:
    stream = brotli.Decompressor()
    for start in range(0, len(body), _PIECE):
        yield stream.process(body[start : start + _PIECE], output_buffer_limit=_PIECE)
        while not stream.can_accept_more_data():
            yield stream.process(b"", output_buffer_limit=_PIECE)
    if not stream.is_finished():
        raise _NotWhole


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": lambda body: _inflated(body, 31),
    "deflate": lambda body: _inflated(body, 15),
    "br": _unbrotlied,
}


def way(accepted: str, content_type: str) -> str | None:
    """How an answer of that type is compressed for who sent that Accept-Encoding; None for not at all."""
    return _preferred(accepted) if accepted and content_type.startswith(_COMPRESSED_TYPES) else None


def compressed(body: bytes, way: str) -> bytes:
    """The body by a way that :func:`way` said."""
    return _WAYS[way](body)


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
    best = max(_WAYS, key=lambda name: weights.get(name, anything))  # of equals the first
    return best if weights.get(best, anything) > 0 else None
