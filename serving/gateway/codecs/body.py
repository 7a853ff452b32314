"""A request body by its content type: encoded pictures, one array, or a JSON object."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from numpy.typing import NDArray

from serving.gateway.codecs import large_json as large
from serving.gateway.codecs import multipart
from serving.gateway.codecs import tensor_json as tensors
from serving.gateway.errors import BadDocument, UnsupportedMedia
from serving.gateway.http.memory_budget import Reservation
from serving.inputs import npy

PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif")
NPY = "application/x-npy"
_ALIASES = {
    "application/npy": NPY,
    "text/json": "application/json",
}
_BINARY = frozenset({NPY, "multipart/form-data"})
#: Types that clients send by default (curl -d, a browser's fetch of a string, S3). The bytes decide.
_UNSAID = frozenset(
    {
        "",
        *multipart.OCTETS,
        "application/x-www-form-urlencoded",
        "text/plain",
    }
)
_AS_FLOAT32 = 4  # bytes of a number, which most models take


@dataclass(slots=True)
class EncodedPictures:
    """Encoded pictures. ``many`` is whether the caller wrote a list."""

    encoded: list[bytes]
    many: bool = False


@dataclass(slots=True)
class ArrayBody:
    array: NDArray[Any]


@dataclass(slots=True)
class JsonDocument:
    """A JSON object."""

    keys: dict[str, Any]


Payload = EncodedPictures | ArrayBody | JsonDocument


def read(body: bytes, content_type: str, max_parts: int, memory: Reservation, plain: bool = False) -> Payload:
    """What a body holds. What is made of it stays reserved in ``memory``.

    Args:
        plain: whether the model takes JSON alone. JSON then needs no content type, as with TensorFlow Serving.

    Raises:
        UnsupportedMedia: the content type is none of those that are read here.
        BadDocument: malformed JSON, multipart or npy. TooLarge, Overloaded: see :func:`document`.
    """
    media, _, parameters = content_type.partition(";")
    media = media.strip().lower()
    media = _ALIASES.get(media, media)
    if media == "multipart/form-data":
        return EncodedPictures(multipart.files(body, parameters, max_parts, memory), many=True)
    if multipart.is_written_in(body):
        raise BadDocument(
            f"the body is multipart, but its content type is {media[:80]!r}; leave that header to the HTTP library, "
            "which writes multipart/form-data with the boundary"
        )
    if media.startswith("image/"):  # its bytes say of what format it is, more reliably than its many names
        return EncodedPictures([body])
    if media == "application/json" or media.endswith("+json") or (plain and media not in _BINARY):
        return JsonDocument(document(body, memory, tensors.is_request))
    if media == NPY:
        return _array(body, memory)
    if media in _UNSAID:
        if body.startswith(npy.MAGIC):
            return _array(body, memory)
        if body.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"["):
            return JsonDocument(document(body, memory, tensors.is_request))
        return EncodedPictures([body])
    raise UnsupportedMedia(
        f"content type {media!r} is not read here; send a picture ({', '.join(PICTURE_TYPES)}), multipart/form-data, "
        f"application/json or {NPY}"
    )


def _array(body: bytes, memory: Reservation) -> ArrayBody:
    memory.hold(len(body))  # it is copied where its byte order is another
    try:
        array = npy.read(body)
    except npy.NpyError as error:
        raise BadDocument(str(error)) from None
    memory.hold(_AS_FLOAT32 * array.size)
    return ArrayBody(array)


def document(
    body: bytes,
    memory: Reservation,
    not_finite: Callable[[dict[str, Any]], bool] = lambda keys: False,
    *,
    loads: Callable[[bytes, Reservation], tuple[Any, bool]] = large.loads,
) -> dict[str, Any]:
    """The JSON object in a body. ``not_finite`` says in which objects NaN, Infinity and -Infinity are taken for
    numbers, as TensorFlow Serving does; everywhere else they are no JSON. ``loads`` reads bodies for
    which :func:`large.is_worth_arrays`. A byte order mark before the object is skipped.

    Raises:
        BadDocument: not JSON, or not an object. TooLarge: hundreds of thousands of lists, objects or strings, or more
            than the memory budget. Overloaded: the memory budget is used up.
    """
    body = body.removeprefix(codecs.BOM_UTF8)  # .NET and PowerShell write it
    try:
        parsed, finite = (loads if large.is_worth_arrays(body) else large.exact)(body, memory)
    except orjson.JSONDecodeError as error:
        if not body.strip():
            raise BadDocument("JSON Parse error: The document is empty. Send a JSON object.") from None
        if multipart.has_zeros(body):
            raise BadDocument(
                "the body is not valid JSON: it has zero bytes, as pictures and UTF-16 have. Send a picture with a "
                "content type of its own, such as image/png, and JSON in UTF-8."
            ) from None
        if "UTF-8" in str(error):
            raise BadDocument(
                "the body is not valid JSON: its text is not UTF-8. Send it in UTF-8, and bytes as base64."
            ) from None
        raise BadDocument(f"the body is not valid JSON: {error}") from None
    if not finite and not (isinstance(parsed, dict) and not_finite(parsed)):
        raise BadDocument("the body is not valid JSON: a number in it is not finite; NaN and Infinity are none")
    if not isinstance(parsed, dict):
        raise BadDocument('the body must be a JSON object, such as {"b64": "…"} or {"instances": […]}')
    return parsed


def examples(body: bytes, memory: Reservation) -> dict[str, Any]:
    """The JSON object of a request of examples, which tell 1 from 1.0. Raises as :func:`document`."""
    return document(body, memory, lambda keys: True, loads=large.exact)
