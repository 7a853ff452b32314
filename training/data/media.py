"""Rendering of generated drawings: strokes to ink coverage, ink to a picture.

Ink is float32 0…1 [height, width]. Each function of :data:`MEDIA` turns it into a picture of mode L or RGB: a screen, a
scan, a photo, a blackboard and others.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training.data.strokes import Points, chance

Grey = NDArray[np.floating]


def size(rng: np.random.Generator) -> tuple[int, int]:
    """Return a random height and width in pixels, 24 to 340."""
    side = rng.uniform(26, 60) if chance(rng, 0.3) else np.exp(rng.uniform(np.log(28), np.log(300)))
    aspect = 1.0 if chance(rng, 0.5) else np.exp(rng.normal(0, 0.12))
    return max(24, min(340, round(side / aspect))), max(24, min(340, round(side * aspect)))


def draw(rng: np.random.Generator, strokes: list[Points], height: int, width: int) -> Grey:
    """Render strokes as ink, float32 0…1 [height, width], with a random pen."""
    short = min(height, width)
    fine = 4 if short < 64 else 2
    room = rng.uniform(0.3, 0.98) * short  # longer side of the drawing
    thick = np.exp(rng.uniform(np.log(0.02), np.log(0.34))) * room
    thick = min(max(thick, rng.uniform(0.7, 1.6)), 0.36 * room)
    reach = max(room - thick, 0.55 * room) / 2
    free = np.array([width, height]) - room
    middle = np.array([width, height]) / 2 + free * rng.uniform(-0.5, 0.5, 2) * (1.1 if chance(rng, 0.2) else 0.9)
    pressure = rng.uniform(0, 0.5) if chance(rng, 0.6) else 0.0
    broad, nib = (rng.uniform(0.2, 0.85), rng.uniform(0, np.pi)) if chance(rng, 0.3) else (0.0, 0.0)
    skips = rng.uniform(0.5, 0.95) if chance(rng, 0.15) else 1.0  # a dry pen
    plane = Image.new("L", (width * fine, height * fine))
    pen = ImageDraw.Draw(plane)
    for stroke in strokes:
        points = (stroke * reach + middle) * fine
        step = np.diff(points, axis=0, append=points[-1:])
        t = np.linspace(0, 1, len(points))
        widths = 1 + pressure * np.sin(2 * np.pi * (t * rng.uniform(0.4, 1.6) + rng.random()))
        widths *= 1 - broad * np.abs(np.cos(np.arctan2(step[:, 1], step[:, 0]) - nib))
        widths = np.maximum(widths * thick * fine, 1.0)
        wet = np.sin(2 * np.pi * (t * rng.uniform(1, 4) + rng.random())) < skips
        for (x, y), (to_x, to_y), across in zip(points[wet], (points + step)[wet], widths[wet], strict=True):
            pen.line((x, y, to_x, to_y), fill=255, width=max(1, round(across)))
            if across > 2:
                pen.ellipse((x - across / 2, y - across / 2, x + across / 2, y + across / 2), fill=255)
    return np.asarray(plane.reduce(fine), np.float32) / 255


def grid(rng: np.random.Generator, height: int, width: int) -> Grey:
    """Draw lines of the board along one to four sides, as ink, 0…1 [height, width]; some are cut by the border."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    ink = np.zeros((height, width), np.float32)
    sides = (
        (y, x / width, height),
        (height - 1 - y, x / width, height),
        (x, y / height, width),
        (width - 1 - x, y / height, width),
    )
    for index in rng.permutation(4)[: rng.integers(1, 5)]:
        inside, along, size = sides[index]
        middle = size * (rng.uniform(-0.01, 0.07) + rng.normal(0, 0.03) * (along - 0.5))
        thick = max(1.0, size * rng.uniform(0.01, 0.05))
        line = np.clip(thick / 2 + 0.5 - np.abs(inside - middle), 0, 1)
        if chance(rng, 0.3):  # a line that ends within the picture
            line *= (along > rng.uniform(0, 0.4)) if chance(rng, 0.5) else (along < rng.uniform(0.6, 1))
        ink = np.maximum(ink, line * rng.uniform(0.6, 1))
    return ink


def _glare(rng: np.random.Generator, height: int, width: int) -> Grey:
    """Return the reflection of a lamp or window, 0…1 [height, width]: a soft spot or a streak."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    x, y = x / width - rng.uniform(0, 1), y / height - rng.uniform(0, 1)
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    length, thick = (rng.uniform(0.5, 3), rng.uniform(0.02, 0.08)) if chance(rng, 0.3) else rng.uniform(0.04, 0.18, 2)
    spot: Grey = rng.uniform(0.3, 1.0) * np.exp(-((along / length) ** 2) - (across / thick) ** 2)
    return spot


def _colour(rng: np.random.Generator, low: float, high: float, colourful: float) -> NDArray[np.float32]:
    """Return a random colour, 0…255 [3], of a brightness between ``low`` and ``high``."""
    grey = rng.uniform(low, high)
    return np.clip(grey + colourful * rng.normal(0, 1, 3), 0, 255).astype(np.float32)


def _blend(ink: Grey, pen: NDArray[np.float32], ground: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blend ink of one colour over a ground, float32 [height, width, 3]."""
    return ground + ink[..., None] * (pen - ground)


def _picture(pixels: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _as_jpeg(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(rng.integers(25, 95)))
    return Image.open(file, formats=["JPEG"]).copy()


def _on_screen(rng: np.random.Generator, ink: Grey) -> Image.Image:
    """Canvas of a drawing program: flat colours of either polarity, sometimes aliased."""
    if chance(rng, 0.15):
        ink = (ink > 0.5).astype(np.float32)
    dark, light = _colour(rng, 0, 50, 25), _colour(rng, 215, 255, 10)
    if chance(rng, 0.6):
        dark, light = np.zeros(3, np.float32), np.full(3, 255, np.float32)
    return _picture(_blend(ink, dark, light) if chance(rng, 0.5) else _blend(ink, light, dark))


def _pen_on_paper(rng: np.random.Generator, ink: Grey) -> Image.Image:
    """Scan of a pen on light paper, sometimes lined or squared, slightly blurred."""
    paper, pen = _colour(rng, 215, 255, 5), _colour(rng, 0, 140, 45)
    pixels: Grey = np.broadcast_to(paper, (*ink.shape, 3))
    if chance(rng, 0.2):
        lines = _lines(rng, *ink.shape)
        pixels = _blend(lines * rng.uniform(0.1, 0.6), _colour(rng, 120, 200, 30), pixels)
    blurred = _blur(ink, rng.uniform(0, 0.01) * min(ink.shape))
    pixels = _blend(blurred * rng.uniform(0.6, 1.0), pen, pixels) + rng.normal(0, rng.uniform(0, 5), (*ink.shape, 1))
    picture = _picture(pixels)
    return _as_jpeg(rng, picture) if chance(rng, 0.6) else picture


def photographed(rng: np.random.Generator, ink: Grey, *, glare: bool = False) -> Image.Image:
    """Photo by a phone: uneven light, shadow, sometimes glare, blur, noise and JPEG artefacts."""
    height, width = ink.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    slope = rng.normal(0, 0.25, 2)
    light = 1 + slope[0] * x + slope[1] * y - rng.uniform(0, 0.6) * (x * x + y * y)
    if chance(rng, 0.35):
        angle, soft = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.2)
        edge = (np.cos(angle) * x + np.sin(angle) * y - rng.uniform(-0.4, 0.4)) / soft
        light = light * (1 - rng.uniform(0.05, 0.35) / (1 + np.exp(-np.clip(edge, -30, 30))))
    pixels = np.broadcast_to(_colour(rng, 150, 235, 8), (height, width, 3))
    if chance(rng, 0.25):
        pixels = _blend(_lines(rng, height, width) * rng.uniform(0.1, 0.5), _colour(rng, 100, 180, 30), pixels)
    blurred = _blur(ink, rng.uniform(0, 0.015) * min(ink.shape) + 0.3)
    pixels = _blend(blurred * rng.uniform(0.7, 1.0), _colour(rng, 5, 90, 30), pixels) * light[..., None]
    if glare or chance(rng, 0.3):
        pixels = _blend(_glare(rng, height, width), np.full(3, rng.uniform(235, 265), np.float32), pixels)
    return _as_jpeg(rng, _picture(pixels + rng.normal(0, rng.uniform(1, 9), pixels.shape)))


def _chalked(rng: np.random.Generator, ink: Grey) -> Image.Image:
    """Chalk on a board or a light marker on dark paper, with grain and dust."""
    grain = _blur(rng.random(ink.shape, np.float32), rng.uniform(0.3, 1.0))
    grain = np.clip(0.5 + (grain - grain.mean()) / max(float(grain.std()), 1e-6) * rng.uniform(0, 0.35), 0, 1)
    chalk = np.clip(ink * (0.5 + grain), 0, 1)
    pixels = _blend(chalk, _colour(rng, 190, 250, 15), _colour(rng, 20, 80, 12))
    return _picture(pixels + rng.normal(0, rng.uniform(0, 8), ink.shape)[..., None])


def _thresholded(rng: np.random.Generator, ink: Grey) -> Image.Image:
    """Camera picture thresholded to black and white, as board readers do.

    Thin parts break off, edges fray, and specks and pieces of the board's lines remain.
    """
    ink = _blur(ink, rng.uniform(0, 0.03) * min(ink.shape))
    uneven = _blur(rng.normal(0, 1, ink.shape).astype(np.float32), rng.uniform(0.5, 2.5))
    uneven *= rng.uniform(0, 0.15) / max(float(uneven.std()), 1e-6)
    black = ink + uneven > rng.uniform(0.25, 0.6) * max(float(ink.max()), 0.5)
    if chance(rng, 0.4):
        for line in (black, black[::-1], black.T, black.T[::-1]):
            if chance(rng, 0.4):
                slope = np.linspace(0, rng.uniform(0, 0.06), line.shape[1]) + rng.uniform(0, 0.12)
                line |= np.arange(line.shape[0])[:, None] < slope * line.shape[0]
    if chance(rng, 0.3):
        black |= rng.random(ink.shape) < rng.uniform(0, 0.006)
    pixels = black * 255.0 if chance(rng, 0.6) else 255.0 - black * 255.0
    picture = _picture(pixels)
    return _as_jpeg(rng, picture) if chance(rng, 0.6) else picture


def _small_and_soft(rng: np.random.Generator, ink: Grey) -> Image.Image:
    """Light on black, resampled more than once, as in data sets of 28×28 digits."""
    picture = _picture(_blur(ink, rng.uniform(0, 0.03) * min(ink.shape)) * rng.uniform(200, 330))
    side = int(rng.integers(24, 49))
    return picture.resize((side, side), Image.Resampling.BICUBIC)


MEDIA: tuple[Callable[[np.random.Generator, Grey], Image.Image], ...] = (
    _on_screen,
    _pen_on_paper,
    photographed,
    _chalked,
    _thresholded,
    _small_and_soft,
)
MEDIA_SHARES = (0.20, 0.20, 0.17, 0.08, 0.21, 0.14)


def _lines(rng: np.random.Generator, height: int, width: int) -> Grey:
    """Draw printed lines or squares, 0…1 [height, width]."""
    apart = rng.uniform(0.12, 0.4) * min(height, width)
    y, x = np.mgrid[0:height, 0:width] + rng.uniform(0, apart)
    lines = (y + rng.normal(0, 0.05) * x) % apart < max(1.0, apart * 0.05)
    if chance(rng, 0.4):
        lines |= x % apart < max(1.0, apart * 0.05)
    drawn: Grey = lines.astype(np.float32)
    return drawn


def _blur(plane: Grey, radius: float) -> Grey:
    if radius < 0.2:
        return plane
    low, span = float(plane.min()), max(float(np.ptp(plane)), 1e-6)
    blurred = _picture((plane - low) * (255 / span)).filter(ImageFilter.GaussianBlur(radius))
    restored: Grey = np.asarray(blurred, np.float32) * (span / 255) + low
    return restored
