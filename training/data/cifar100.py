"""CIFAR-100: 60,000 colour photos of 100 classes, 32×32 (Krizhevsky 2009)."""

import numpy as np

from serving.artifacts.model_card import Data
from serving.preprocessing.image import ImageRecipe
from training.core.array import Array
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


def load(stand_in: bool = False, at_most: int | None = None) -> Examples:
    """Load the data set in its original order.

    Pictures are uint8 [n, 32, 32, 3], class numbers int64 [n].

    Args:
        stand_in: use synthetic stripes, one colour and direction per class.
        at_most: maximum number of training pictures.

    Raises:
        JobError: the data set is unavailable.
    """
    if stand_in:
        (x, y), (x_test, y_test) = stripes(5_000, 1, len(LABELS)), stripes(1_000, 2, len(LABELS))
    else:
        import keras

        (x, y), (x_test, y_test) = sources.download("CIFAR-100", keras.datasets.cifar100.load_data)
    train = (x[:at_most], y[:at_most].ravel().astype(np.int64))
    test = (x_test, y_test.ravel().astype(np.int64))
    return Examples(
        train=train,
        test=test,
        labels=LABELS,
        inputs=sources.picture_statistics(train[0]),
        data=Data(
            name="CIFAR-100",
            source="generated" if stand_in else "keras.datasets.cifar100",
            licence="none needed" if stand_in else "none stated (University of Toronto)",
            stand_in="synthetic stripes in 100 colours and directions" if stand_in else None,
            rows={"train": len(train[0]), "test": len(test[0])},
            sha256=sources.digest(*train),
        ),
    )


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
