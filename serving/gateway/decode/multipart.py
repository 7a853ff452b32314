"""``multipart/form-data``: the files in it, in order. The body is in memory already, so nothing is spooled to disk."""

from typing import TYPE_CHECKING

from python_multipart.multipart import MultipartParser, parse_options_header

from serving.gateway.errors import BadDocument

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


def files(body: bytes, parameters: str, max_parts: int) -> list[bytes]:
    """The contents of all file parts.

    Args:
        parameters: what follows ``multipart/form-data;`` in the content type.

    Raises:
        BadDocument: no boundary, a malformed or unfinished body, a part that is no file, none, or too many.
    """
    boundary = parse_options_header(f"multipart/form-data;{parameters}")[1].get(b"boundary", b"")
    if not boundary:
        raise BadDocument("multipart/form-data needs a boundary in its content type")
    reader = _Files(max_parts)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(body)
        parser.finalize()
    except BadDocument:
        raise
    except Exception as error:
        raise BadDocument(f"the multipart body is malformed: {error}") from None
    if not reader.ended:
        raise BadDocument("the multipart body is unfinished: its closing boundary is missing")
    if not reader.files:
        raise BadDocument("the multipart body holds no file; send pictures as files, as curl -F picture=@shoe.jpg does")
    return reader.files


class _Files:
    """Collects parts as the parser speaks of them."""

    def __init__(self, max_parts: int) -> None:
        self.files: list[bytes] = []
        self.ended = False
        self._max_parts = max_parts
        self._content: list[bytes] = []
        self._name = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}

    def callbacks(self) -> "MultipartCallbacks":
        """For the parser alone: kept here they would point in a circle, and the files with them would wait for the
        garbage collector."""
        return {
            "on_part_begin": self._part_begin,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        if len(self.files) == self._max_parts:
            raise BadDocument(f"the multipart body holds more than {self._max_parts} files")
        self._content, self._headers = [], {}

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _part_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"filename" not in options:
            name = options.get(b"name", b"").decode("utf-8", "replace")[:80]
            raise BadDocument(
                f"multipart field {name!r} is no file; only pictures as files are read, options stand in the URL"
            )
        self.files.append(b"".join(self._content))

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _end(self) -> None:
        self.ended = True
