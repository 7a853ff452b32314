"""CIFAR-10: 60,000 colour photos of ten classes, 32×32 (Krizhevsky 2009)."""

import zipfile
from pathlib import Path, PurePosixPath

import numpy as np

from serving.artifacts.model_card import Data
from serving.preprocessing.image import ImageRecipe, read
from training.core.array import Array
from training.core.errors import JobError
from training.core.examples import Examples
from training.data import cifar100, sources

RECIPE = ImageRecipe(height=32, width=32, channels=3, colour="rgb")
LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_COPY = "cifar-10-jpeg.zip"


def load(stand_in: bool = False, at_most: int | None = None) -> Examples:
    """Load pictures uint8 [n, 32, 32, 3] and class numbers int64 [n].

    Keras' loader comes first. If it cannot download, the lossy JPEG copy in VITRINE_DATA replaces it, and the name of
    the data says so.

    Args:
        stand_in: use synthetic stripes, one direction per class.
        at_most: maximum number of training pictures.

    Raises:
        JobError: the data set is unavailable.
    """
    name, licence = "CIFAR-10", "none stated (University of Toronto)"
    if stand_in:
        train, test = (cifar100.stripes(count, seed, len(LABELS)) for count, seed in ((5_000, 1), (1_000, 2)))
        origin, licence = "generated", "none needed"
    else:
        try:
            train, test = _downloaded()
            origin = "keras.datasets.cifar10"
        except JobError:
            copy = sources.local(_COPY)
            if copy is None:
                raise
            train, test = from_jpegs(copy)
            name, origin = "CIFAR-10 (JPEG copy)", f"{_COPY} in VITRINE_DATA, lossy"
    (x, y), (x_test, y_test) = train, test
    x, y = x[:at_most], y[:at_most].ravel().astype(np.int64)
    return Examples(
        train=(x, y),
        test=(x_test, y_test.ravel().astype(np.int64)),
        labels=LABELS,
        inputs=sources.picture_statistics(x),
        data=Data(
            name=name,
            source=origin,
            licence=licence,
            stand_in="synthetic stripes in ten directions" if stand_in else None,
            rows={"train": len(x), "test": len(x_test)},
            sha256=sources.digest(x, y),
        ),
    )


def _downloaded() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    import keras

    parts: tuple[tuple[Array, Array], tuple[Array, Array]] = sources.download(
        "CIFAR-10", keras.datasets.cifar10.load_data, _COPY
    )
    return parts


def from_jpegs(path: Path) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Read both parts of a ZIP file of JPEG files, alternating the classes.

    Its files are ``{train,test}/<class>/<number>.jpg``; shapes are those of :func:`load`.

    Raises:
        JobError: the file is invalid, a class is missing, or a picture cannot be decoded.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _part(archive, "train"), _part(archive, "test")
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise JobError(f"{path.name} in VITRINE_DATA cannot be read: {error}") from None


def _part(archive: zipfile.ZipFile, part: str) -> tuple[Array, Array]:
    names = [PurePosixPath(name) for name in archive.namelist()]
    found = [name for name in names if name.suffix == ".jpg" and name.parent.parent.name == part]
    missing = set(LABELS) - {name.parent.name for name in found}
    if missing:
        raise ValueError(f"{part} holds no pictures of {', '.join(sorted(missing))}")
    found.sort(key=lambda name: (name.stem, name.parent.name))
    pictures = np.empty((len(found), RECIPE.height, RECIPE.width, RECIPE.channels), np.uint8)
    for index, name in enumerate(found):
        try:
            pictures[index] = np.asarray(read(archive.read(str(name))))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return pictures, np.array([LABELS.index(name.parent.name) for name in found], np.int64)
