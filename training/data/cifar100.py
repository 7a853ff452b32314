"""CIFAR-100: 60,000 colour photos of 100 classes, 32×32 (Krizhevsky 2009)."""

import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from serving.artifacts.model_card import Data
from serving.preprocessing.image import ImageRecipe, read
from training.core.array import Array
from training.core.errors import JobError
from training.core.examples import Examples
from training.data import sources

RECIPE = ImageRecipe(height=32, width=32, channels=3, colour="rgb")
_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""
LABELS = tuple(_NAMES.split())
_COPY = "cifar-100-webp.zip"


def load(stand_in: bool = False, at_most: int | None = None) -> Examples:
    """Load pictures uint8 [n, 32, 32, 3] and class numbers int64 [n].

    Keras' loader comes first; it keeps the original order. If it cannot download, the lossless copy in VITRINE_DATA
    replaces it, in an order of its own.

    Args:
        stand_in: use synthetic stripes, one colour and direction per class.
        at_most: maximum number of training pictures.

    Raises:
        JobError: the data set is unavailable.
    """
    if stand_in:
        (x, y), (x_test, y_test) = stripes(5_000, 1, len(LABELS)), stripes(1_000, 2, len(LABELS))
        origin = "generated"
    else:
        import keras

        try:
            (x, y), (x_test, y_test) = sources.download("CIFAR-100", keras.datasets.cifar100.load_data, _COPY)
            origin = "keras.datasets.cifar100"
        except JobError:
            copy = sources.local(_COPY)
            if copy is None:
                raise
            (x, y), (x_test, y_test) = from_webps(copy)
            origin = f"{_COPY} in VITRINE_DATA"
    train = (x[:at_most], y[:at_most].ravel().astype(np.int64))
    test = (x_test, y_test.ravel().astype(np.int64))
    return Examples(
        train=train,
        test=test,
        labels=LABELS,
        inputs=sources.picture_statistics(train[0]),
        data=Data(
            name="CIFAR-100",
            source=origin,
            licence="none needed" if stand_in else "none stated (University of Toronto)",
            stand_in="synthetic stripes in 100 colours and directions" if stand_in else None,
            rows={"train": len(train[0]), "test": len(test[0])},
            sha256=sources.digest(*train),
        ),
    )


def from_webps(path: Path) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Read both parts of a ZIP file of WebP files; shuffle the training part, whose file names sort by class.

    Raises:
        JobError: as in :func:`from_zip`.
    """
    (x, y), test = from_zip(path, LABELS)
    order = np.random.default_rng(1).permutation(len(x))
    return (x[order], y[order]), test


def from_zip(path: Path, labels: Sequence[str]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Read both parts of a ZIP file of JPEG or WebP files, sorted by file name.

    Its files are ``{train,test}/<class>/<name>``; shapes are those of :func:`load`.

    Raises:
        JobError: the file is invalid, a class is missing, or a picture cannot be decoded.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _part(archive, "train", labels), _part(archive, "test", labels)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise JobError(f"{path.name} in VITRINE_DATA cannot be read: {error}") from None


def _part(archive: zipfile.ZipFile, part: str, labels: Sequence[str]) -> tuple[Array, Array]:
    names = [PurePosixPath(name) for name in archive.namelist()]
    found = [name for name in names if name.suffix in (".jpg", ".webp") and name.parent.parent.name == part]
    missing = set(labels) - {name.parent.name for name in found}
    if missing:
        raise ValueError(f"{part} holds no pictures of {', '.join(sorted(missing))}")
    found.sort(key=lambda name: (name.stem, name.parent.name))
    pictures = np.empty((len(found), RECIPE.height, RECIPE.width, RECIPE.channels), np.uint8)
    for index, name in enumerate(found):
        try:
            pictures[index] = np.asarray(read(archive.read(str(name))))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return pictures, np.array([labels.index(name.parent.name) for name in found], np.int64)


def stripes(count: int, seed: int, classes: int) -> tuple[Array, Array]:
    """Generate stripes of ten directions in up to ten colours.

    Pictures are uint8 [count, 32, 32, 3], class numbers int64 [count].
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    y, x = np.mgrid[0:32, 0:32].astype(np.float32)
    angle = (labels % 10) * np.pi / 10
    phase = rng.uniform(0, 2 * np.pi, count)
    along = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    stripes = 0.5 + 0.5 * np.sin(along * 0.7 + phase[:, None, None])
    hue = (labels // 10)[:, None] * 0.6 + np.array([0.0, 2.1, 4.2])
    colours = 128 + 100 * np.sin(hue)
    pictures = stripes[..., None] * colours[:, None, None] + rng.normal(0, 10, (count, 32, 32, 3))
    return pictures.clip(0, 255).astype(np.uint8), labels
