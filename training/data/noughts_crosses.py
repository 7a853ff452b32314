"""Noughts and crosses: generated drawings, or pictures from two folders.

The course (004, "transfer_MobileNet") asks for a small set of drawn X and O, one folder each, and later to enlarge it.
:func:`generate` imitates hands, pens and cameras; :func:`from_folders` reads pictures. Both use the preprocessing of
the gateway, :mod:`serving.preprocessing.image`.

Labels: 0 is O and 1 is X, as in the course.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.artifacts.model_card import Check, Data
from serving.preprocessing.image import ImageRecipe, PictureError, Pixels, prepare
from training.core.examples import Evaluation, Examples
from training.core.gate import OWN_LICENCE
from training.core.job import JobOptions
from training.data import media, sources, strokes
from training.data.pictures import class_folders, own_pictures
from training.data.pictures.class_folders import PARTS, Part

log = logging.getLogger(__name__)

CLASSES = ("O", "X")
#: Kinds of drawings that :func:`draw` makes on request: X as in )( and O as in α, lines of the board, and reflections.
KINDS = ("cursive", "grid", "glare")
_MOST = 20_000  # pictures of a part
_OTHERS = 0.95  # accuracy on real drawings by other people that the gate requires


@dataclass(frozen=True)
class Drawings:
    """The user's pictures by part, of the shapes of :func:`generate`, and a note on skipped files."""

    name: str
    parts: Mapping[Part, tuple[Pixels, NDArray[np.int64]]]
    note: str

    def joined(self, *parts: Part) -> tuple[Pixels, NDArray[np.int64]]:
        """Return the pictures and labels of several parts."""
        pictures, labels = zip(*(self.parts[part] for part in parts), strict=True)
        return np.concatenate(pictures), np.concatenate(labels)


def generate(
    count_per_class: int, recipe: ImageRecipe, seed: int, kind: str | None = None
) -> tuple[Pixels, NDArray[np.int64]]:
    """Generate drawings, alternating O and X.

    Drawings are uint8 [2·count, height, width, channels], labels int64 [2·count]. The same arguments give the same
    drawings. A drawing takes about 5 ms on one CPU core.

    Args:
        count_per_class: half the number of drawings.
        recipe: the preprocessing.
        seed: of all random numbers.
        kind: one of KINDS; without it all kinds occur, with their shares.
    """
    rng = np.random.default_rng(seed)
    y = np.tile(np.arange(len(CLASSES)), count_per_class)
    x = np.empty((len(y), recipe.height, recipe.width, recipe.channels), np.uint8)
    for index, label in enumerate(y):
        x[index] = _drawn(rng, int(label), recipe, kind)
    return x, y


def _drawn(rng: np.random.Generator, label: int, recipe: ImageRecipe, kind: str | None) -> Pixels:
    """Draw and prepare a picture; draw again if it is blank, as one of several thousand is."""
    while True:
        picture, _ = draw(rng, label, kind)
        with contextlib.suppress(PictureError):
            return prepare(picture, recipe)


def from_folders(path: Path, recipe: ImageRecipe, say: Callable[[str], None] = log.info) -> Drawings:
    """Read pictures from the folders ``o`` and ``x`` (in any case), or a ZIP file of them, O first.

    Raises:
        JobError: a folder is missing, empty or too much, or has too few usable pictures.
    """
    class_folders.check(path, CLASSES)
    found = own_pictures.find(path, _MOST, say)
    parts = {part: found.read(part, recipe, say) for part in PARTS}
    return Drawings(found.name, parts, own_pictures.note(found.skipped))


def draw(rng: np.random.Generator, label: int | None = None, kind: str | None = None) -> tuple[Image.Image, int]:
    """Draw one picture of mode L or RGB, 24 to 340 pixels a side; return it with its label.

    The shape of the strokes, the pen and the medium vary. Without a label, O and X are equally likely. With a kind of
    KINDS, the drawing is of that kind.
    """
    if label is None:
        label = int(rng.integers(len(CLASSES)))
    cursive = kind == "cursive"
    drawn = strokes.distort(rng, strokes.o(rng, cursive=cursive) if label == 0 else strokes.x(rng, cursive=cursive))
    height, width = media.size(rng)
    ink = media.draw(rng, drawn, height, width)
    if kind == "grid" or strokes.chance(rng, 0.12):
        ink = np.maximum(ink, media.grid(rng, height, width))
    if kind == "glare":
        return media.photographed(rng, ink, glare=True), label
    medium = media.MEDIA[rng.choice(len(media.MEDIA), p=media.MEDIA_SHARES)]
    return medium(rng, ink), label


def load(options: JobOptions, recipe: ImageRecipe, count_per_class: int) -> Examples:
    """Generate drawings, or read the user's own from ``--data-dir``.

    The test part of generated drawings comes from another seed, the user's from :mod:`training.data.pictures`.
    ``extra["others"]`` has real drawings by other people if VITRINE_DATA has ``xo/test``; they are only measured.

    Raises:
        JobError: the folder cannot be used.
    """
    others = sources.local("xo/test")
    extra = {"others": from_folders(others, recipe).joined(*PARTS)} if others else {}
    notes: tuple[str, ...] = ()
    if options.data_dir:
        own = from_folders(options.data_dir, recipe, options.say)
        train, test = own.joined("train", "validation"), own.joined("test")
        notes = tuple(filter(None, (own.note,)))
        name, origin, licence = f"pictures in {own.name}", "two folders of pictures", OWN_LICENCE
    else:
        train, test = generate(count_per_class, recipe, seed=2), generate(400, recipe, seed=999)
        name, origin, licence = "generated drawings of X and O", "training.data.noughts_crosses", "none needed"
    return Examples(
        train=train,
        test=test,
        labels=CLASSES,
        extra=extra,
        notes=notes,
        inputs=sources.picture_statistics(train[0]),
        data=Data(
            name=name,
            source=origin,
            licence=licence,
            rows={"train": len(train[0]), "test": len(test[0])},
            sha256=sources.digest(*train),
        ),
    )


def checked(evaluation: Evaluation, examples: Examples) -> Evaluation:
    """Add a check of ``others_accuracy`` for the gate, if it was measured after training on generated drawings."""
    accuracy = evaluation.metrics.get("others_accuracy")
    if accuracy is None or examples.data.licence == OWN_LICENCE:
        return evaluation
    check = Check(name="others_accuracy", value=accuracy, bound=_OTHERS, rows=len(examples.extra["others"][0]))
    return replace(evaluation, checks=(*evaluation.checks, check))
