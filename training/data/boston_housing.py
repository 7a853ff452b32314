"""Boston Housing: median house values of 506 census tracts in 1970.

Source: Harrison and Rubinfeld 1978.
"""

import zipfile

import numpy as np

from serving.artifacts.model_card import Column, Data, TableRecipe
from training.core.array import Array
from training.core.errors import JobError
from training.core.examples import Examples
from training.data import sources

RECIPE = TableRecipe(
    columns=(
        Column(name="CRIM", description="crimes per head and year"),
        Column(name="ZN", unit="%", description="residential land zoned for lots over 25,000 sq. ft."),
        Column(name="INDUS", unit="%", description="land of businesses other than retail"),
        Column(name="CHAS", description="1 if the tract bounds the Charles River, else 0"),
        Column(name="NOX", unit="1e-7", description="nitric oxides, parts per 10 million"),
        Column(name="RM", description="rooms per dwelling, on average"),
        Column(name="AGE", unit="%", description="owner-occupied homes built before 1940"),
        Column(name="DIS", description="weighted distance to five employment centres"),
        Column(name="RAD", description="index of access to radial highways"),
        Column(name="TAX", unit="USD per 10,000 USD", description="property tax rate"),
        Column(name="PTRATIO", description="pupils per teacher"),
        Column(name="B", description="1000·(share of Black residents − 0.63)²: see the card's notes"),
        Column(name="LSTAT", unit="%", description="residents of lower status, as the study of 1978 called it"),
    ),
    target=Column(name="MEDV", unit="1000 USD", description="median value of owner-occupied homes, cut off at 50"),
)

CRITICISM = (
    "Boston Housing is included only because the course uses it. Its column B is a formula on the share of Black "
    "residents, as if their segregation set prices (scikit-learn removed the set for this in 2022). Prices above "
    "50,000 USD of 1970 are cut off, and 506 rows are few. Do not use the model to value a house.",
)


def load() -> Examples:
    """Load z-scored rows and house values, in Keras' split of 404 and 102.

    Rows are float32 [n, 13], values float32 [n] in 1,000 USD.

    ``extra["center"]`` and ``extra["scale"]`` are the mean and deviation of the training part, ``extra["rows"]`` the
    raw test rows. The test part is also the validation part, as in the course.

    Raises:
        JobError: the data set is unavailable.
    """
    (x, y), (x_test, y_test), origin = _real()
    center, scale = x.mean(axis=0), x.std(axis=0)
    train = (((x - center) / scale).astype(np.float32), y.astype(np.float32))
    test = (((x_test - center) / scale).astype(np.float32), y_test.astype(np.float32))
    return Examples(
        train=train,
        validation=test,
        test=test,
        inputs=sources.column_statistics([column.name for column in RECIPE.columns], x),
        extra={"center": center, "scale": scale, "rows": x_test.astype(np.float32)},
        data=Data(
            name="Boston Housing",
            source=origin,
            licence="public (US census of 1970)",
            rows={"train": len(x), "test": len(x_test)},
            sha256=sources.digest(*train),
        ),
    )


def _real() -> tuple[tuple[Array, Array], tuple[Array, Array], str]:
    path = sources.local("boston_housing.npz")
    if path:
        try:
            with path.open("rb") as raw, np.load(raw) as file:
                x, y = file["x"], file["y"]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise JobError(f"Boston Housing in VITRINE_DATA cannot be read: {error}") from None
        order = np.random.RandomState(113).permutation(len(x))  # the order and the split of keras.datasets
        first_test = int(len(x) * 0.8)
        fitted, held_out = order[:first_test], order[first_test:]
        return (x[fitted], y[fitted]), (x[held_out], y[held_out]), "boston_housing.npz in VITRINE_DATA"

    import keras

    train, test = sources.download(
        "Boston Housing", keras.datasets.boston_housing.load_data, "boston_housing.npz", stand_in=None
    )
    return train, test, "keras.datasets.boston_housing"
