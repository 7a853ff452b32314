"""MNIST: 70,000 handwritten digits, grey 28×28, light on dark.

Source: LeCun, Cortes, Burges.
"""

import zipfile

import numpy as np

from serving.artifacts.model_card import Data
from serving.preprocessing.image import ImageRecipe
from training.core.array import Array
from training.core.errors import JobError
from training.core.examples import Examples
from training.data import fashion_mnist, sources

LABELS = tuple("0123456789")
#: A digit fills 20 of 28 pixels, hence the margin.
RECIPE = ImageRecipe(height=28, width=28, channels=1, colour="grey", crop=True, margin=0.2)
_FILE = "mnist.npz"


def load(stand_in: bool = False, at_most: int | None = None) -> Examples:
    """Load the data set in its original order.

    Pictures are uint8 [n, 28, 28, 1], class numbers int64 [n].

    Args:
        stand_in: use synthetic silhouettes.
        at_most: maximum number of training pictures.

    Raises:
        JobError: the data set is unavailable.
    """
    if stand_in:
        (x, y), (x_test, y_test) = (fashion_mnist.silhouettes(count, seed) for count, seed in ((6_000, 3), (1_000, 4)))
        origin = "generated"
    else:
        (x, y), (x_test, y_test), origin = _real()
    train = (x[:at_most, ..., None], y[:at_most].astype(np.int64))
    return Examples(
        train=train,
        test=(x_test[..., None], y_test.astype(np.int64)),
        labels=LABELS,
        inputs=sources.picture_statistics(train[0]),
        data=Data(
            name="MNIST",
            source=origin,
            licence="none needed" if stand_in else "CC BY-SA 3.0 (LeCun, Cortes)",
            stand_in="synthetic silhouettes of ten shapes, none of them a digit" if stand_in else None,
            rows={"train": len(train[0]), "test": len(x_test)},
            sha256=sources.digest(*train),
        ),
    )


def _real() -> tuple[tuple[Array, Array], tuple[Array, Array], str]:
    path = sources.local(_FILE)
    if path:
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                parts = [arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")]
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise JobError(f"{_FILE} in VITRINE_DATA cannot be read: {error}") from None
        return (parts[0], parts[1]), (parts[2], parts[3]), f"{_FILE} in VITRINE_DATA"

    import keras

    train, test = sources.download("MNIST", keras.datasets.mnist.load_data, _FILE)
    return train, test, "keras.datasets.mnist"
