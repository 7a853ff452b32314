"""``multipart/form-data``: its pictures, in order.

Source: RFC 7578 and RFC 2046. A preamble, folded headers and bare line feeds as line ends are accepted too. The body is
in memory already, so nothing is spooled to disk.
"""

import binascii
import re
from collections.abc import Iterator

from serving.gateway.codecs import base64
from serving.gateway.errors import BadDocument
from serving.gateway.http.memory_budget import Reservation

_MAX_BOUNDARY = 256  # bytes; RFC 2046 allows 70
_MAX_HEADERS = 8192  # bytes of one part
_DELIMITER_END = re.compile(rb"(--)|[ \t]*(\r?\n)")
_UNFINISHED = "the multipart body is unfinished: its closing boundary is missing"
_FOLD = re.compile(rb"\r?\n[ \t]+")
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))')
_PIECE = 1_048_576  # bytes: some milliseconds
_COPIES = 3  # a part's content, its text and its decoded bytes
#: Types that clients send for files of an unknown type.
OCTETS = frozenset({"application/octet-stream", "binary/octet-stream", "application/binary"})
_HEAD = 32  # bytes


def files(body: bytes, parameters: str, max_parts: int, memory: Reservation) -> list[bytes]:
    """Return the contents of all parts that are pictures; they stay reserved in ``memory``.

    Args:
        body: the request's body.
        parameters: the rest of the content type after ``multipart/form-data;``.
        max_parts: files, at most.
        memory: the request's part of the memory budget.

    Raises:
        Overloaded, TooLarge: the memory budget does not allow it.
        BadDocument: no boundary, a malformed or unfinished body, a part that is not a file, no file, or too many.
    """
    boundary = _parameters(f";{parameters}").get("boundary", "").encode("latin-1").rstrip()
    if not boundary:
        raise BadDocument(
            "multipart/form-data needs a boundary in its content type; let the HTTP library set that header"
        )
    if len(boundary) > _MAX_BOUNDARY:
        raise BadDocument(
            f"the boundary of multipart/form-data has {len(boundary)} bytes; at most {_MAX_BOUNDARY} are accepted"
        )
    memory.hold(_COPIES * len(body))
    found: list[bytes] = []
    for number, (headers, content) in enumerate(_parts(body, boundary)):
        if number == max_parts:
            raise BadDocument(f"the multipart body holds more than {max_parts} files")
        picture = _picture(headers, content)
        if picture is not None:
            found.append(picture)
    if not found:
        raise BadDocument("the multipart body holds no file; send pictures as files, as curl -F picture=@shoe.jpg does")
    return found


def is_multipart(body: bytes) -> bool:
    """Whether a body begins like a multipart body."""
    return body.startswith(b"--") and b"content-disposition:" in body[:1024].lower()


def has_zeros(data: bytes) -> bool:
    """Whether the first bytes include a zero, as in pictures but not in text."""
    return b"\0" in data[:_HEAD]


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """Yield the headers, by lower-case name, and the content of each part."""
    mark = b"--" + boundary
    at = 0 if body.startswith(mark) else body.find(b"\n" + mark) + 1
    if not at and not body.startswith(mark):
        if body.strip():
            raise BadDocument(f"the multipart body is malformed: it lacks the boundary {boundary[:70]!r}")
        raise BadDocument(_UNFINISHED)
    line_end = b""  # the first delimiter's holds for all: a picture may contain the other one
    while True:
        delimiter = _DELIMITER_END.match(body, at + len(mark))
        if delimiter is None:
            after = body[at + len(mark) : at + len(mark) + 20]
            if after in (b"", b"-", b"\r"):
                raise BadDocument(_UNFINISHED)
            raise BadDocument(
                f"the multipart body is malformed: {after!r} follows its boundary, not the end of the line"
            )
        if delimiter[1]:
            return
        line_end = line_end or delimiter[2]
        start = delimiter.end()
        end = _find(body, line_end + mark, start - len(line_end))
        if end < 0:
            raise BadDocument(_UNFINISHED)
        yield _part(body, start, end, line_end)
        at = end + len(line_end)


def _find(body: bytes, mark: bytes, start: int) -> int:
    """Find as ``body.find`` does, but in pieces: one search may hold the global lock for 0.3 s."""
    for first in range(start, len(body), _PIECE):
        found = body.find(mark, first, first + _PIECE + len(mark) - 1)
        if found >= 0:
            return found
    return -1


def _part(body: bytes, start: int, end: int, line_end: bytes) -> tuple[dict[str, str], bytes]:
    if body.startswith(line_end, start):
        return {}, body[start + len(line_end) : end]
    head = body.find(line_end * 2, start, min(end + len(line_end), start + _MAX_HEADERS))
    if head < 0:
        raise BadDocument(
            f"the multipart body is malformed: the headers of a part do not end in an empty line within {_MAX_HEADERS} "
            "bytes"
        )
    headers = {}
    for line in _FOLD.sub(b" ", body[start:head]).split(line_end):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise BadDocument(f"the multipart body is malformed: {line[:40]!r} is not a header of a part")
        headers[name.strip().lower()] = value.strip()
    return headers, body[head + 2 * len(line_end) : end]


def _picture(headers: dict[str, str], content: bytes) -> bytes | None:
    """Return the picture of a part; None for a file field of a web page without a chosen file."""
    options = _parameters(headers.get("content-disposition", ""))
    field = f"multipart field {options.get('name', '').encode('latin-1').decode('utf-8', 'replace')[:80]!r}"
    content = _decoded(content, headers.get("content-transfer-encoding", "binary").lower(), field)
    if options.get("filename") == "" and not content:
        return None
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    named = any(option.partition("*")[0] == "filename" for option in options)
    if named or media in OCTETS or media.startswith("image/") or has_zeros(content):
        return content
    kind = f" of type {media[:80]}" if media else ""
    raise BadDocument(f"{field}{kind} is not a file; send pictures as files, and options in the URL")


def _decoded(content: bytes, encoding: str, field: str) -> bytes:
    match encoding:
        case "binary" | "8bit" | "7bit":
            return content
        case "base64":
            return base64.decode(content.decode("latin-1"), field)
        case "quoted-printable":
            return binascii.a2b_qp(content)
    raise BadDocument(
        f"{field} has Content-Transfer-Encoding {encoding[:40]!r}; use binary, base64 or quoted-printable"
    )


def _parameters(header: str) -> dict[str, str]:
    """Return the parameters of a header by lower-case name."""
    found = {}
    for name, quoted, bare in _PARAMETER.findall(header):
        found[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare.strip()
    return found
