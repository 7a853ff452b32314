"""Files from cameras, phones, scanners and broken downloads: decoded correctly, or an error in one sentence."""

import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from serving.preprocessing.image import NOTE, ImageRecipe, PictureError, prepare, read
from tests.serving.preprocessing.picture_files import files
from tests.serving.preprocessing.picture_files.files import (
    chunk,
    encoded,
    exif,
    png,
    rows,
    segment,
    with_chunks,
    with_segments,
)

RECIPE = ImageRecipe(height=90, width=120, channels=3, colour="rgb")
SHAPE = files.shape()
PIXELS = np.asarray(SHAPE)
HEIGHT, WIDTH = PIXELS.shape
TURNED = SHAPE.transpose(Image.Transpose.ROTATE_90)  # upright again by orientation 6
NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))

PNG, PNG_TURNED = encoded(SHAPE), encoded(TURNED)
JPEG, JPEG_TURNED = (encoded(picture, "JPEG", quality=95) for picture in (SHAPE, TURNED))
COLOUR = encoded(SHAPE.convert("RGB"), "JPEG", quality=95)
PROGRESSIVE = encoded(SHAPE.convert("RGB"), "JPEG", quality=95, progressive=True)
WEBP, WEBP_TURNED = (encoded(picture.convert("RGB"), "WEBP", quality=95) for picture in (SHAPE, TURNED))
GIF = encoded(SHAPE.quantize(16), "GIF")
GIF_HEAD = 13 + (6 << (GIF[10] & 7))
BMP = encoded(SHAPE.convert("RGB"), "BMP")
ODD_BMP = encoded(SHAPE.crop((0, 0, 119, 90)).convert("RGB"), "BMP")  # rows end in padding

SIX = (0x0112, 3, 1, b"\x06\0")
RAW = b"Exif\0\0" + exif(SIX)
RAW_PROFILE = b"\nexif\n%8d\n" % len(RAW) + b"\n".join(RAW.hex().encode()[i : i + 72] for i in range(0, 76, 72)) + b"\n"
XMP = b'<rdf:Description tiff:Orientation="6"/>'
BOMB = zlib.compress(bytes(20_000_000))


def in_jpeg(tiff: bytes, data: bytes = JPEG_TURNED) -> bytes:
    return with_segments(data, segment(0xE1, b"Exif\0\0" + tiff))


def of_16_bits(kind: int, bits: int, alpha: int | None = None) -> bytes:
    """A 16-bit PNG whose values have fewer bits, or all of them."""
    scaled = PIXELS.astype(np.uint16) * 257 if bits == 16 else PIXELS.astype(np.uint16) << (bits - 8)
    planes = [scaled] * (3 if kind in (2, 6) else 1) + ([np.full_like(scaled, alpha)] if alpha is not None else [])
    return png(WIDTH, HEIGHT, 16, kind, rows(np.stack(planes, axis=2).astype(">u2")))


def with_hot_pixels(kind: int) -> bytes:
    """A 16-bit PNG of 12-bit values, 600 pixels wide and high, in which nine pixels are at their limit."""
    values = np.kron(np.asarray(SHAPE.resize((60, 60))).astype(np.uint16) << 4, np.ones((10, 10), np.uint16))
    values[100:400:40, 7] = values[3, 300] = 65535
    planes = [values] * (3 if kind in (2, 6) else 1) + ([np.full_like(values, 4095)] if kind in (4, 6) else [])
    return png(600, 600, 16, kind, rows(np.stack(planes, axis=2).astype(">u2")))


def of_alpha(value: int) -> Image.Image:
    grey = Image.fromarray(PIXELS)
    return Image.merge("RGBA", (grey, grey, grey, Image.new("L", SHAPE.size, value)))


def bottom_up(*planes: np.ndarray) -> bytes:
    return np.stack(planes, axis=2)[::-1].tobytes()


GREY_16 = PIXELS.astype(np.uint16)
RUNS = b"".join(b"".join(bytes((1, value)) for value in row.tolist()) + b"\0\0" for row in PIXELS[::-1]) + b"\0\1"
EXTENDED = files.webp(files.extended(8, SHAPE.size), files.first_chunk(WEBP), (b"EXIF", exif(SIX)))

READ = {
    # Orientation, and EXIF that is broken elsewhere
    "JPEG": in_jpeg(exif(SIX)),
    "JPEG, big endian": in_jpeg(exif((0x0112, 3, 1, b"\0\x06"), order=">")),
    "JPEG, orientation as long": in_jpeg(exif((0x0112, 4, 1, b"\x06"))),
    "JPEG, orientation as byte": in_jpeg(exif((0x0112, 1, 1, b"\x06"))),
    "JPEG, exposure -1/0": in_jpeg(exif(SIX, (0x9204, 10, 1, struct.pack("<I", 50))) + struct.pack("<ii", -1, 0) * 4),
    "JPEG, resolution unit as byte": in_jpeg(exif(SIX, (0x0128, 1, 1, b"\x02"))),
    "JPEG, huge count": in_jpeg(exif((0x010F, 2, 0xFFFFFFFF, b"\xff" * 4), SIX)),
    "JPEG, more entries than bytes": in_jpeg(exif(SIX)[:8] + b"\xff\xff" + exif(SIX)[10:]),
    "JPEG, directory that follows itself": in_jpeg(exif(SIX)[:-4] + b"\x08\0\0\0"),
    "JPEG, wrong TIFF number": in_jpeg(b"II\x00\x00" + exif(SIX)[4:]),
    "JPEG, EXIF with another sixth byte": with_segments(JPEG_TURNED, segment(0xE1, b"Exif\0\xff" + exif(SIX))),
    "JPEG, second EXIF": with_segments(JPEG_TURNED, segment(0xE1, b"Exif\0\0?"), segment(0xE1, RAW)),
    "JPEG, XMP": with_segments(JPEG_TURNED, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)),
    "JPEG, orientation 9": in_jpeg(exif((0x0112, 3, 1, b"\x09\0")), JPEG),
    "JPEG, orientation as text": in_jpeg(exif((0x0112, 2, 2, b"6\0")), JPEG),
    "JPEG, no TIFF": in_jpeg(b"garbage", JPEG),
    "JPEG, cut EXIF": in_jpeg(exif(SIX)[:9], JPEG),
    "JPEG, broken XMP": with_segments(JPEG, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP[:30])),
    "PNG, eXIf": with_chunks(PNG_TURNED, chunk(b"eXIf", exif(SIX))),
    "PNG, eXIf with JPEG's prefix": with_chunks(PNG_TURNED, chunk(b"eXIf", RAW)),
    "PNG, eXIf behind the pixels": PNG_TURNED[:-12] + chunk(b"eXIf", exif(SIX)) + PNG_TURNED[-12:],
    "PNG, packed profile": with_chunks(
        PNG_TURNED, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(RAW_PROFILE))
    ),
    "PNG, plain profile": with_chunks(PNG_TURNED, chunk(b"tEXt", b"Raw profile type APP1\0" + RAW_PROFILE)),
    "PNG, XMP": with_chunks(PNG_TURNED, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
    "PNG, packed XMP": with_chunks(PNG_TURNED, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP))),
    "PNG, broken eXIf": with_chunks(PNG, chunk(b"eXIf", b"not a TIFF")),
    "PNG, broken profile": with_chunks(PNG, chunk(b"zTXt", b"Raw profile type exif\0\0broken")),
    "PNG, profile without digits": with_chunks(PNG, chunk(b"tEXt", b"Raw profile type exif\0\nexif\n9\nxyz")),
    "WebP, EXIF": files.webp(
        files.extended(8, TURNED.size), files.first_chunk(WEBP_TURNED), (b"EXIF", exif(SIX))
    ),
    "WebP, EXIF without its flag": files.webp(
        files.extended(0, TURNED.size), files.first_chunk(WEBP_TURNED), (b"EXIF", RAW)
    ),
    "WebP, XMP": files.webp(files.extended(4, TURNED.size), files.first_chunk(WEBP_TURNED), (b"XMP ", XMP)),
    "WebP, broken EXIF": files.webp(files.extended(8, SHAPE.size), files.first_chunk(WEBP), (b"EXIF", b"broken")),
    "WebP, flag without EXIF": files.webp(files.extended(8, SHAPE.size), files.first_chunk(WEBP)),
    # Other metadata
    "JPEG, 3 MB of ICC": with_segments(
        JPEG, *(segment(0xE2, b"ICC_PROFILE\0" + bytes((n, 50)) + bytes(65_000)) for n in range(1, 51))
    ),
    "JPEG, part of an ICC profile": with_segments(JPEG, segment(0xE2, b"ICC_PROFILE\0\2\3")),
    "JPEG, short ICC": with_segments(JPEG, segment(0xE2, b"ICC_PROFILE\0")),
    "JPEG, broken Photoshop": with_segments(JPEG, segment(0xED, b"Photoshop 3.0\0008BIM\x03\xed\xff\xff\xff")),
    "JPEG, short Adobe": with_segments(JPEG, segment(0xEE, b"Adobe\0d")),
    "JPEG, broken MPF": with_segments(JPEG, segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff")),
    "JPEG, short JFIF": JPEG[:2] + segment(0xE0, b"JFIF") + JPEG[20:],
    "JPEG, no JFIF": JPEG[:2] + JPEG[20:],
    "JPEG, segment longer than the file": with_segments(JPEG, b"\xff\xe1\xff\xff"),
    "JPEG, segment of no length": with_segments(JPEG, b"\xff\xe1\0\0"),
    "JPEG, bytes between segments": JPEG[:20] + b"\0\0junk\xff\xff" + JPEG[20:],
    "JPEG, several pictures": encoded(SHAPE, "MPO", save_all=True, append_images=[TURNED], quality=95),
    "JPEG, a video behind it": JPEG + b"\0\0\0\x18ftypmp42" + bytes(5000),
    "PNG, ICC of 1.5 MB": with_chunks(
        PNG, chunk(b"iCCP", b"x\0\0" + zlib.compress(np.random.default_rng(0).bytes(1_500_000)))
    ),
    "PNG, ICC bomb": with_chunks(PNG, chunk(b"iCCP", b"x\0\0" + BOMB)),
    "PNG, text bomb": with_chunks(PNG, chunk(b"zTXt", b"x\0\0" + BOMB)),
    "PNG, profile bomb": with_chunks(PNG, chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB)),
    "PNG, XMP bomb": with_chunks(PNG, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB)),
    "PNG, text of 2 MB": with_chunks(PNG, chunk(b"tEXt", b"x\0" + b"y" * 2_000_000)),
    "PNG, 80 MB of text": with_chunks(PNG, *[chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(800_000)))] * 100),
    **{
        f"PNG, {how} {name}": with_chunks(PNG, chunk(name.encode(), content, checksum))
        for name in ("gAMA", "cHRM", "sRGB", "cICP", "pHYs", "tIME", "iCCP", "tEXt", "zTXt", "iTXt", "eXIf", "acTL",
                     "fcTL", "tRNS", "bKGD", "abCd")
        for how, content, checksum in (("short", b"", None), ("damaged", bytes(30), 1))
    },
    "PNG, text between the pixels": PNG[:33] + chunk(b"IDAT", PNG[41:60]) + chunk(b"tEXt", b"a\0b")
    + chunk(b"IDAT", PNG[60:-16]) + PNG[-12:],
    "PNG, one byte a chunk": PNG[:33] + b"".join(chunk(b"IDAT", PNG[n : n + 1]) for n in range(41, len(PNG) - 16))
    + PNG[-12:],
    "PNG, bytes behind it": PNG + b"garbage",
    "WebP, large ICC": files.webp(
        files.extended(0x20, SHAPE.size), (b"ICCP", bytes(1_500_000)), files.first_chunk(WEBP)
    ),
    "WebP, bytes behind it": WEBP + b"garbage",
    "WebP, wrong size": WEBP[:4] + struct.pack("<I", 20) + WEBP[8:],
    "GIF, bytes behind it": GIF + b"garbage",
    "GIF, comment": encoded(SHAPE.quantize(16), "GIF", comment=b"x" * 600),
    "GIF, one frame that would loop": GIF[:GIF_HEAD] + b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0" + GIF[GIF_HEAD:],
    # Kinds
    "JPEG, progressive": PROGRESSIVE,
    "JPEG, CMYK": encoded(SHAPE.convert("CMYK"), "JPEG", quality=95),
    "JPEG, restart markers": encoded(SHAPE.convert("RGB"), "JPEG", quality=95, restart_marker_rows=1),
    "PNG, 4 bits": png(WIDTH, HEIGHT, 4, 0, files.in_bits(PIXELS, 4)),
    "PNG, 4 bits and transparent black": png(WIDTH, HEIGHT, 4, 0, files.in_bits(PIXELS, 4), chunk(b"tRNS", b"\0\x05")),
    "PNG, palette": encoded(SHAPE.quantize(16)),
    "WebP, lossless": encoded(SHAPE.convert("RGB"), "WEBP", lossless=True),
    "WebP, alpha": encoded(of_alpha(255), "WEBP", quality=95),
    "GIF, interlaced": encoded(SHAPE.quantize(16), "GIF", interlace=1),
    "BMP": BMP,
    "BMP, grey": encoded(SHAPE, "BMP"),
    "BMP, top down": files.bmp((WIDTH, -HEIGHT), 24, np.stack([PIXELS] * 3, axis=2).tobytes()),
    "BMP, OS/2": b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24) + BMP[54:],
    "BMP, 32 bits": files.bmp((WIDTH, HEIGHT), 32, bottom_up(*[PIXELS] * 3, np.zeros_like(PIXELS))),
    "BMP, 565": files.bmp(
        (WIDTH, HEIGHT), 16, bottom_up(GREY_16 >> 3 << 11 | GREY_16 >> 2 << 5 | GREY_16 >> 3), 3, 52,
        (0xF800, 0x07E0, 0x001F, 0),
    ),
    "BMP, 555": files.bmp((WIDTH, HEIGHT), 16, bottom_up((GREY_16 >> 3) * 0x0421)),
    "BMP, run lengths": files.bmp((WIDTH, HEIGHT), 8, RUNS, 1),
    "BMP, wrong file size": BMP[:2] + bytes(4) + BMP[6:],
    # 16 bits, by the range of the values
    **{f"PNG, {bits} of 16 bits, kind {kind}": of_16_bits(kind, bits) for bits in range(8, 17) for kind in (0, 2)},
    **{
        f"PNG, {bits} of 16 bits, kind {kind}, alpha {alpha}": of_16_bits(kind, bits, alpha)
        for bits in (8, 10, 12, 14, 16) for kind in (4, 6) for alpha in (0, 2**bits - 1, 65535)
    },
    # Alpha that is 0 everywhere
    "PNG, no alpha": encoded(of_alpha(0)),
    "PNG, grey without alpha": encoded(of_alpha(0).convert("LA")),
    "WebP, no alpha": encoded(of_alpha(0), "WEBP", lossless=True, exact=True),
    "BMP, no alpha": files.bmp(
        (WIDTH, HEIGHT), 32, bottom_up(*[PIXELS] * 3, np.zeros_like(PIXELS)), 3, 124,
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
    ),
}  # fmt: skip

CUT = {
    **{f"JPEG, {n} bytes": data[:-n] for n in (1, 2) for data in (JPEG,)},
    **{f"colour JPEG, {n} bytes": COLOUR[:-n] for n in (1, 2)},
    **{f"progressive JPEG, {n} bytes": PROGRESSIVE[:-n] for n in (1, 2)},
    "JPEG, end marker and EXIF": in_jpeg(exif(SIX))[:-2],
    **{f"PNG, {n} bytes": PNG[:-n] for n in (1, 12, 13, 16, 18, 20)},
    "WebP, within its EXIF": EXTENDED[:-5],
    "WebP, before its EXIF": EXTENDED[: -8 - len(exif(SIX))],
    "GIF, trailer": GIF[:-1],
    "GIF, trailer and terminator": GIF[:-2],
    "BMP, padding": ODD_BMP[:-1],
}

REFUSED = {
    "JPEG, half": (COLOUR[: len(COLOUR) // 2], "truncated"),
    "JPEG, last 60 bytes": (encoded(NOISE, "JPEG")[:-60], "truncated"),
    "JPEG, header alone": (COLOUR[: COLOUR.index(b"\xff\xda")], "truncated"),
    "progressive JPEG, half": (PROGRESSIVE[: len(PROGRESSIVE) // 2], "truncated"),
    "progressive JPEG, last scan": (PROGRESSIVE[: PROGRESSIVE.rindex(b"\xff\xda")], "truncated"),
    "JPEG of 12 bits": (COLOUR.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "12 bits per channel"),
    "JPEG without a frame": (b"\xff\xd8\xff\xe0\0\x04ab\xff\xd9", "no frame header"),
    "JPEG of no height": (re.sub(rb"(\xff\xc0\0\x11\x08)..", rb"\1\0\0", COLOUR, count=1, flags=re.DOTALL), "damaged"),
    "PNG, last 100 bytes": (encoded(NOISE)[:-100], "truncated"),
    "PNG, damaged pixels": (PNG[:60] + b"!" + PNG[61:], "checksum of the PNG's IDAT"),
    "PNG, damaged header": (PNG[:29] + bytes(4) + PNG[33:], "checksum of the PNG's IHDR"),
    "PNG, unknown critical chunk": (with_chunks(PNG, chunk(b"ABCD", b"")), "critical chunk 'ABCD'"),
    "PNG, many chunks": (with_chunks(PNG, *[chunk(b"tEXt", b"")] * 200_001), "more than 200000 parts"),
    "JPEG, many segments": (with_segments(JPEG, *[segment(0xFE, b"")] * 200_001), "more than 200000 parts"),
    "WebP, many chunks": (files.webp(*[(b"abcd", b"")] * 200_001), "no complete header"),
    "GIF, many blocks": (GIF[:GIF_HEAD] + b"!\xfe" + b"\1a" * 200_001 + GIF[GIF_HEAD:], "more than 200000 parts"),
    "PNG, animated": (
        encoded(SHAPE, save_all=True, append_images=[SHAPE.rotate(90)]), "animated",
    ),
    "WebP, half": (WEBP[: len(WEBP) // 2], "truncated"),
    "WebP, lossless, last 20 bytes": (encoded(NOISE, "WEBP", lossless=True)[:-20], "truncated"),
    "WebP, lossy, last 40 bytes": (encoded(NOISE, "WEBP")[:-40], "truncated"),
    "GIF, half": (GIF[: len(GIF) // 2], "truncated"),
    "BMP, last row": (BMP[:-400], "truncated"),
    "BMP, last pixel": (ODD_BMP[:-4], "truncated"),
    "BMP, run length bomb": (files.bmp((20_000_000, 1), 8, b"\0\2\0\xff", 1), "RLE compression is too large"),
}  # fmt: skip


def read_with_note(data: bytes) -> tuple[np.ndarray, str | None]:
    picture = read(data, recipe=RECIPE)
    return prepare(picture, RECIPE).astype(int), picture.info.get(NOTE)


def alike(pixels: np.ndarray) -> bool:
    expected = np.repeat(PIXELS[..., None], 3, axis=2).astype(int)
    return bool(np.abs(pixels - expected).mean() < 5)


@pytest.mark.parametrize("name", READ)
def test_an_odd_file_is_read(name: str) -> None:
    pixels, note = read_with_note(READ[name])
    assert alike(pixels) and note is None


@pytest.mark.parametrize("kind", [0, 2, 4, 6])
def test_a_few_hot_pixels_do_not_darken_a_picture_of_12_bits(kind: int) -> None:
    brightness = np.asarray(read(with_hot_pixels(kind)).convert("L")).astype(int)
    expected = np.kron(np.asarray(SHAPE.resize((60, 60))), np.ones((10, 10), np.uint8)).astype(int)
    assert np.abs(brightness - expected).mean() < 2


@pytest.mark.parametrize("name", CUT)
def test_a_cut_file_with_all_its_pixels_is_read_with_a_note(name: str) -> None:
    pixels, note = read_with_note(CUT[name])
    assert alike(pixels)
    assert note is not None and "lacks its last bytes" in note


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_without_all_its_pixels_is_refused(name: str) -> None:
    data, words = REFUSED[name]
    with pytest.raises(PictureError, match=re.escape(words)):
        read_with_note(data)


@pytest.mark.parametrize("form", ["JPEG", "PROGRESSIVE", "PNG", "WEBP", "GIF", "BMP"])
def test_a_cut_file_is_read_as_a_whole_one_or_refused(form: str) -> None:
    """The reader never invents pixels."""
    original = NOISE.resize((40, 40))
    data = encoded(original, form.replace("PROGRESSIVE", "JPEG"), progressive=form == "PROGRESSIVE")
    recipe = ImageRecipe(height=40, width=40, channels=3, colour="rgb")
    whole = prepare(read(data), recipe)
    for cut in [*range(1, 40), *range(40, len(data), 37)]:
        try:
            picture = read(data[:-cut])
        except PictureError:
            continue
        assert (prepare(picture, recipe) == whole).all(), cut
        assert NOTE in picture.info
