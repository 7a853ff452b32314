"""Noughts and crosses: a generator that imitates hands, pens and cameras, and pictures from two folders.

The course (004, "transfer_MobileNet") asks for a small set of drawn X and O, each kind in its folder, and then who will
enlarge it. :func:`generate` draws as many as wanted; :func:`from_folders` takes one's own. Both bring their pictures to
the model's input by :func:`serving.images.prepare`, as serving does, so a model meets one kind of input only.

Labels: 0 is O and 1 is X, as in the course.
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from serving import images

CLASSES = ("O", "X")
_NOT_PICTURES = {"thumbs.db", "desktop.ini"}  # left in folders by file managers, as names with a leading dot are

Points = NDArray[np.float64]
Grey = NDArray[np.float32]


def generate(count_per_class: int, recipe: images.ImageRecipe, seed: int) -> tuple[images.Pixels, NDArray[np.int64]]:
    """Drawings as a model's input, O and X in turn: x uint8 [2·count, height, width, channels], y int64 [2·count].

    The same count, recipe and seed give the same drawings. Takes about 5 ms a drawing on one CPU core.
    """
    rng = np.random.default_rng(seed)
    y = np.tile(np.arange(len(CLASSES)), count_per_class)
    x = np.empty((len(y), recipe.height, recipe.width, recipe.channels), np.uint8)
    for index, label in enumerate(y):
        picture, _ = draw(rng, int(label))
        x[index] = images.prepare(picture, recipe)
    return x, y


def from_folders(directory: Path, recipe: images.ImageRecipe) -> tuple[images.Pixels, NDArray[np.int64]]:
    """One's own pictures from the folders ``o`` and ``x`` (in any case), O first: shapes as in :func:`generate`.

    Raises:
        ValueError: a folder is missing or empty, or files in it are no pictures that can be read; all are named.
    """
    if not directory.is_dir():
        raise ValueError(f"{directory} is not a folder; one with two folders of pictures, o and x, is expected")
    x, y, refused = [], [], []
    for label, name in enumerate(CLASSES):
        folders = [entry for entry in directory.iterdir() if entry.is_dir() and entry.name.upper() == name]
        files = sorted(file for folder in folders for file in folder.iterdir() if not _is_hidden(file))
        if not files:
            what = "is empty" if folders else "is missing"
            raise ValueError(f"{directory}: the folder {name.lower()} {what}; pictures of both kinds are needed")
        for file in files:
            try:
                x.append(images.decode(file.read_bytes(), recipe))
                y.append(label)
            except (images.PictureError, OSError) as error:
                refused.append(f"{file.relative_to(directory)}: {error}")
    if refused:
        raise ValueError(f"{directory} holds {len(refused)} files that cannot be used:\n  " + "\n  ".join(refused))
    return np.stack(x), np.array(y, np.int64)


def _is_hidden(file: Path) -> bool:
    return file.name.startswith(".") or file.name.lower() in _NOT_PICTURES


def draw(rng: np.random.Generator, label: int | None = None) -> tuple[Image.Image, int]:
    """One drawing as people have it: a picture of mode L or RGB, 24 to 340 pixels a side, and its label.

    Without a label, O or X by chance. What varies: the shape of the strokes, the pen, and how the picture was made.
    """
    if label is None:
        label = int(rng.integers(len(CLASSES)))
    strokes = _o(rng) if label == 0 else _x(rng)
    strokes = _held(rng, strokes)
    height, width = _size(rng)
    ink = _inked(rng, strokes, height, width)
    medium = rng.choice(_MEDIA, p=_MEDIA_SHARES)
    return medium(rng, ink), label


# The hand: strokes as lists of points [n, 2], x to the right and y down, the drawing about 2 wide.


def _chance(rng: np.random.Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


def _bezier(points: list[tuple[float, float]], count: int = 48) -> Points:
    """A Bézier curve of any degree through its end points, [count, 2] (de Casteljau)."""
    t = np.linspace(0, 1, count)[:, None, None]
    level = np.broadcast_to(np.array(points, float), (count, len(points), 2))
    while level.shape[1] > 1:
        level = level[:, :-1] * (1 - t) + level[:, 1:] * t
    return level[:, 0]


def _unsteady(rng: np.random.Generator, stroke: Points, much: float) -> Points:
    """The stroke with slow drift and a little tremor."""
    t = np.linspace(0, 1, len(stroke))
    drift = np.zeros_like(stroke)
    for waves in (1.0, 2.0, 3.0, 5.0, 9.0):
        phase = rng.uniform(0, 2 * np.pi, 2)
        drift += rng.normal(0, much / waves, 2) * np.sin(2 * np.pi * waves * t[:, None] + phase)
    return stroke + drift


def _x(rng: np.random.Generator) -> list[Points]:
    """Two strokes that cross, seldom in the middle; now and then two arcs back to back, or one stroke with a loop."""
    kind = rng.choice(["crossing", "arcs", "loop"], p=[0.84, 0.06, 0.10])
    much = rng.uniform(0.0, 0.05)
    if kind == "arcs":
        gap, bulge = rng.normal(0.05, 0.06), rng.uniform(0.6, 1.0)
        halves = [
            [(side * 0.8, -1.0), (side * (gap - bulge / 2), -0.3), (side * (gap - bulge / 2), 0.3), (side * 0.8, 1.0)]
            for side in (-1.0, 1.0)
        ]
        return [_unsteady(rng, _bezier(half), much) for half in halves]
    ends = []
    for sign in (1.0, -1.0):
        angle = sign * np.deg2rad(np.clip(rng.normal(45, 9), 22, 68))
        along = np.array([np.cos(angle), np.sin(angle)])
        middle = rng.normal(0, 0.10, 2) + along * rng.normal(0, 0.12)
        reach = along * np.clip(rng.normal(1.15, 0.18), 0.7, 1.7)
        ends.append((middle - reach, middle + reach, np.array([-along[1], along[0]])))
    if kind == "loop":
        (first, second, _), (third, fourth, _) = ends  # top left to bottom right, round, bottom left to top right
        out = rng.uniform(0.2, 0.7)
        one_way = [first, second, second + (second - first) * out, third + (third - fourth) * out, third, fourth]
        other_way = [first, second, second + (second - first) * out, fourth + (fourth - third) * out, fourth, third]
        corner = one_way if _chance(rng, 0.5) else other_way
        pieces = [_bezier(corner[:2], 24), _bezier(corner[1:5], 24), _bezier(corner[4:], 24)]
        return [_unsteady(rng, np.concatenate([pieces[0], pieces[1][1:], pieces[2][1:]]), much)]
    strokes = []
    for start, end, across in ends:
        bend = across * rng.normal(0, 0.15)
        turn = across * rng.normal(0, 0.12)
        stroke = _bezier([start, start * 0.65 + end * 0.35 + bend + turn, start * 0.35 + end * 0.65 + bend - turn, end])
        if _chance(rng, 0.15):  # a hook where the pen was put down or lifted
            back = -0.25 * (end - start) * rng.uniform(0.2, 0.7) + across * rng.normal(0, 0.25)
            stroke = np.concatenate([stroke, _bezier([end, end + 0.1 * (end - start), end + back], 12)[1:]])
        strokes.append(_unsteady(rng, stroke, much))
    return strokes


def _o(rng: np.random.Generator) -> list[Points]:
    """A loop: closed, a little open, run over or ending inside; now and then drawn as two halves."""
    much = rng.uniform(0.0, 0.06)
    start = rng.normal(-np.pi / 2, 0.9) if _chance(rng, 0.8) else rng.uniform(0, 2 * np.pi)
    if _chance(rng, 0.08):
        gaps = rng.normal(0.0, 0.25, 2)
        arcs = [(start + half * np.pi + gaps[half], start + (half + 1) * np.pi) for half in (0, 1)]
        lefts = rng.normal(0, 0.06, (2, 2))
    else:
        excess = rng.choice([rng.normal(5, 14), rng.normal(0, 30), rng.uniform(20, 200)], p=[0.55, 0.3, 0.15])
        arcs = [(start, start + 2 * np.pi + np.deg2rad(max(float(excess), -75.0)))]
        lefts = np.zeros((1, 2))
    direction = rng.choice([-1.0, 1.0])
    spiral = rng.normal(0, 0.10)
    corners = np.exp(rng.normal(np.log(2), 0.2))  # below 2 a lozenge, above it a rounded square
    point = rng.uniform(0.1, 0.5) if _chance(rng, 0.3) else 0.0  # where the pen was put down
    bumps = [(waves, rng.normal(0, 0.10 / waves), rng.uniform(0, 2 * np.pi)) for waves in (2, 3, 4)]
    strokes = []
    for (begin, end), left in zip(arcs, lefts, strict=True):
        angle = np.linspace(begin, end, 72)
        radius = (np.abs(np.cos(angle)) ** corners + np.abs(np.sin(angle)) ** corners) ** (-1 / corners)
        radius = radius + spiral * (angle - begin) / (2 * np.pi)
        radius = radius + point * np.exp(-((np.angle(np.exp(1j * (angle - start))) / 0.35) ** 2))
        for waves, height, phase in bumps:
            radius = radius + height * np.sin(waves * angle + phase)
        stroke = np.stack([radius * np.cos(direction * angle), radius * np.sin(direction * angle)], axis=1) + left
        if _chance(rng, 0.25):  # lifted with a tail, inward or outward
            away = stroke[-1] * rng.uniform(-0.6, 0.5) + (stroke[-1] - stroke[-4]) * rng.uniform(0, 2)
            stroke = np.concatenate(
                [stroke, _bezier([stroke[-1], 2 * stroke[-1] - stroke[-3], stroke[-1] + away], 10)[1:]]
            )
        strokes.append(_unsteady(rng, stroke, much))
    return strokes


def _held(rng: np.random.Generator, strokes: list[Points]) -> list[Points]:
    """As the paper or the camera was held: stretched, slanted, turned; the whole within -1…1."""
    stretch = np.exp(rng.normal(0, 0.22))
    slant = rng.normal(0, 0.25)
    turn = np.deg2rad(np.clip(rng.normal(0, 14), -40, 40))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.array(
        [[stretch, slant], [0, 1 / stretch]]
    )
    strokes = [stroke @ matrix.T for stroke in strokes]
    every = np.concatenate(strokes)
    middle, reach = (every.max(axis=0) + every.min(axis=0)) / 2, np.ptp(every, axis=0).max() / 2
    return [(stroke - middle) / reach for stroke in strokes]


# The pen: how much ink lies on each pixel, 0…1.


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """The picture's height and width in pixels."""
    side = rng.uniform(26, 60) if _chance(rng, 0.3) else np.exp(rng.uniform(np.log(28), np.log(300)))
    aspect = 1.0 if _chance(rng, 0.5) else np.exp(rng.normal(0, 0.12))
    return max(24, min(340, round(side / aspect))), max(24, min(340, round(side * aspect)))


def _inked(rng: np.random.Generator, strokes: list[Points], height: int, width: int) -> Grey:
    """The strokes on the picture's plane, float32 0…1 [height, width]: round or broad nib, seldom even pressure."""
    short = min(height, width)
    fine = 4 if short < 64 else 2
    room = rng.uniform(0.3, 0.98) * short  # the drawing's longer side
    thick = np.exp(rng.uniform(np.log(0.02), np.log(0.34))) * room
    thick = min(max(thick, rng.uniform(0.7, 1.6)), 0.36 * room)
    reach = max(room - thick, 0.55 * room) / 2
    free = np.array([width, height]) - room
    middle = np.array([width, height]) / 2 + free * rng.uniform(-0.5, 0.5, 2) * (1.1 if _chance(rng, 0.2) else 0.9)
    pressure = rng.uniform(0, 0.5) if _chance(rng, 0.6) else 0.0
    broad, nib = (rng.uniform(0.2, 0.85), rng.uniform(0, np.pi)) if _chance(rng, 0.3) else (0.0, 0.0)
    skips = rng.uniform(0.5, 0.95) if _chance(rng, 0.15) else 1.0  # a dry pen
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


# The medium: from ink to a picture.


def _colour(rng: np.random.Generator, low: float, high: float, colourful: float) -> NDArray[np.float32]:
    """A colour of about the given brightness, 0…255 [3]."""
    grey = rng.uniform(low, high)
    return np.clip(grey + colourful * rng.normal(0, 1, 3), 0, 255).astype(np.float32)


def _laid(ink: Grey, pen: NDArray[np.float32], ground: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ink of a colour on a ground, float32 [height, width, 3]."""
    return ground + ink[..., None] * (pen - ground)


def _picture(pixels: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _as_jpeg(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(rng.integers(25, 95)))
    return Image.open(file, formats=["JPEG"]).copy()


def _on_screen(rng: np.random.Generator, ink: Grey) -> Image.Image:
    """A drawing program's or web page's canvas: flat colours, either way round, perhaps without smooth edges."""
    if _chance(rng, 0.15):
        ink = (ink > 0.5).astype(np.float32)
    dark, light = _colour(rng, 0, 50, 25), _colour(rng, 215, 255, 10)
    if _chance(rng, 0.6):
        dark, light = np.zeros(3, np.float32), np.full(3, 255, np.float32)
    return _picture(_laid(ink, dark, light) if _chance(rng, 0.5) else _laid(ink, light, dark))


def _pen_on_paper(rng: np.random.Generator, ink: Grey) -> Image.Image:
    """A scan: a pen of any colour on light paper, lined or squared at times, a little blurred."""
    paper, pen = _colour(rng, 215, 255, 5), _colour(rng, 0, 140, 45)
    pixels = np.broadcast_to(paper, (*ink.shape, 3))
    if _chance(rng, 0.2):
        lines = _lines(rng, *ink.shape)
        pixels = _laid(lines * rng.uniform(0.1, 0.6), _colour(rng, 120, 200, 30), pixels)
    blurred = _blurred(ink, rng.uniform(0, 0.01) * min(ink.shape))
    pixels = _laid(blurred * rng.uniform(0.6, 1.0), pen, pixels) + rng.normal(0, rng.uniform(0, 5), (*ink.shape, 1))
    picture = _picture(pixels)
    return _as_jpeg(rng, picture) if _chance(rng, 0.6) else picture


def _photographed(rng: np.random.Generator, ink: Grey) -> Image.Image:
    """A phone's photo: uneven light, a shadow with a soft edge, lined paper at times, blur, noise, JPEG."""
    height, width = ink.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    slope = rng.normal(0, 0.25, 2)
    light = 1 + slope[0] * x + slope[1] * y - rng.uniform(0, 0.6) * (x * x + y * y)
    if _chance(rng, 0.35):
        angle, soft = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.2)
        edge = (np.cos(angle) * x + np.sin(angle) * y - rng.uniform(-0.4, 0.4)) / soft
        light = light * (1 - rng.uniform(0.05, 0.35) / (1 + np.exp(-np.clip(edge, -30, 30))))
    pixels = np.broadcast_to(_colour(rng, 150, 235, 8), (height, width, 3))
    if _chance(rng, 0.25):
        pixels = _laid(_lines(rng, height, width) * rng.uniform(0.1, 0.5), _colour(rng, 100, 180, 30), pixels)
    blurred = _blurred(ink, rng.uniform(0, 0.015) * min(ink.shape) + 0.3)
    pixels = _laid(blurred * rng.uniform(0.7, 1.0), _colour(rng, 5, 90, 30), pixels) * light[..., None]
    return _as_jpeg(rng, _picture(pixels + rng.normal(0, rng.uniform(1, 9), pixels.shape)))


def _chalked(rng: np.random.Generator, ink: Grey) -> Image.Image:
    """Chalk on a board or a light marker on dark paper: grains, and dust all over."""
    grain = _blurred(rng.random(ink.shape, np.float32), rng.uniform(0.3, 1.0))
    grain = np.clip(0.5 + (grain - grain.mean()) / max(float(grain.std()), 1e-6) * rng.uniform(0, 0.35), 0, 1)
    chalk = np.clip(ink * (0.5 + grain), 0, 1)
    pixels = _laid(chalk, _colour(rng, 190, 250, 15), _colour(rng, 20, 80, 12))
    return _picture(pixels + rng.normal(0, rng.uniform(0, 8), ink.shape)[..., None])


def _thresholded(rng: np.random.Generator, ink: Grey) -> Image.Image:
    """A camera's picture reduced to black and white, as programs that read a board make it.

    Thin parts break off, edges fray, specks and pieces of the board's own lines remain.
    """
    ink = _blurred(ink, rng.uniform(0, 0.03) * min(ink.shape))
    uneven = _blurred(rng.normal(0, 1, ink.shape).astype(np.float32), rng.uniform(0.5, 2.5))
    uneven *= rng.uniform(0, 0.15) / max(float(uneven.std()), 1e-6)
    black = ink + uneven > rng.uniform(0.25, 0.6) * max(float(ink.max()), 0.5)
    if _chance(rng, 0.4):
        for line in (black, black[::-1], black.T, black.T[::-1]):
            if _chance(rng, 0.4):
                slope = np.linspace(0, rng.uniform(0, 0.06), line.shape[1]) + rng.uniform(0, 0.12)
                line |= np.arange(line.shape[0])[:, None] < slope * line.shape[0]
    if _chance(rng, 0.3):
        black |= rng.random(ink.shape) < rng.uniform(0, 0.006)
    pixels = black * 255.0 if _chance(rng, 0.6) else 255.0 - black * 255.0
    picture = _picture(pixels)
    return _as_jpeg(rng, picture) if _chance(rng, 0.6) else picture


def _small_and_soft(rng: np.random.Generator, ink: Grey) -> Image.Image:
    """Light on black, enlarged or reduced more than once, as sets of 28×28 digits are."""
    picture = _picture(_blurred(ink, rng.uniform(0, 0.03) * min(ink.shape)) * rng.uniform(200, 330))
    side = int(rng.integers(24, 49))
    return picture.resize((side, side), Image.Resampling.BICUBIC)


_MEDIA: tuple[Callable[[np.random.Generator, Grey], Image.Image], ...] = (
    _on_screen,
    _pen_on_paper,
    _photographed,
    _chalked,
    _thresholded,
    _small_and_soft,
)
_MEDIA_SHARES = (0.20, 0.20, 0.17, 0.08, 0.21, 0.14)


def _lines(rng: np.random.Generator, height: int, width: int) -> Grey:
    """Printed lines or squares, 0…1 [height, width]."""
    apart = rng.uniform(0.12, 0.4) * min(height, width)
    y, x = np.mgrid[0:height, 0:width] + rng.uniform(0, apart)
    lines = (y + rng.normal(0, 0.05) * x) % apart < max(1.0, apart * 0.05)
    if _chance(rng, 0.4):
        lines |= x % apart < max(1.0, apart * 0.05)
    return lines.astype(np.float32)


def _blurred(plane: Grey, radius: float) -> Grey:
    if radius < 0.2:
        return plane
    low, span = float(plane.min()), max(float(np.ptp(plane)), 1e-6)
    blurred = _picture((plane - low) * (255 / span)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(blurred, np.float32) * (span / 255) + low
