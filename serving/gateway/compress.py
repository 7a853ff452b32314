"""Compressed bodies and answers: gzip, deflate and br.

A body is decompressed piece by piece and never beyond the limit, so that a small body which would become a huge one
costs no more than the limit. Answers are compressed only where the caller accepts it and they are large enough.
"""

import functools
import zlib
from collections.abc import Callable

import brotli

from serving.gateway.errors import BadDocument, TooLarge, UnsupportedMedia

#: Answers below so many bytes go as they are.
WORTH = 4096
_WINDOWS = {"gzip": 31, "deflate": 15}
#: The best first. Levels are low: time counts more than the last percent.
_WAYS: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda body: brotli.compress(body, quality=3),
    "gzip": lambda body: zlib.compress(body, 1, 31),
}
_COMPRESSED_TYPES = ("application/json", "text/")


def decompressed(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """A body without its Content-Encoding.

    Raises:
        UnsupportedMedia: the encoding is another. TooLarge: it becomes more than ``max_bytes``.
        BadDocument: it is not what the encoding says, or not whole.
    """
    encoding = encoding.strip().lower()
    try:
        match encoding:
            case "gzip" | "x-gzip" | "deflate":
                plain, whole = _inflated(body, _WINDOWS[encoding.removeprefix("x-")], max_bytes)
            case "br":
                plain, whole = _unbrotlied(body, max_bytes)
            case _:
                raise UnsupportedMedia(f"content encoding {encoding!r} is not read here; gzip, deflate and br are")
    except (zlib.error, brotli.error) as error:
        raise BadDocument(f"the body is not {encoding}, as its Content-Encoding says: {error}") from None
    if len(plain) > max_bytes:
        raise TooLarge(f"the body has more than {max_bytes} bytes when it is decompressed")
    if not whole:
        raise BadDocument(f"the body is {encoding} that is cut off or goes on after its end")
    return plain


def _inflated(body: bytes, window: int, max_bytes: int) -> tuple[bytes, bool]:
    stream = zlib.decompressobj(window)
    plain = stream.decompress(body, max_bytes + 1)
    return plain, stream.eof and not stream.unused_data


def _unbrotlied(body: bytes, max_bytes: int) -> tuple[bytes, bool]:
    stream = brotli.Decompressor()
    plain = stream.process(body, output_buffer_limit=max_bytes + 1)
    while len(plain) <= max_bytes and not stream.is_finished():
        more = stream.process(b"", output_buffer_limit=max_bytes + 1 - len(plain))
        if not more:
            break
        plain += more
    return plain, stream.is_finished()


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
