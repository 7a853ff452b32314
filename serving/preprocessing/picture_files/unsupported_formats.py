"""Recognise unsupported formats and damaged files, and say what to do about each."""

from serving.preprocessing.picture_files.header import PictureError

_READ = "PNG, JPEG, WebP, BMP or GIF"
_CONVERT = "convert it to PNG or JPEG"
_PHONE = "convert it to JPEG; an iPhone takes JPEGs with Settings → Camera → Formats → Most Compatible"
_RAW = "export it as JPEG from the camera or its software"
_PRINT = "export the page or picture as PNG"
_BINARY = "send the file's bytes as they are, opened and transferred in binary mode"

# First bytes, the format's name, and what to do.
_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (b"\xff\x0a", "a JPEG XL picture", _CONVERT),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL picture", _CONVERT),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 picture", _CONVERT),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _CONVERT),
    (b"II\xbc\x01", "a JPEG XR picture", _CONVERT),
    (b"II\x2a\x00\x10\x00\x00\x00CR", "a Canon raw picture (CR2)", _RAW),
    (b"IIU\x00", "a Panasonic raw picture (RW2)", _RAW),
    (b"IIRO", "an Olympus raw picture (ORF)", _RAW),
    (b"IIRS", "an Olympus raw picture (ORF)", _RAW),
    (b"MMOR", "an Olympus raw picture (ORF)", _RAW),
    (b"FUJIFILMCCD-RAW", "a Fujifilm raw picture (RAF)", _RAW),
    (b"FOVb", "a Sigma raw picture (X3F)", _RAW),
    (b"\x00MRM", "a Minolta raw picture (MRW)", _RAW),
    (b"II\x2a\x00", "a TIFF or camera raw file (DNG, NEF, ARW)", _CONVERT),
    (b"MM\x00\x2a", "a TIFF or camera raw file (DNG, NEF, ARW)", _CONVERT),
    (b"II\x2b\x00", "a BigTIFF", _CONVERT),
    (b"MM\x00\x2b", "a BigTIFF", _CONVERT),
    (b"8BPS", "a Photoshop file (PSD)", "export it as PNG or JPEG"),
    (b"gimp xcf", "a GIMP file (XCF)", "export it as PNG or JPEG"),
    (b"%PDF", "a PDF", _PRINT),
    (b"%!PS", "a PostScript file", _PRINT),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file (EPS)", _PRINT),
    (b"\x00\x00\x01\x00", "a Windows icon (ICO)", _CONVERT),
    (b"\x00\x00\x02\x00\x00\x00\x00\x00", "a TGA picture", _CONVERT),
    (b"\x00\x00\x03\x00\x00\x00\x00\x00", "a TGA picture", _CONVERT),
    (b"\x00\x00\x0a\x00\x00\x00\x00\x00", "a TGA picture", _CONVERT),
    (b"\x00\x00\x02\x00", "a Windows cursor (CUR)", _CONVERT),
    (b"icns", "an Apple icon (ICNS)", _CONVERT),
    (b"\x8aMNG", "an MNG animation", "send one frame as PNG or JPEG"),
    (b"\x8bJNG", "a JNG picture", _CONVERT),
    (b"qoif", "a QOI picture", _CONVERT),
    (b"DDS ", "a DDS texture", _CONVERT),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture", _CONVERT),
    (b"#?RADIANCE", "a Radiance HDR picture", _CONVERT),
    (b"#?RGBE", "a Radiance HDR picture", _CONVERT),
    (b"BPG\xfb", "a BPG picture", _CONVERT),
    (b"FLIF", "a FLIF picture", _CONVERT),
    (b"farbfeld", "a farbfeld picture", _CONVERT),
    (b"SIMPLE  =", "a FITS picture", _CONVERT),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF)", _CONVERT),
    (b"\x01\xda\x01", "an SGI picture", _CONVERT),
    (b"\x01\xda\x00", "an SGI picture", _CONVERT),
    (b"\x0a\x05\x01", "a PCX picture", _CONVERT),
    (b"\x93NUMPY", "a NumPy array", "send it with the content type application/x-npy"),
    (b"PK\x03\x04", "a ZIP archive or an office document", "send the picture in it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "send the picture in it"),
    (b"Rar!\x1a\x07", "a RAR archive", "send the picture in it"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "unpack it"),
    (b"version https://git-lfs", "a Git LFS pointer", "send the picture itself, which `git lfs pull` fetches"),
    (b"\x1f\x8b", "gzip-compressed", "unpack it, or send the header Content-Encoding: gzip"),
    (b"data:", "a data URL", 'send the bytes it holds, or JSON: {"b64": "…"}'),
    (b"iVBORw0KGgo", "Base64 text", 'send the bytes it holds, or JSON: {"b64": "…"}'),
    (b"/9j/", "Base64 text", 'send the bytes it holds, or JSON: {"b64": "…"}'),
)
# First bytes of a PNG or JPEG after a program has treated them as text.
_DAMAGED: tuple[tuple[bytes, str], ...] = (
    (b"\xc2\x89PNG", "a PNG whose bytes were converted from Latin-1 to UTF-8"),
    (b"\xe2\x80\xb0PNG", "a PNG whose bytes were converted from Windows-1252 to UTF-8"),
    (b"\xef\xbf\xbdPNG", "a PNG whose bytes were decoded as UTF-8 text"),
    (b"?PNG\r\n", "a PNG whose bytes were decoded as ASCII text"),
    (b"\x89PNG\n\x1a\n", "a PNG whose line ends were converted"),
    (b"\x89PNG\r\r\n", "a PNG whose line ends were converted"),
    (b"\x89PNG\r\n\x1a\r\n", "a PNG whose line ends were converted"),
    (b"\xc3\xbf\xc3\x98\xc3\xbf", "a JPEG whose bytes were converted from Latin-1 to UTF-8"),
    (b"\xef\xbf\xbd" * 3, "a JPEG whose bytes were decoded as UTF-8 text"),
)
_BEFORE = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and blanks, which some scripts print first
# ISO base media files: the brand at byte 8, or one of the compatible brands after it.
_BRANDS: tuple[tuple[frozenset[bytes], str, str], ...] = (
    (frozenset({b"avif", b"avis"}), "an AVIF picture", _CONVERT),
    (
        frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}),
        "a HEIC picture (iPhone)",
        _PHONE,
    ),
    (frozenset({b"crx "}), "a Canon raw picture (CR3)", _RAW),
    (frozenset({b"mif1", b"msf1", b"mif2", b"miaf"}), "a HEIF picture", _PHONE),
)
_MARKUP = (
    (b"<svg", "an SVG drawing", _PRINT),
    (b"<html", "a web page (HTML)", "send the picture itself, not the page that shows it"),
    (b"<!doctype html", "a web page (HTML)", "send the picture itself, not the page that shows it"),
)


def error(data: bytes) -> PictureError:
    """Make the error for bytes that are not a supported picture: the format's name, and what to do."""
    if not data:
        return PictureError(f"the picture is empty (0 bytes); a {_READ} is expected")
    known = _named(data)
    if known is None:
        return PictureError(f"the bytes are not a picture of a known format; {_READ} is expected")
    name, advice = known
    return PictureError(f"the file is {name}, which is not supported; {advice}")


def _named(data: bytes) -> tuple[str, str] | None:
    """Return the format's name and the advice, or None for unknown bytes."""
    return _by_first_bytes(data) or _by_brand(data) or _by_damage(data) or _by_later_bytes(data) or _by_markup(data)


def _by_first_bytes(data: bytes) -> tuple[str, str] | None:
    return next(((name, advice) for magic, name, advice in _FORMATS if data.startswith(magic)), None)


def _by_brand(data: bytes) -> tuple[str, str] | None:
    if data[4:8] != b"ftyp":
        return None
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[position : position + 4] for position in range(16, size, 4))}
    known = ((name, advice) for names, name, advice in _BRANDS if names & brands)
    return next(known, ("a video or another MP4 file", "send one frame as PNG or JPEG"))


def _by_damage(data: bytes) -> tuple[str, str] | None:
    for magic, name in _DAMAGED:
        if data.startswith(magic):
            return name, _BINARY
    if data[:64].lstrip(_BEFORE).startswith((b"\x89PNG", b"\xff\xd8\xff")):
        return "a PNG or JPEG with a byte order mark or blanks before it", "send the picture alone"
    return None


def _by_later_bytes(data: bytes) -> tuple[str, str] | None:
    if data[:4] == b"\x01\0\0\0" and data[40:44] == b" EMF":
        return "a Windows metafile (EMF)", _CONVERT
    if data[128:132] == b"DICM":
        return "a DICOM file", _CONVERT
    if len(data) > 2 and data[0] == 0x50 and data[1] in b"1234567fF" and data[2] in b"\n\r\t ":
        return "a Netpbm picture (PBM, PGM, PPM)", _CONVERT
    return None


def _by_markup(data: bytes) -> tuple[str, str] | None:
    text = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text.startswith(b"<"):
        return None
    for word, name, advice in _MARKUP:
        if word in text:
            return name, advice
    return ("an XML document", "send the picture itself") if text.startswith(b"<?xml") else None
