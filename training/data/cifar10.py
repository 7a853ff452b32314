"""CIFAR-10: 60,000 colour photos of ten classes, 32×32 (Krizhevsky 2009)."""

import numpy as np

from serving.artifacts.model_card import Data
from serving.preprocessing.image import ImageRecipe
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
            train, test = cifar100.from_zip(copy, LABELS)
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
