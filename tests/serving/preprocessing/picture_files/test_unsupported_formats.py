"""Files of other formats: an error with the format's name and advice."""

import pytest

from serving.preprocessing.image import PictureError, cost, read
from tests.serving.preprocessing.picture_files.files import chunk

FOREIGN = {
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC picture", "Most Compatible"),
    "HEIC by its second brand": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC picture", "Most Compatible"),
    "HEIC sequence": (b"\0\0\0\x18ftypmsf1\0\0\0\0hevcmsf1", "HEIC picture", "JPEG"),
    "HEIF": (b"\0\0\0\x14ftypmif1\0\0\0\0mif1", "HEIF picture", "JPEG"),
    "AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "AVIF picture", "PNG or JPEG"),
    "AVIF by its second brand": (b"\0\0\0\x1cftypmif1\0\0\0\0avifmif1miaf", "AVIF picture", "PNG or JPEG"),
    "video": (b"\0\0\0\x18ftypqt  \0\0\0\0qt  ", "video", "one frame"),
    "JPEG XL": (b"\xff\x0a\xfa\x1f", "JPEG XL", "PNG or JPEG"),
    "JPEG XL container": (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", "PNG or JPEG"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", "PNG or JPEG"),
    "JPEG 2000 codestream": (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000", "PNG or JPEG"),
    "JPEG-LS": (b"\xff\xd8\xff\xf7\0\x0b\x08\0\x10\0\x10\1\1\x11\0\xff\xda\0\x08", "JPEG-LS", "PNG or JPEG"),
    "TIFF": (b"II*\0\x08\0\0\0", "TIFF", "PNG or JPEG"),
    "TIFF, big endian": (b"MM\0*\0\0\0\x08", "TIFF", "PNG or JPEG"),
    "BigTIFF": (b"II+\0\x08\0\0\0", "BigTIFF", "PNG or JPEG"),
    "CR2": (b"II*\0\x10\0\0\0CR\2\0", "Canon raw", "JPEG"),
    "CR3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "Canon raw", "JPEG"),
    "RAF": (b"FUJIFILMCCD-RAW 0201", "Fujifilm raw", "JPEG"),
    "PSD": (b"8BPS\0\1", "Photoshop", "export"),
    "PDF": (b"%PDF-1.7\n", "PDF", "PNG"),
    "SVG": (b'<?xml version="1.0"?>\n<!-- a -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG", "PNG"),
    "SVG with a byte order mark": (b"\xef\xbb\xbf  <svg/>", "SVG", "PNG"),
    "HTML": (b"<!DOCTYPE html><html>", "web page", "the picture itself"),
    "ICO": (b"\0\0\1\0\1\0", "Windows icon", "PNG or JPEG"),
    "DICOM": (bytes(128) + b"DICM", "DICOM", "PNG or JPEG"),
    "PPM": (b"P6\n1 1\n255\n123", "Netpbm", "PNG or JPEG"),
    "Apple CgBI PNG": (
        b"\x89PNG\r\n\x1a\n" + chunk(b"CgBI", b"P\0 \2") + chunk(b"IDAT", b""), "Apple CgBI PNG", "pngcrush",
    ),
    "AVI": (b"RIFF\x10\0\0\0AVI LIST", "no WebP", "one picture"),
    "array": (b"\x93NUMPY\1\0", "NumPy array", "application/x-npy"),
    "ZIP": (b"PK\3\4\x14\0", "ZIP", "send the picture in it"),
    "gzip": (b"\x1f\x8b\x08\0", "gzip", "Content-Encoding"),
    "Base64 of a PNG": (b"iVBORw0KGgoAAAANSUhEUg==", "Base64", "b64"),
    "data URL": (b"data:image/png;base64,iVBORw0KGgo=", "data URL", "b64"),
    "TGA": (b"\0\0\2\0\0\0\0\0\0\0\0\0\1\0\1\0\x18\0", "TGA", "PNG or JPEG"),
    "CUR": (b"\0\0\2\0\1\0\x20\x20", "Windows cursor", "PNG or JPEG"),
    "EMF": (b"\1\0\0\0" + bytes(36) + b" EMF", "Windows metafile", "PNG or JPEG"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS pointer", "git lfs pull"),
    "XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML document", "itself"),
    "PNG as text": ("\x89PNG\r\n\x1a\n".encode(), "PNG whose bytes", "binary mode"),
    "PNG as UTF-8": (b"\x89PNG\r\n\x1a\n".decode("utf-8", "replace").encode(), "decoded as UTF-8", "binary mode"),
    "PNG as Windows text": (b"\x89PNG\r\n".decode("cp1252").encode(), "Windows-1252", "binary mode"),
    "PNG, line ends": (b"\x89PNG\n\x1a\n", "line ends", "binary mode"),
    "PNG, line ends of Windows": (b"\x89PNG\r\r\n\x1a\r\n", "line ends", "binary mode"),
    "JPEG as text": (b"\xff\xd8\xff\xe0\0".decode("latin-1").encode(), "JPEG whose bytes", "binary mode"),
    "JPEG as UTF-8": (b"\xff\xd8\xff\xe0\0".decode("utf-8", "replace").encode(), "decoded as UTF-8", "binary mode"),
    "JPEG behind a byte order mark": (b"\xef\xbb\xbf\r\n\xff\xd8\xff\xe0", "byte order mark", "alone"),
    "text": (b"hello", "not a picture of a known format", "PNG, JPEG, WebP, BMP or GIF is expected"),
    "nothing": (b"", "0 bytes", "PNG, JPEG, WebP, BMP or GIF is expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_named(name: str) -> None:
    data, *words = FOREIGN[name]
    with pytest.raises(PictureError) as refused:
        read(data)
    message = str(refused.value)
    assert all(word in message for word in words), message
    assert cost(data) == 0
