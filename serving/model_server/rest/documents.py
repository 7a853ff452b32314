"""Read JSON request bodies within a memory limit."""

import codecs
import contextlib
import json
from collections.abc import Iterator
from typing import Any, Final

from serving.model_server.errors import invalid_argument, unavailable
from serving.model_server.rest.tensors import format_error
from serving.tfs_api.rest_json import documents

#: RapidJSON's message by a part of orjson's; the first match counts. Other errors are an invalid value.
_PARSE_ERRORS: Final = {
    "is empty": "The document is empty.",
    "a string key": "Missing a name for object member.",
    "':'": "Missing a colon after a name of object member.",
    "'}'": "Missing a comma or } after an object member.",
    "']'": "Missing a comma or ] after an array element.",
    "content after document": "The document root must not be followed by other values.",
    "escape": "Invalid escape character in string.",
    "exponent": "Miss exponent in number.",
    "decimal point": "Miss fraction part in number.",
    "infinity": "Number too big to be stored in double.",
}


class DocumentTooLarge(Exception):
    """A document needs more memory than the limit for all documents."""


class DocumentMemory:
    """The memory of all documents that are being processed."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = 0

    @contextlib.contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Reserve ``size`` bytes.

        Raises:
            DocumentTooLarge: ``size`` is above the limit.
            ServingError: UNAVAILABLE if other documents leave too little.
        """
        if size > self._max_bytes:
            raise DocumentTooLarge(
                f"the body needs {size} bytes of memory when it is read; at most {self._max_bytes} are available. Send "
                "fewer rows, or use gRPC"
            )
        if self._held + size > self._max_bytes:
            raise unavailable("the server is reading too many large requests; try again later")
        self._held += size
        try:
            yield
        finally:
            self._held -= size


def read(body: bytes) -> dict[str, Any]:
    """Return the object in a body; a byte order mark before it is skipped.

    Raises:
        ServingError: INVALID_ARGUMENT if the body is not a JSON object.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = documents.loads(body.removeprefix(codecs.BOM_UTF8))
    except json.JSONDecodeError as error:
        text = next((text for part, text in _PARSE_ERRORS.items() if part in error.msg), "Invalid value.")
        raise invalid_argument(f"JSON Parse error: {text} at offset: {error.pos}") from None
    if not isinstance(document, dict):
        raise format_error(document, "Is not object")
    return document
