"""Pictures become a model's input, or an error in one sentence."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw

from serving.preprocessing import image
from serving.preprocessing.image import ImageRecipe, PictureError, Pixels, Polarity, decode, read

GREY = ImageRecipe(height=28, width=28, channels=1, colour="grey", crop=True)
PLAIN = ImageRecipe(height=28, width=28, channels=1, colour="grey")
RGB = ImageRecipe(height=32, width=32, channels=3, colour="rgb")
INK = ImageRecipe(height=32, width=32, channels=1, colour="ink", crop=True, margin=0.1)
RECIPES = (GREY, PLAIN, RGB, INK)


def encoded(picture: Image.Image, format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)  # type: ignore[arg-type]
    return file.getvalue()


def arrow(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Blue with a white block at the top left, to detect rotations and mirroring."""
    picture = Image.new("RGB", size, (0, 0, 90))
    ImageDraw.Draw(picture).rectangle((0, 0, size[0] // 3, size[1] // 3), fill=(255, 255, 255))
    return picture.convert(mode)


def cross(
    ink: object = "black", ground: object = "white", size: tuple[int, int] = (120, 90), pen: int = 5
) -> Image.Image:
    picture = Image.new("RGB", size, ground)  # type: ignore[arg-type]
    draw = ImageDraw.Draw(picture)
    draw.line((70, 20, 110, 60), fill=ink, width=pen)  # type: ignore[arg-type]
    draw.line((110, 20, 70, 60), fill=ink, width=pen)  # type: ignore[arg-type]
    return picture


def alike(one: Pixels, other: Pixels) -> bool:
    return float(np.abs(one.astype(int) - other.astype(int)).mean()) < 12


def png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    """A PNG written by hand, because Pillow cannot write it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class TestDecoding:
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
    def test_each_format(self, format: str) -> None:
        options = {"lossless": True} if format == "WEBP" else {}
        assert alike(decode(encoded(arrow(), format, **options), RGB), decode(encoded(arrow()), RGB))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation_of_the_camera_is_applied(self, orientation: int) -> None:
        undo: dict[int, Image.Transpose] = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }
        stored = arrow().transpose(undo[orientation]) if orientation in undo else arrow()
        exif = Image.Exif()
        exif[0x0112] = orientation
        for format in ("JPEG", "PNG", "WEBP"):
            upright = read(encoded(stored, format, exif=exif))
            assert upright.size == (60, 40)
            assert upright.getpixel((5, 5))[0] > 200 and upright.getpixel((55, 35))[0] < 60, format  # type: ignore[index]

    def test_transparency_becomes_white(self) -> None:
        clear = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
        half = Image.new("LA", (10, 10), (0, 128))
        palette = Image.new("P", (10, 10), 0)
        palette.putpalette([10, 20, 30] * 256)
        clear.putpixel((9, 9), (0, 0, 0, 1))
        palette.putpixel((9, 9), 1)
        assert read(encoded(clear)).getpixel((0, 0)) == (255, 255, 255)
        assert read(encoded(half)).getpixel((0, 0)) == (127, 127, 127)
        assert read(encoded(palette, transparency=0)).getpixel((0, 0)) == (255, 255, 255)
        assert read(encoded(arrow("RGB"), transparency=(255, 255, 255))).getpixel((0, 0)) == (255, 255, 255)

    @pytest.mark.parametrize("shade", [0, 128, 255])
    @pytest.mark.parametrize("recipe", RECIPES)
    @pytest.mark.parametrize("size", [(60, 60), (28, 28), (32, 32), (900, 700)])
    def test_a_blank_picture_is_refused(self, shade: int, recipe: ImageRecipe, size: tuple[int, int]) -> None:
        pixels = np.full((*size[::-1], 3), shade, np.uint8)
        pixels[3, 4] = shade + 9 if shade < 200 else shade - 9  # less than visible contrast
        for picture in (Image.fromarray(pixels), Image.fromarray(pixels[..., 0])):
            with pytest.raises(PictureError, match="blank"):
                decode(encoded(picture), recipe)

    @pytest.mark.parametrize("recipe", [GREY, PLAIN, RGB])
    def test_a_faint_picture_is_read(self, recipe: ImageRecipe) -> None:
        assert decode(encoded(cross((238, 238, 238), (248, 248, 248))), recipe).shape

    @pytest.mark.parametrize(("shade", "spread"), [(0, 4), (255, 4), (120, 3)])
    def test_noise_alone_is_refused(self, shade: int, spread: float) -> None:
        noise = np.random.default_rng(1).normal(shade, spread, (280, 300))
        picture = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
        for recipe in (GREY, PLAIN):
            with pytest.raises(PictureError, match="blank: no contrast is left"):
                decode(encoded(picture), recipe)

    @pytest.mark.parametrize("size", [(300, 300), (3000, 2000)])
    def test_a_speck_is_no_drawing(self, size: tuple[int, int]) -> None:
        picture = Image.new("L", size, 255)
        picture.paste(0, (50, 60, 52, 62))
        with pytest.raises(PictureError, match="no drawing stands out"):
            decode(encoded(picture), INK)
        small = cross("black", "white", pen=1).resize((120, 90))
        picture.paste(small, (100, 100))
        assert decode(encoded(picture), INK).max() == 255

    def test_white_on_transparency_gets_a_black_background(self) -> None:
        layer = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
        layer.paste((255, 255, 255, 255), (25, 10, 35, 50))
        assert read(encoded(layer)).getpixel((0, 0)) == (0, 0, 0)
        assert decode(encoded(layer), INK).max() == 255
        layer.paste((20, 20, 60, 255), (28, 20, 32, 40))  # a dark drawing on a white card
        assert read(encoded(layer)).getpixel((0, 0)) == (255, 255, 255)

    @pytest.mark.parametrize("alpha", [20, 60, 120, 127, 128, 200, 255])
    def test_white_under_partial_alpha_is_visible(self, alpha: int) -> None:
        layer = Image.new("RGBA", (120, 90), (255, 255, 255, 0))
        drawn = Image.merge("L", [cross("black", "white").convert("L").point(lambda level: alpha if level < 99 else 0)])
        layer.putalpha(drawn)
        assert alike(decode(encoded(layer), INK), decode(encoded(cross()), INK))

    @pytest.mark.parametrize("size", [(60, 60), (1300, 1100)])
    def test_alpha_that_is_0_everywhere_is_ignored(self, size: tuple[int, int]) -> None:
        layer = arrow(size=size).convert("RGBA")
        layer.putalpha(0)
        for recipe in (GREY, PLAIN, RGB):
            assert (decode(encoded(layer), recipe) == decode(encoded(arrow(size=size)), recipe)).all()
        with pytest.raises(PictureError, match="blank"):
            decode(encoded(Image.new("RGBA", size, (0, 0, 0, 0))), RGB)

    @pytest.mark.parametrize("mode", ["P", "LA", "RGB", "RGBA", "CMYK", "I;16"])
    @pytest.mark.parametrize("recipe", [GREY, INK])
    def test_conversion_by_tiles_equals_that_of_the_whole(self, mode: str, recipe: ImageRecipe) -> None:
        whole = cross("navy", "ivory").resize((1900, 1300))
        form = "JPEG" if mode == "CMYK" else "PNG"
        if mode == "I;16":
            data = encoded(Image.fromarray(np.asarray(whole.convert("L")).astype(np.uint16) * 257))
            at_once = whole.convert("L")
        else:
            data = encoded(whole.quantize(16) if mode == "P" else whole.convert(mode), form)
            at_once = Image.open(io.BytesIO(data)).convert("RGB")
        assert mode == "CMYK" or (read(data, recipe=recipe).tobytes() == at_once.reduce(4).tobytes())
        assert alike(decode(data, recipe), decode(encoded(whole), recipe))

    def test_sixteen_bits_become_eight(self) -> None:
        grey = np.array([[0, 0x80FF], [0xFF00, 0xFFFF]], np.uint16)
        assert np.asarray(read(encoded(Image.fromarray(grey)))).tolist() == [[0, 0x80], [0xFF, 0xFF]]
        colour = png(1, 1, 16, 2, b"\x00" + struct.pack(">HHH", 0xFFFF, 0x8000, 0x0100))
        assert read(colour).getpixel((0, 0)) == (255, 128, 1)

    @pytest.mark.parametrize(("mode", "format"), [("CMYK", "JPEG"), ("P", "PNG"), ("1", "PNG"), ("L", "JPEG")])
    def test_other_modes_become_grey_or_rgb(self, mode: str, format: str) -> None:
        picture = read(encoded(arrow(mode), format))
        assert picture.mode in ("L", "RGB")
        assert np.asarray(picture.convert("L"))[2, 2] > 240
        assert np.asarray(picture.convert("L"))[35, 55] < 60

    @pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
    def test_animated_is_refused(self, format: str) -> None:
        data = encoded(arrow(), format, save_all=True, append_images=[arrow().rotate(90)])
        with pytest.raises(PictureError, match="animated"):
            read(data)
        assert image.pixels(data) == 60 * 40  # limits pictures that the model decodes itself

    @pytest.mark.parametrize(
        "data", [b"", b"hello", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM", b"GIF8"]
    )
    def test_bytes_that_are_no_picture(self, data: bytes) -> None:
        with pytest.raises(PictureError, match=r"is expected|cannot be read|is not supported"):
            decode(data, GREY)

    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
    def test_truncated(self, format: str) -> None:
        noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (80, 80, 3), np.uint8))
        data = encoded(noise, format)
        with pytest.raises(PictureError, match=r"truncated|cannot be read"):
            decode(data[: len(data) // 2], RGB)

    def test_the_header_reveals_a_pixel_bomb(self) -> None:
        with pytest.raises(PictureError, match="100000×100000 pixels; at most 25000000"):
            decode(png(100_000, 100_000, 8, 2, b""), RGB)
        with pytest.raises(PictureError, match="60×40 pixels; at most 2000"):
            decode(encoded(arrow()), RGB, max_pixels=2_000)

    @pytest.mark.parametrize(
        ("size", "recipe", "expected"),
        [
            ((640, 480), INK, (320, 240)),  # the size of its later reduction
            ((2000, 1500), GREY, (500, 375)),
            ((1500, 900), INK, (500, 300)),  # by a factor of 3, which libjpeg lacks
            ((5000, 4000), INK, (417, 334)),  # by libjpeg by 4, then by 3
            ((640, 480), RGB, (640, 480)),
            ((2000, 1100), RGB, (1000, 550)),
            ((500, 400), INK, (500, 400)),
        ],
    )
    def test_a_large_jpeg_is_reduced_without_loss_of_quality(
        self, size: tuple[int, int], recipe: ImageRecipe, expected: tuple[int, int]
    ) -> None:
        picture = cross("navy", "ivory").resize(size)
        jpeg = encoded(picture, "JPEG", quality=95)
        assert read(jpeg, recipe=recipe).size == expected
        whole = decode(encoded(picture), recipe)
        assert np.abs(decode(jpeg, recipe).astype(int) - whole).max() < 20

    def test_a_line_of_pixels_needs_no_large_frame(self) -> None:
        data = png(1, 4_000_000, 1, 0, b"\x00\x80" * 2_000_000 + b"\x00\x00" * 2_000_000)
        for recipe in RECIPES:
            try:
                assert decode(data, recipe).shape == (recipe.height, recipe.width, recipe.channels)
            except PictureError as error:
                assert recipe is PLAIN and "no contrast is left" in str(error)


class TestSizes:
    @pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2), (3, 50), (27, 28), (640, 11), (900, 700)])
    @pytest.mark.parametrize("recipe", RECIPES)
    @pytest.mark.parametrize("format", ["PNG", "JPEG"])
    def test_any_size_and_aspect(self, size: tuple[int, int], recipe: ImageRecipe, format: str) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
        for pixels in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
            try:
                result = decode(encoded(Image.fromarray(pixels), format), recipe)
            except PictureError as error:
                slim = recipe.colour == "grey" and max(size) > 28 * min(size)  # too narrow to remain visible
                assert recipe is INK or pixels is not noise or size == (1, 1) or slim
                assert "blank" in str(error)
                continue
            assert result.shape == (recipe.height, recipe.width, recipe.channels)
            assert result.dtype == np.uint8

    def test_a_picture_of_the_models_size_and_channels_passes_unchanged(self) -> None:
        grey = np.random.default_rng(1).integers(0, 256, (28, 28), np.uint8)
        grey[[0, -1]] = grey[:, [0, -1]] = 3
        assert (decode(encoded(Image.fromarray(grey)), GREY)[..., 0] == grey).all()
        rgb = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
        assert (decode(encoded(Image.fromarray(rgb)), RGB) == rgb).all()

    def test_rgb_is_padded_to_a_square_with_black(self) -> None:
        picture = Image.new("RGB", (64, 32), "red")
        picture.putpixel((0, 0), (200, 0, 0))
        result = decode(encoded(picture), RGB)
        assert (result[:7] == 0).all() and (result[-7:] == 0).all()
        assert (result[10:22] == (255, 0, 0)).all()

    @pytest.mark.parametrize("recipe", [PLAIN, RGB, INK])
    @pytest.mark.parametrize(("height", "width"), [(32, 96), (96, 32)])
    @pytest.mark.parametrize("size", [(400, 400), (600, 200), (200, 600)])
    def test_a_disc_stays_round_in_an_input_that_is_not_square(
        self, recipe: ImageRecipe, height: int, width: int, size: tuple[int, int]
    ) -> None:
        picture = Image.new("RGB", size, "black")
        middle, radius = (size[0] // 2, size[1] // 2), 80
        box = (middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius)
        ImageDraw.Draw(picture).ellipse(box, fill="white")
        pixels = decode(encoded(picture), recipe.model_copy(update={"height": height, "width": width}))
        assert pixels.shape[:2] == (height, width)
        rows, columns = np.nonzero(pixels[..., 0] > 127)
        assert abs(np.ptp(rows) - np.ptp(columns)) <= 1 and np.ptp(rows) >= 5

    def test_channels(self) -> None:
        three = decode(encoded(cross()), INK.model_copy(update={"channels": 3}))
        one = decode(encoded(cross()), INK)
        assert (three == np.repeat(one, 3, axis=2)).all()
        assert decode(encoded(arrow()), RGB.model_copy(update={"channels": 1})).shape == (32, 32, 1)


class TestPlainGreyPng:
    """Plain PNGs of 8-bit grey have their own reader."""

    @pytest.mark.parametrize("size", [(28, 28), (1, 1), (3, 500), (700, 300)])
    @pytest.mark.parametrize("level", [0, 1, 9])
    def test_every_pixel_is_read(self, size: tuple[int, int], level: int) -> None:
        noise = np.random.default_rng(level).integers(0, 256, size[::-1], np.uint8)
        ramp = np.add.outer(np.arange(size[1]), np.arange(size[0])).astype(np.uint8)
        for pixels in (noise, ramp):
            assert (np.asarray(read(encoded(Image.fromarray(pixels), compress_level=level))) == pixels).all()

    def test_damaged_files_give_the_error_of_the_general_reader(self) -> None:
        whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7), np.uint8)))
        colour = encoded(Image.fromarray(np.zeros((9, 7, 3), np.uint8)))
        for stop in range(len(colour) // 2):
            with pytest.raises(PictureError):
                read(whole[:stop])
        short = whole[:41] + zlib.compress(b"\0" * 20) + whole[-12:]
        with pytest.raises(PictureError):
            read(short)

    def test_the_header_bounds_the_pixels(self) -> None:
        with pytest.raises(PictureError, match="at most 100"):
            read(encoded(Image.new("L", (11, 10))), max_pixels=100)


class TestPolarity:
    @pytest.mark.parametrize("recipe", [GREY, INK])
    def test_both_polarities_give_light_on_dark(self, recipe: ImageRecipe) -> None:
        dark_on_light = decode(encoded(cross("black", "white")), recipe)
        light_on_dark = decode(encoded(cross("white", "black")), recipe)
        assert alike(dark_on_light, light_on_dark)
        assert dark_on_light[14:18, 14:18].max() > 200
        assert dark_on_light[:, :2].max() < 60 or recipe is GREY

    @pytest.mark.parametrize("recipe", [GREY, INK])
    def test_the_caller_overrides_the_border(self, recipe: ImageRecipe) -> None:
        picture = Image.new("L", (56, 56), 255)  # a white frame, black, and a white stroke: the background is ambiguous
        draw = ImageDraw.Draw(picture)
        draw.rectangle((4, 4, 51, 51), fill=0)
        draw.line((14, 14, 42, 42), fill=255, width=6)

        def middle(polarity: Polarity) -> float:
            return float(decode(encoded(picture), recipe, polarity)[14, 14, 0])

        assert middle("light_on_dark") > 200
        assert middle("dark_on_light") < 50

    @pytest.mark.parametrize(("height", "width"), [(28, 28), (5, 9), (2, 3), (1, 6)])
    @pytest.mark.parametrize("more", [-1, 0, 1])
    def test_a_picture_of_the_models_size_with_a_dark_border_passes_unchanged(
        self, height: int, width: int, more: int
    ) -> None:
        grey = np.full((height, width), 50, np.uint8)
        inside = np.zeros_like(grey, bool)
        inside[1:-1, 1:-1] = True
        border = np.argwhere(~inside)
        light = len(border) // 2 + more
        grey[tuple(border[:light].T)] = 128
        grey[inside] = 255
        # A single row counts twice, as both borders, which does not change the shares.
        untouched = light * 2 < len(border)
        recipe = ImageRecipe(height=height, width=width, channels=1, colour="grey")
        assert (decode(encoded(Image.fromarray(grey)), recipe)[..., 0] == grey).all() == untouched

    def test_the_caller_can_invert_a_picture_of_the_models_size(self) -> None:
        grey = np.zeros((28, 28), np.uint8)
        grey[10:18, 10:18] = 200
        data = encoded(Image.fromarray(grey))
        assert (decode(data, PLAIN, "light_on_dark")[..., 0] == grey).all()
        assert decode(data, PLAIN, "dark_on_light")[0, 0, 0] > 200


def photographed(picture: Image.Image) -> Image.Image:
    """Paper lit from one side by a lamp, with noise."""
    pixels = np.asarray(picture, np.float32)
    light = (
        np.linspace(1.0, 0.55, pixels.shape[1])[None, :, None] * np.linspace(1.0, 0.85, pixels.shape[0])[:, None, None]
    )
    noise = np.random.default_rng(1).normal(0, 3, pixels.shape)
    return Image.fromarray((pixels * light + noise).clip(0, 255).astype(np.uint8))


def on_lined_paper(picture: Image.Image) -> Image.Image:
    paper = Image.new("RGB", picture.size, "white")
    for y in range(4, picture.height, 17):
        ImageDraw.Draw(paper).line((0, y, picture.width, y), fill=(200, 215, 235))
    return ImageChops.darker(picture, paper)


def with_bars(picture: Image.Image) -> Image.Image:
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 80, 120, 90), fill="black")
    draw.rectangle((0, 0, 9, 90), fill="black")
    return picture


def with_specks(picture: Image.Image) -> Image.Image:
    for x, y in ((5, 5), (20, 70), (60, 85)):
        picture.putpixel((x, y), (0, 0, 0))
    return picture


class TestInk:
    """A drawing gives the same result with any pen and paper."""

    @pytest.mark.parametrize(
        ("ink", "ground"),
        [("blue", "white"), ("red", "white"), ("orange", "ivory"), ("white", "black"), ("yellow", "darkgreen"),
         ("lightblue", "white"), ((70, 70, 75), (150, 150, 150)), ("red", "olive")],
    )  # fmt: skip
    def test_colours(self, ink: object, ground: object) -> None:
        assert alike(decode(encoded(cross(ink, ground)), INK), decode(encoded(cross()), INK))

    @pytest.mark.parametrize("variant", [photographed, on_lined_paper, with_bars, with_specks])
    def test_marks_around_the_drawing_are_ignored(self, variant: Callable[[Image.Image], Image.Image]) -> None:
        assert alike(decode(encoded(variant(cross())), INK), decode(encoded(cross()), INK))

    def test_position_and_scale(self) -> None:
        wide = Image.new("RGB", (400, 300), "white")
        wide.paste(cross(), (250, 20))
        assert alike(decode(encoded(wide), INK), decode(encoded(cross()), INK))
        assert alike(decode(encoded(cross().resize((960, 720))), INK), decode(encoded(cross()), INK))

    def test_a_thin_line_is_as_strong_as_a_thick_one(self) -> None:
        thin = decode(encoded(cross(pen=1).resize((1200, 900))), INK)
        assert thin.max() > 240

    def test_a_thick_ring_with_a_small_hole_is_no_background(self) -> None:
        picture = Image.new("L", (28, 28), 0)
        ImageDraw.Draw(picture).ellipse((1, 1, 26, 26), fill=255)
        ImageDraw.Draw(picture).ellipse((11, 11, 16, 16), fill=0)
        result = decode(encoded(picture), INK)[..., 0]
        assert result[16, 16] < 60 and result[16, 7] > 200 and result[2, 2] < 60

    def test_two_halves_are_both_kept(self) -> None:
        picture = Image.new("L", (100, 100), 255)
        ImageDraw.Draw(picture).arc((20, 20, 80, 80), 110, 250, fill=0, width=5)
        ImageDraw.Draw(picture).arc((20, 20, 80, 80), 290, 70, fill=0, width=5)
        result = decode(encoded(picture), INK)[..., 0]
        assert result[16, :8].max() > 200 and result[16, -8:].max() > 200

    def test_without_crop_the_position_is_kept(self) -> None:
        result = decode(encoded(cross()), INK.model_copy(update={"crop": False, "margin": 0.0}))[..., 0]
        assert result[:, :16].max() == 0 and result[:, 16:].max() > 200

    @pytest.mark.parametrize("seed", [1, 2])
    def test_noise_alone_is_no_error(self, seed: int) -> None:
        noise = np.random.default_rng(seed).integers(0, 256, (300, 300, 3), np.uint8)
        assert decode(encoded(Image.fromarray(noise)), INK).shape == (32, 32, 1)


VALID = [
    encoded(arrow(size=(24, 16)), format, **options)
    for format, options in (("PNG", {}), ("JPEG", {}), ("WEBP", {}), ("BMP", {}), ("GIF", {}))
] + [
    encoded(arrow("P", (24, 16)), "PNG", transparency=0),
    encoded(arrow("CMYK", (24, 16)), "JPEG"),
    encoded(arrow(size=(24, 16)), "GIF", save_all=True, append_images=[arrow(size=(24, 16)).rotate(90)]),
]
MAGIC = st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\x00\x00\x00WEBPVP8 ", b"BM", b"GIF89a", b""])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture's bytes, some changed, perhaps truncated."""
    data = bytearray(draw(st.sampled_from(VALID)))
    for at, value in draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=8)):
        data[at] = value
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@settings(max_examples=400)
@given(
    st.one_of(st.binary(max_size=200), st.builds(bytes.__add__, MAGIC, st.binary(max_size=200)), damaged()),
    st.sampled_from(RECIPES),
    st.sampled_from(["auto", "light_on_dark", "dark_on_light"]),
)
def test_any_bytes_give_a_picture_or_a_picture_error(data: bytes, recipe: ImageRecipe, polarity: Polarity) -> None:
    try:
        result = decode(data, recipe, polarity, max_pixels=1_000_000)
    except PictureError as error:
        assert str(error)
    else:
        assert result.shape == (recipe.height, recipe.width, recipe.channels)
        assert result.dtype == np.uint8
