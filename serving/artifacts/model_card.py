"""The model card: what training writes beside a version and the gateway reads.

It stands in ``assets.extra/card.json`` and, through the ``describe`` signature, in the model itself, so that a gateway
learns labels, sizes and ranges from the model server alone. The version's number is the directory's name and is not
repeated here.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from serving.artifacts.manifest import CARD_FILE
from serving.preprocessing.recipe import ImageRecipe

#: The kinds of models that this repository trains.
Kind = Literal["image", "series", "table", "signal"]


class ModelCardError(ValueError):
    """A card that cannot be read; the message names the field."""


class _CardPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tensor(_CardPart):
    """One input or output of a signature; a size of None is free, the first is the batch."""

    dtype: str = Field(description="as TensorFlow names it: uint8, float32, int32, string, …")
    shape: tuple[int | None, ...]


class CardSignature(_CardPart):
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class SeriesRecipe(_CardPart):
    """What a series model takes and gives, in raw units."""

    window: int = Field(gt=0, description="values of history that one forecast reads: the newest ones count")
    max_horizon: int = Field(gt=0, description="steps ahead, at most")
    step: str = Field(description="what one step is: 'day', 'π/10', …")
    unit: str = Field(description="what a value is: 'USD', '1', …")
    level: float | None = Field(default=None, description="nominal coverage of lower…upper; None: no interval is given")


class NeighboursRecipe(_CardPart):
    """Among what an image model looks for similar items."""

    references: int = Field(gt=0, description="items that the version holds embeddings of")
    max_k: int = Field(gt=0, description="neighbours of one picture, at most")
    source: str = Field(description="what the items are, and what their index counts")


class Column(_CardPart):
    """One quantity of a table, in raw units."""

    name: str
    unit: str | None = Field(default=None, description="None: a pure number")
    description: str = Field(description="one line")
    minimum: float | None = Field(default=None, description="the smallest value that the model has an answer for")
    maximum: float | None = Field(default=None, description="the largest value that the model has an answer for")


class TableRecipe(_CardPart):
    """What a model of table rows takes and gives, in raw units."""

    columns: tuple[Column, ...] = Field(min_length=1, description="in the order of `features`")
    target: Column = Field(description="what `prediction` is")

    @field_validator("columns")
    @classmethod
    def _names_differ(cls, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        if len({column.name for column in columns}) < len(columns):
            raise ValueError("two columns have the same name")
        return columns


class SignalRecipe(_CardPart):
    """What a classifier of 1-D signals takes, in raw units."""

    length: int = Field(gt=0, description="samples of one signal")
    channels: int = Field(gt=0, default=1)
    sampling: str = Field(description="what lies between two samples: '1 ms', '1/1024 of the window', …")
    unit: str = Field(description="what a sample is: 'mV', '1', …")


class Data(_CardPart):
    """Where the examples came from."""

    name: str
    source: str = Field(description="the loader, file or generator that they were read from")
    licence: str
    stand_in: str | None = Field(default=None, description="set where it is not the real data: what it is instead")
    rows: dict[str, int] = Field(description="examples by part: train, validation, test")
    sha256: str | None = Field(default=None, description="of the training inputs and targets, in order")


class Training(_CardPart):
    """The recipe as it was run."""

    recipe: dict[str, str | int | float | bool | None]
    quick: bool = Field(description="a shortened run that shows the way; its figures mean little")
    seconds: float
    resumed_at: int | None = Field(default=None, description="the epoch that a killed run went on from")


class Parity(_CardPart):
    """Largest differences by ``signature/output``, seen when the version was checked in a clean process: absolute, or
    of the largest value where that is above 1."""

    saved_model_to_keras: dict[str, float]
    onnx_to_saved_model: dict[str, float] = {}
    onnx_reason: str | None = Field(default=None, description="why there is no ONNX twin, where there is none")


class Verdict(_CardPart):
    """What the gate said of this version before it was published."""

    accepted: bool
    forced: bool = False
    compared_with: int | None = Field(default=None, description="the live version it was held against")
    reasons: tuple[str, ...]


class Distribution(_CardPart):
    """Reference statistics of one input quantity over the training part."""

    mean: float
    std: float
    quantiles: tuple[float, ...] = Field(description="at 0, .1, … 1: eleven values")


class Predicted(_CardPart):
    """Reference statistics of a classifier's answers over the test part."""

    classes: tuple[float, ...] = Field(description="share of the rows that were given each class, in order of `labels`")
    confidence: Distribution = Field(description="probability of the class that was given")


class ModelCard(_CardPart):
    """Everything that is known of one version."""

    format: Literal[1] = 1
    model: str
    kind: str = Field(description="image, series, table or signal: a kind that the gateway has")
    title: str
    course: str | None = Field(default=None, description="the course document and exercise, or None")
    created: datetime
    labels: tuple[str, ...] = Field(default=(), description="class names, by index of `probabilities`")
    image: ImageRecipe | None = None
    neighbours: NeighboursRecipe | None = Field(default=None, description="of an image model with that signature")
    series: SeriesRecipe | None = None
    table: TableRecipe | None = None
    signal: SignalRecipe | None = None
    signatures: dict[str, CardSignature]
    data: Data
    training: Training
    metrics: dict[str, float]
    printed: dict[str, float] = Field(default={}, description="the course's figures for the same metrics")
    inputs: dict[str, Distribution] = {}
    predicted: Predicted | None = Field(default=None, description="of a classifier; older cards lack it")
    parameters: int
    trainable_parameters: int
    bytes: dict[str, int] = Field(default={}, description="sizes of saved_model.pb, variables and model.onnx")
    parity: Parity | None = None
    gate: Verdict | None = None
    versions: dict[str, str]
    notes: tuple[str, ...] = Field(
        default=(), description="what a user must know: a forecast that loses to the naive …"
    )


def parse(text: str | bytes) -> ModelCard:
    """A card from its JSON.

    Raises:
        ModelCardError: not JSON, a field missing, unknown or of a wrong type.
    """
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ModelCardError(f"the model card cannot be read: {where}: {first['msg']}") from None


def read(version_directory: Path) -> ModelCard:
    """The card of a version directory.

    Raises:
        ModelCardError: the file is missing or cannot be read.
    """
    path = version_directory / CARD_FILE
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ModelCardError(f"there is no model card at {path}: {error.strerror}") from None
    return parse(text)
