"""JSON request bodies: reading them, and a limit of the memory that they take meanwhile."""

import codecs
import contextlib
import json
from collections.abc import Iterator
from typing import Any, Final

from serving.model_server.errors import invalid_argument, unavailable
from serving.model_server.rest.tensors import format_error
from serving.tfs_api.rest_json import documents

#: RapidJSON's words by part of orjson's, first match; any other error is an invalid value.
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
    """A document would take more memory than all of them may."""


class DocumentMemory:
    """The memory of all documents that are read at one time."""

    def __init__(self, most: int) -> None:
        """``most`` is in bytes."""
        self._most = most
        self._held = 0

    @contextlib.contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Reserve so many bytes.

        Raises:
            DocumentTooLarge: the limit is lower.
            ServingError: other documents hold too much.
        """
        if size > self._most:
            raise DocumentTooLarge(
                f"the body needs {size} bytes of memory when it is read; at most {self._most} are available. Send "
                "fewer rows, or use gRPC"
            )
        if self._held + size > self._most:
            raise unavailable("the server reads too many large requests now; try again later")
        self._held += size
        try:
            yield
        finally:
            self._held -= size


def read(body: bytes) -> dict[str, Any]:
    """Return the object in a body; a byte order mark before it is skipped.

    Raises:
        INVALID_ARGUMENT: the body holds no JSON object.
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
