"""Request bodies by content type: encoded pictures, one array, or a JSON object."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from numpy.typing import NDArray

from serving.gateway.codecs import large_json, multipart, tf_serving_json
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
#: Types that clients send by default (curl -d, a browser's fetch, S3). The first bytes decide.
_DEFAULT_TYPES = frozenset(
    {
        "",
        *multipart.OCTETS,
        "application/x-www-form-urlencoded",
        "text/plain",
    }
)
_FLOAT32_BYTES = 4


@dataclass(slots=True)
class EncodedPictures:
    """Encoded pictures."""

    encoded: list[bytes]


@dataclass(slots=True)
class ArrayBody:
    """The array of an npy body."""

    array: NDArray[Any]


@dataclass(slots=True)
class JsonDocument:
    """A JSON object."""

    keys: dict[str, Any]


Payload = EncodedPictures | ArrayBody | JsonDocument


def read(body: bytes, content_type: str, max_parts: int, memory: Reservation, plain: bool = False) -> Payload:
    """Read a body; memory for its content stays reserved.

    Args:
        body: the request's body.
        content_type: the header; may be empty.
        max_parts: files of a multipart body, at most.
        memory: the request's part of the memory budget.
        plain: whether the model takes only JSON, which then needs no content type, as with TensorFlow Serving.

    Raises:
        UnsupportedMedia: the content type is not supported.
        BadDocument: malformed JSON, multipart or npy. TooLarge, Overloaded: see :func:`document`.
    """
    media, _, parameters = content_type.partition(";")
    media = media.strip().lower()
    media = _ALIASES.get(media, media)
    if media == "multipart/form-data":
        return EncodedPictures(multipart.files(body, parameters, max_parts, memory))
    if multipart.is_multipart(body):
        raise BadDocument(
            f"the body is multipart, but its content type is {media[:80]!r}; let the HTTP library set that header "
            "to multipart/form-data with the boundary"
        )
    if media.startswith("image/"):  # the bytes tell the format more reliably
        return EncodedPictures([body])
    if media == "application/json" or media.endswith("+json") or (plain and media not in _BINARY):
        return JsonDocument(document(body, memory, tf_serving_json.is_request))
    if media == NPY:
        return _array(body, memory)
    if media in _DEFAULT_TYPES:
        if body.startswith(npy.MAGIC):
            return _array(body, memory)
        if body.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"["):
            return JsonDocument(document(body, memory, tf_serving_json.is_request))
        return EncodedPictures([body])
    raise UnsupportedMedia(
        f"content type {media!r} is not supported; send a picture ({', '.join(PICTURE_TYPES)}), multipart/form-data, "
        f"application/json or {NPY}"
    )


def _array(body: bytes, memory: Reservation) -> ArrayBody:
    memory.hold(len(body))  # a foreign byte order takes a copy
    try:
        array = npy.read(body)
    except npy.NpyError as error:
        raise BadDocument(str(error)) from None
    memory.hold(_FLOAT32_BYTES * array.size)
    return ArrayBody(array)


def document(
    body: bytes,
    memory: Reservation,
    not_finite: Callable[[dict[str, Any]], bool] = lambda keys: False,
    *,
    loads: Callable[[bytes, Reservation], tuple[Any, bool]] = large_json.loads,
) -> dict[str, Any]:
    """Return the JSON object of a body, which may begin with a byte order mark.

    Args:
        body: the JSON text.
        memory: the request's part of the memory budget.
        not_finite: whether NaN, Infinity and -Infinity are numbers in this object, as in TensorFlow Serving.
        loads: reads bodies for which :func:`large_json.is_worth_arrays`.

    Raises:
        BadDocument: not JSON, or not an object. TooLarge: hundreds of thousands of lists, objects or strings, or more
            than the memory budget. Overloaded: the memory budget is used up.
    """
    body = body.removeprefix(codecs.BOM_UTF8)  # from .NET and PowerShell
    try:
        parsed, finite = (loads if large_json.is_worth_arrays(body) else large_json.exact)(body, memory)
    except orjson.JSONDecodeError as error:
        if not body.strip():
            raise BadDocument("JSON Parse error: The document is empty. Send a JSON object.") from None
        if multipart.has_zeros(body):
            raise BadDocument(
                "the body is not valid JSON: it has zero bytes, as pictures and UTF-16 have. Send a picture with its "
                "content type, such as image/png, and JSON in UTF-8."
            ) from None
        if "UTF-8" in str(error):
            raise BadDocument(
                "the body is not valid JSON: its text is not UTF-8. Send text in UTF-8, and bytes as base64."
            ) from None
        raise BadDocument(f"the body is not valid JSON: {error}") from None
    if not finite and not (isinstance(parsed, dict) and not_finite(parsed)):
        raise BadDocument("the body is not valid JSON: a number in it is not finite; JSON has no NaN and no Infinity")
    if not isinstance(parsed, dict):
        raise BadDocument('the body must be a JSON object, such as {"b64": "…"} or {"instances": […]}')
    return parsed


def examples(body: bytes, memory: Reservation) -> dict[str, Any]:
    """Return the JSON object of a request with examples; keeps 1 and 1.0 apart. Raises as :func:`document`."""
    return document(body, memory, lambda keys: True, loads=large_json.exact)
