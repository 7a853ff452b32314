"""Noughts and crosses: generated drawings, or pictures from two folders.

The course (004, "transfer_MobileNet") asks for a small set of drawn X and O, one folder each, and later to enlarge it.
:func:`generate` imitates hands, pens and cameras; :func:`from_folders` reads pictures. Both use the preprocessing of
the gateway, :mod:`serving.preprocessing.image`.

Labels: 0 is O and 1 is X, as in the course.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.artifacts.model_card import Data
from serving.inputs import picture_folder
from serving.preprocessing.image import ImageRecipe, PictureError, Pixels, decode, prepare
from training.core.errors import JobError
from training.core.examples import Examples
from training.core.job import JobOptions
from training.data import media, sources, strokes

CLASSES = ("O", "X")


def generate(count_per_class: int, recipe: ImageRecipe, seed: int) -> tuple[Pixels, NDArray[np.int64]]:
    """Generate drawings, alternating O and X.

    Drawings are uint8 [2·count, height, width, channels], labels int64 [2·count]. The same count, recipe and seed give
    the same drawings. A drawing takes about 5 ms on one CPU core.
    """
    rng = np.random.default_rng(seed)
    y = np.tile(np.arange(len(CLASSES)), count_per_class)
    x = np.empty((len(y), recipe.height, recipe.width, recipe.channels), np.uint8)
    for index, label in enumerate(y):
        picture, _ = draw(rng, int(label))
        x[index] = prepare(picture, recipe)
    return x, y


def from_folders(directory: Path, recipe: ImageRecipe) -> tuple[Pixels, NDArray[np.int64]]:
    """Read pictures from the folders ``o`` and ``x`` (in any case), O first.

    Shapes are those of :func:`generate`.

    Raises:
        ValueError: a folder is missing or empty, or holds files that are not readable pictures; the message lists all.
    """
    if not directory.is_dir():
        raise ValueError(f"{directory} is not a folder; one with two folders of pictures, o and x, is expected")
    x, y, refused = [], [], []
    for label, name in enumerate(CLASSES):
        folders = [entry for entry in directory.iterdir() if entry.is_dir() and entry.name.upper() == name]
        files = sorted(
            file for folder in folders for file in folder.iterdir() if not picture_folder.is_left_out(file.name)
        )
        if not files:
            what = "is empty" if folders else "is missing"
            raise ValueError(f"{directory}: the folder {name.lower()} {what}; pictures of both classes are needed")
        for file in files:
            try:
                x.append(decode(file.read_bytes(), recipe))
                y.append(label)
            except (PictureError, OSError) as error:
                refused.append(f"{file.relative_to(directory)}: {error}")
    if refused:
        raise ValueError(f"{directory} holds {len(refused)} files that cannot be used:\n  " + "\n  ".join(refused))
    return np.stack(x), np.array(y, np.int64)


def draw(rng: np.random.Generator, label: int | None = None) -> tuple[Image.Image, int]:
    """Draw one picture of mode L or RGB, 24 to 340 pixels a side; return it with its label.

    The shape of the strokes, the pen and the medium vary. Without a label, O and X are equally likely.
    """
    if label is None:
        label = int(rng.integers(len(CLASSES)))
    drawn = strokes.distort(rng, strokes.o(rng) if label == 0 else strokes.x(rng))
    height, width = media.size(rng)
    ink = media.draw(rng, drawn, height, width)
    medium = media.MEDIA[rng.choice(len(media.MEDIA), p=media.MEDIA_SHARES)]
    return medium(rng, ink), label


def load(options: JobOptions, recipe: ImageRecipe, count_per_class: int) -> Examples:
    """Generate drawings, or read the user's own from ``--data-dir``.

    The test part of generated drawings comes from another seed; of the user's pictures it is every fifth.
    ``extra["others"]`` has real drawings by other people if VITRINE_DATA has ``xo/test``; they are only measured.

    Raises:
        JobError: the folder cannot be used.
    """
    others = sources.local("xo/test")
    try:
        extra = {"others": from_folders(others, recipe)} if others else {}
        own = from_folders(options.data_dir, recipe) if options.data_dir else None
    except (ValueError, OSError) as error:
        raise JobError(str(error)) from None
    if options.data_dir and own:
        x, y = own
        held_out = np.concatenate([np.flatnonzero(y == label)[::5] for label in range(len(CLASSES))])
        fitted = np.setdiff1d(np.arange(len(y)), held_out)
        if not all((y[fitted] == label).any() for label in range(len(CLASSES))):
            raise JobError(f"{options.data_dir}: at least two pictures of each class are needed, one to test on")
        train, test = (x[fitted], y[fitted]), (x[held_out], y[held_out])
        name, origin, licence = (
            f"pictures in {options.data_dir.resolve().name}",
            "two folders of pictures",
            "the user's own",
        )
    else:
        train, test = generate(count_per_class, recipe, seed=2), generate(400, recipe, seed=999)
        name, origin, licence = "generated drawings of X and O", "training.data.noughts_crosses", "none needed"
    return Examples(
        train=train,
        test=test,
        labels=CLASSES,
        extra=extra,
        inputs=sources.picture_statistics(train[0]),
        data=Data(
            name=name,
            source=origin,
            licence=licence,
            rows={"train": len(train[0]), "test": len(test[0])},
            sha256=sources.digest(*train),
        ),
    )
