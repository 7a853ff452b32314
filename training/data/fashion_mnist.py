"""Fashion-MNIST: 70,000 grey pictures of garments, 28×28, light on dark.

Source: Zalando Research, MIT licence.
"""

import gzip

import numpy as np

from serving.artifacts.model_card import Data
from serving.preprocessing.image import ImageRecipe
from training.core.array import Array
from training.core.errors import JobError
from training.core.examples import Examples
from training.data import sources
from training.data.pictures.photographed import photographed
from training.data.pictures.unlike import Exposure, resampled, textures

LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
RECIPE = ImageRecipe(height=28, width=28, channels=1, colour="grey", crop=True, cut_out=True)
PURPOSE = (
    "For catalogue pictures of 28×28 pixels, as in Fashion-MNIST. For photographs of clothes, use clothing_photos."
)
_SHOES = ("Sandal", "Sneaker", "Ankle boot")
_PLAIN, _RESAMPLED, _VARIANTS, _TEXTURES = 10_000, 5_000, 6_000, 4_000  # pictures of an exposure
_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


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
        (x, y), (x_test, y_test) = silhouettes(6_000, 1), silhouettes(1_000, 2)
        origin = "generated"
    else:
        (x, y), (x_test, y_test), origin = _real()
    x, y = x[:at_most], y[:at_most]
    train = (x[..., None], y.astype(np.int64))
    test = (x_test[..., None], y_test.astype(np.int64))
    return Examples(
        train=train,
        test=test,
        labels=LABELS,
        inputs=sources.picture_statistics(train[0]),
        notes=(PURPOSE,),
        data=Data(
            name="Fashion-MNIST",
            source=origin,
            licence="MIT, Copyright © 2017 Zalando SE, https://tech.zalando.com" if not stand_in else "none needed",
            stand_in="synthetic silhouettes of ten shapes" if stand_in else None,
            rows={"train": len(x), "test": len(x_test)},
            sha256=sources.digest(*train),
        ),
    )


def in_pairs(classes: Array) -> Array:
    """Return for each class number whether its objects come in pairs, [n]."""
    return np.isin(classes, [LABELS.index(label) for label in _SHOES])


def exposure(train: tuple[Array, Array]) -> Exposure:
    """Return pictures for the typicality of a model for catalogue pictures, to which photographs are unlike.

    Args:
        train: pictures uint8 [n, 28, 28, 1] and class numbers [n], in random order.
    """
    (x, y), rng = train, np.random.default_rng(0)
    like = np.concatenate([x[:_PLAIN], resampled(x[:_RESAMPLED], RECIPE, rng)])
    variants = photographed(x[-_VARIANTS:], in_pairs(y[-_VARIANTS:]), rng)
    return Exposure(like, unlike=np.concatenate([textures(_TEXTURES, RECIPE.height, rng), variants]))


def _real() -> tuple[tuple[Array, Array], tuple[Array, Array], str]:
    folder = sources.local("fashion-mnist")
    if folder:
        parts = []
        for name in _FILES:
            try:
                raw = gzip.decompress((folder / f"{name}-ubyte.gz").read_bytes())
            except (OSError, EOFError) as error:
                raise JobError(f"Fashion-MNIST in VITRINE_DATA cannot be read: {error}") from None
            pictures = raw[3] == 3
            values = np.frombuffer(raw, np.uint8, offset=16 if pictures else 8)
            parts.append(values.reshape(-1, 28, 28) if pictures else values)
        return (parts[0], parts[1]), (parts[2], parts[3]), "IDX files in VITRINE_DATA"

    import keras

    train, test = sources.download(
        "Fashion-MNIST",
        keras.datasets.fashion_mnist.load_data,
        "fashion-mnist/ with the four original *-ubyte.gz files",
    )
    return train, test, "keras.datasets.fashion_mnist"


def silhouettes(count: int, seed: int) -> tuple[Array, Array]:
    """Generate ten simple shapes with jitter and noise.

    Pictures are uint8 [count, 28, 28], class numbers uint8 [count].
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:28, 0:28].astype(np.float32) - 13.5
    labels = rng.integers(0, 10, count).astype(np.uint8)
    pictures = np.empty((count, 28, 28), np.uint8)
    for i, label in enumerate(labels):
        u, v = x + rng.uniform(-2, 2), y + rng.uniform(-2, 2)
        size = rng.uniform(8, 12)
        r = np.hypot(u, v)
        shapes = (
            (np.abs(u) < size * 0.6) & (np.abs(v) < size),
            (np.abs(np.abs(u) - 4) < 2.5) & (np.abs(v) < size),
            r < size,
            (np.abs(u) < (v + size) * 0.4) & (np.abs(v) < size),
            (np.abs(u) < size) & (np.abs(v) < size * 0.6),
            np.abs(v - u * 0.3) < 3,
            (r < size) & (r > size * 0.6),
            (np.abs(v) < 4) & (np.abs(u) < size),
            (np.abs(u) + np.abs(v)) < size,
            ((np.abs(u + 5) < 4) & (np.abs(v) < size)) | ((np.abs(v - 6) < 4) & (np.abs(u) < size)),
        )
        tone = rng.uniform(110, 230)
        pictures[i] = np.clip(shapes[label] * tone + rng.normal(0, 12, (28, 28)) * shapes[label], 0, 255)
    return pictures, labels
