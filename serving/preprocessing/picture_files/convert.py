"""Convert a decoded picture to mode L or RGB, reduced and upright. Memory holds one full-size copy at most."""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from serving.preprocessing.picture_files import orientation
from serving.preprocessing.picture_files.png_16_bit import bits
from serving.preprocessing.picture_files.reader import Decoded

TILE = 512  # side of the tiles in which large pictures are converted
_WHITE = 200  # of 255: lighter pixels are hardly visible on white
_Box = tuple[int, int, int, int]


def convert(decoded: Decoded, times: int) -> Image.Image:
    """Convert to mode L or RGB, reduce by a whole factor, and turn upright."""
    picture = decoded.picture
    if decoded.low is None:
        result = _in_8_bits(picture, times)
    else:
        onto = _on_background if picture.mode == "RGBA" else _tiled
        result = onto(picture.size, times, _of_low_bytes(picture, decoded.low, decoded.low_bands))
    return orientation.upright(result, decoded.orientation)


def _in_8_bits(picture: Image.Image, times: int) -> Image.Image:
    if picture.mode.startswith("I"):  # 16-bit grey
        shift = _grey_bits(picture, times) - 8
        return _tiled(picture.size, times, lambda box: _shifted(_part(picture, box), shift))
    if picture.has_transparency_data:
        return _on_background(picture.size, times, lambda box: _part(picture, box).convert("RGBA"))
    mode = "L" if picture.mode in ("1", "L", "LA") else "RGB"
    if picture.mode == mode:
        return picture if times == 1 else picture.reduce(times)
    return _tiled(picture.size, times, lambda box: _part(picture, box).convert(mode))


def _of_low_bytes(picture: Image.Image, low: Image.Image, bands: str) -> Callable[[_Box], Image.Image]:
    """Return a function that makes tiles of a dark 16-bit colour picture, scaled by the bits that are used.

    Alpha is scaled by its own range.
    """
    colour, alpha = picture.mode[:3], picture.mode[3:]
    most = {band: bits(picture.getchannel(band).histogram()) for band in picture.mode}
    shifts = [max(most[band] for band in colour) - 8] * 3 + [most[band] - 8 for band in alpha]
    channels = ["RGBA".index(band) for band in bands]

    def tile(box: _Box) -> Image.Image:
        high = np.asarray(_part(picture, box)).astype(np.uint16)
        values = high << 8 | np.asarray(_part(low, box))[..., channels]
        return Image.fromarray(np.minimum(values >> np.array(shifts, np.uint16), 255).astype(np.uint8))

    return tile


def _shifted(tile: Image.Image, shift: int) -> Image.Image:
    return Image.fromarray(np.minimum(np.asarray(tile) >> shift, 255).astype(np.uint8))


def _grey_bits(picture: Image.Image, times: int) -> int:
    counts = np.zeros(256, np.int64)
    for box in _boxes(picture.size, times):
        counts += np.bincount((np.asarray(_part(picture, box)) >> 8).ravel(), minlength=256)
    return bits(counts.tolist())


def _on_background(size: tuple[int, int], times: int, rgba_tile: Callable[[_Box], Image.Image]) -> Image.Image:
    """Compose RGBA tiles with a white background, or a black one if the picture itself is white.

    Alpha that is 0 everywhere is ignored: some programs write it for opaque pictures.
    """
    boxes = list(_boxes(size, times))
    if len(boxes) == 1:
        only = rgba_tile(boxes[0])
        return _tiled(size, times, _composed(lambda _: only, boxes))
    return _tiled(size, times, _composed(rgba_tile, boxes))


def _composed(rgba_tile: Callable[[_Box], Image.Image], boxes: list[_Box]) -> Callable[[_Box], Image.Image]:
    visible = dark = 0
    for box in boxes:
        tile = rgba_tile(box)
        alpha = np.asarray(tile.getchannel("A"))
        visible += int(alpha.sum(dtype=np.int64))
        dark += int(alpha[np.asarray(tile.convert("RGB").convert("L")) < _WHITE].sum(dtype=np.int64))
    if not visible:
        return lambda box: rgba_tile(box).convert("RGB")
    colour = "black" if dark < 0.02 * visible else "white"

    def onto(box: _Box) -> Image.Image:
        tile = rgba_tile(box)
        return Image.alpha_composite(Image.new("RGBA", tile.size, colour), tile).convert("RGB")

    return onto


def _tiled(size: tuple[int, int], times: int, tile: Callable[[_Box], Image.Image]) -> Image.Image:
    """Join a picture from tiles that are reduced first.

    Blocks of pixels do not cross tiles, so that the result equals the reduced whole.
    """
    whole: Image.Image | None = None
    for box in _boxes(size, times):
        part = tile(box)
        if times > 1:
            part = part.reduce(times)
        if box == (0, 0, *size):
            return part
        if whole is None:
            whole = Image.new(part.mode, (-(-size[0] // times), -(-size[1] // times)))
        whole.paste(part, (box[0] // times, box[1] // times))
    assert whole is not None
    return whole


def _part(picture: Image.Image, box: _Box) -> Image.Image:
    return picture if box == (0, 0, *picture.size) else picture.crop(box)


def _boxes(size: tuple[int, int], times: int) -> Iterator[_Box]:
    side = times * max(1, TILE // times)
    for top in range(0, size[1], side):
        for left in range(0, size[0], side):
            yield left, top, min(left + side, size[0]), min(top + side, size[1])
