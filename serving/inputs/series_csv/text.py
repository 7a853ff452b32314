"""Decode a text file: UTF-8, UTF-16 and UTF-32, or else Windows-1252. Refuse files that are no text."""

import codecs
from collections.abc import Iterator

from serving.inputs.series_csv.errors import SeriesFileError

_BOMS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_BINARY = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook (.xlsx)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ", "compressed by xz"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
)


def decode(content: bytes) -> tuple[str, str | None]:
    """Return the text, and the encoding's name if it is another than UTF-8.

    Raises:
        SeriesFileError: the content is empty, of another format, damaged, or has NUL characters.
    """
    for magic, what in _BINARY:
        if content.startswith(magic):
            raise SeriesFileError(f"is {what}, not a CSV; {_remedy(what)}")
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), None) or _without_mark(content)
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding:
            raise SeriesFileError(f"is not valid {encoding.upper()}: {error.reason}; save it as UTF-8") from None
        encoding, text = "Windows-1252", content.decode("cp1252", errors="replace")
    if "\0" in text:
        line = sum(1 for _ in lines(text[: text.index("\0") + 1]))
        raise SeriesFileError("a NUL character; the file is damaged or no text", line)
    start = text.lstrip()[:200].lower()
    if not start:
        raise SeriesFileError("is empty; a header and one row for each time are expected")
    if start.startswith("<") and (start.startswith(("<!doctype", "<html", "<?xml")) or "</" in text[:20_000]):
        raise SeriesFileError("is a web page or XML, not a CSV; download the data itself, or save it as CSV")
    if start.startswith(("{", "[")):
        raise SeriesFileError("is JSON, not a CSV; convert it to a header and one row for each time")
    return text, encoding.upper().replace("WINDOWS", "Windows") if encoding and encoding != "utf-8-sig" else None


def lines(text: str) -> Iterator[str]:
    """Yield the lines with their ends: LF, CR LF or CR, and no other character."""
    start, returns = 0, "\r" in text
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        back = text.find("\r", start, end) if returns else -1
        if back >= 0:
            end = back + (2 if text.startswith("\n", back + 1) else 1)
        yield text[start:end]
        start = end


def _without_mark(content: bytes) -> str | None:
    """Recognise UTF-16 without a byte order mark: every second byte of ASCII text is 0."""
    head = content[:2_000]
    if len(head) >= 4 and head[1::2].count(0) > 0.8 * len(head[1::2]) and not head[::2].count(0):
        return "utf-16-le"
    if len(head) >= 4 and head[::2].count(0) > 0.8 * len(head[::2]) and not head[1::2].count(0):
        return "utf-16-be"
    return None


def _remedy(what: str) -> str:
    return "unpack it first" if "compressed" in what else "save or export the table as CSV"
