"""A request body by its content type: encoded pictures, one array, or a JSON object."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from numpy.typing import NDArray

from serving.gateway.decode import large, multipart, npy, tensors
from serving.gateway.errors import BadDocument, UnsupportedMedia

PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif")
NPY = "application/x-npy"
_ALIASES = {
    "application/npy": NPY,
    "text/json": "application/json",
}
_BINARY = frozenset({NPY, "multipart/form-data"})
#: What clients send without thinking of it (curl -d, a browser's fetch of a string) and what S3 says of files of no
#: type: the bytes say what they are.
_UNSAID = frozenset(
    {
        "",
        "application/octet-stream",
        "binary/octet-stream",
        "application/binary",
        "application/x-www-form-urlencoded",
        "text/plain",
    }
)
_NOT_FINITE = re.compile("-?(NaN|Infinity)")
_BOM = b"\xef\xbb\xbf"  # which .NET's and PowerShell's encoders write before UTF-8


@dataclass(slots=True)
class Pictures:
    """Encoded pictures. ``many`` is whether the caller wrote a list."""

    encoded: list[bytes]
    many: bool = False


@dataclass(slots=True)
class Array:
    array: NDArray[Any]


@dataclass(slots=True)
class Document:
    """A JSON object."""

    keys: dict[str, Any]


Payload = Pictures | Array | Document


def read(body: bytes, content_type: str, max_parts: int, plain: bool = False) -> Payload:
    """What a body holds.

    Args:
        plain: whether the model takes JSON alone. JSON then needs no content type, as with TensorFlow Serving.

    Raises:
        UnsupportedMedia: the content type is none of those that are read here.
        BadDocument: malformed JSON, multipart or npy.
    """
    media, _, parameters = content_type.partition(";")
    media = media.strip().lower()
    media = _ALIASES.get(media, media)
    if media.startswith("image/"):  # its bytes say of what format it is, more reliably than its many names
        return Pictures([body])
    if media == "application/json" or media.endswith("+json") or (plain and media not in _BINARY):
        return Document(document(body, tensors.is_request))
    if media == NPY:
        return Array(npy.read(body))
    if media == "multipart/form-data":
        return Pictures(multipart.files(body, parameters, max_parts), many=True)
    if media in _UNSAID:
        if body.startswith(npy.MAGIC):
            return Array(npy.read(body))
        if body.removeprefix(_BOM).lstrip()[:1] in (b"{", b"["):
            return Document(document(body, tensors.is_request))
        return Pictures([body])
    raise UnsupportedMedia(
        f"content type {media!r} is not read here; send a picture ({', '.join(PICTURE_TYPES)}), multipart/form-data, "
        f"application/json or {NPY}"
    )


def document(
    body: bytes,
    not_finite: Callable[[dict[str, Any]], bool] = lambda keys: False,
    *,
    loads: Callable[[bytes], Any] = large.loads,
) -> dict[str, Any]:
    """The JSON object in a body. ``not_finite`` says in which objects NaN, Infinity and -Infinity are taken for
    numbers, as TensorFlow Serving does; everywhere else they are no JSON. ``loads`` reads bodies that are large. A byte
    order mark before the object is skipped.

    Raises:
        BadDocument: not JSON, or not an object. TooLarge: hundreds of thousands of lists, objects or strings.
    """
    body = body.removeprefix(_BOM)
    try:
        parsed = orjson.loads(body) if len(body) < large.LARGE else loads(body)
    except orjson.JSONDecodeError as error:
        if not body.strip():
            raise BadDocument("JSON Parse error: The document is empty. Send a JSON object.") from None
        if _NOT_FINITE.match(error.doc, error.pos):  # Python's json writes them
            parsed = _with_words(body)
            if isinstance(parsed, dict) and not_finite(parsed):
                return parsed
            raise BadDocument(
                "the body is not valid JSON: a number in it is not finite; NaN and Infinity are none"
            ) from None
        raise BadDocument(f"the body is not valid JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise BadDocument('the body must be a JSON object, such as {"b64": "…"} or {"instances": […]}')
    return parsed


def examples(body: bytes) -> dict[str, Any]:
    """The JSON object of a request of examples, which tell 1 from 1.0. Raises as :func:`document`."""
    return document(body, lambda keys: True, loads=large.exact)


def _with_words(body: bytes) -> Any:
    """What Python's own parser makes of it, which knows NaN, Infinity and -Infinity; None where it fails too, or where
    a text has half a character, as JSON can write by a lone ``\\ud800``: neither orjson nor UTF-8 knows that."""
    try:
        parsed = json.loads(body)
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
        return parsed
    except (ValueError, RecursionError):
        return None
