"""Noughts and crosses: a generator that imitates hands, pens and cameras, and pictures from two folders.

The course (004, "transfer_MobileNet") asks for a small set of drawn X and O, each kind in its folder, and then who will
enlarge it. :func:`generate` draws as many as wanted; :func:`from_folders` takes one's own. Both bring their pictures to
the model's input by :func:`serving.preprocessing.image.prepare`, as serving does, so a model meets one kind of input
only.

Labels: 0 is O and 1 is X, as in the course.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.artifacts.model_card import Data
from serving.inputs import picture_folder
from serving.preprocessing import image as images
from training.core.errors import JobError
from training.core.examples import Examples
from training.core.job import JobOptions
from training.data import media, sources, strokes

CLASSES = ("O", "X")


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
        files = sorted(
            file for folder in folders for file in folder.iterdir() if not picture_folder.is_left_out(file.name)
        )
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


def draw(rng: np.random.Generator, label: int | None = None) -> tuple[Image.Image, int]:
    """One drawing as people have it: a picture of mode L or RGB, 24 to 340 pixels a side, and its label.

    Without a label, O or X by chance. What varies: the shape of the strokes, the pen, and how the picture was made.
    """
    if label is None:
        label = int(rng.integers(len(CLASSES)))
    drawn = strokes.held(rng, strokes.o(rng) if label == 0 else strokes.x(rng))
    height, width = media.size(rng)
    ink = media.inked(rng, drawn, height, width)
    medium = media.MEDIA[rng.choice(len(media.MEDIA), p=media.MEDIA_SHARES)]
    return medium(rng, ink), label


def load(options: JobOptions, recipe: images.ImageRecipe, count_per_class: int) -> Examples:
    """Generated drawings, or one's own from ``--data-dir`` with every fifth held out for the test.

    The test part of the generated set comes from another seed. Real drawings of others, ``xo/test`` in VITRINE_DATA,
    are kept in ``extra["others"]`` where they are at hand; nothing is ever trained on them.

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
            raise JobError(f"{options.data_dir}: at least two pictures of each kind are needed, one to test on")
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
