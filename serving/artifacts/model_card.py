"""The model card: training writes it with a version, and the gateway reads it.

The file is ``assets.extra/card.json``. The ``describe`` signature returns the same text, so that a gateway reads
labels, sizes and ranges from the model server alone. The version's number is the directory's name, not on the card.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from serving.artifacts.manifest import CARD_FILE
from serving.preprocessing.recipe import ImageRecipe

#: The kinds of models that this repository trains.
Kind = Literal["image", "series", "table", "signal"]


class ModelCardError(ValueError):
    """The card cannot be read. The message names the field."""


class _CardPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tensor(_CardPart):
    """One input or output of a signature. A size of None is free; the first is the batch."""

    dtype: str = Field(description="TensorFlow's name: uint8, float32, int32, string, …")
    shape: tuple[int | None, ...]


class CardSignature(_CardPart):
    """Inputs and outputs of a signature by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Quantiles(_CardPart):
    """Quantiles of a forecast at any level, from errors on held-out data.

    Levels and steps between those listed are interpolated. The quantile 0.5 is the mean.
    """

    rows: int = Field(gt=0, description="forecasts whose errors were measured")
    levels: tuple[float, ...] = Field(min_length=1, description="ascending, each between 0 and 1")
    steps: tuple[int, ...] = Field(min_length=1, description="steps ahead, ascending; the last is the longest horizon")
    offsets: tuple[tuple[float, ...], ...] = Field(
        description="for each level: quantile - mean at each of the steps, as a share of upper - lower there"
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        columns = list(zip(*self.offsets, strict=False))
        if [len(row) for row in self.offsets] != [len(self.steps)] * len(self.levels):
            raise ValueError("offsets must have a number for each level and step")
        if any(list(values) != sorted(values) for values in (self.levels, self.steps, *columns)):
            raise ValueError("levels and steps must ascend, and offsets with the level")
        return self


class SeriesRecipe(_CardPart):
    """Input and output of a series model, in raw units."""

    window: int = Field(gt=0, description="newest values of the history that one forecast reads")
    max_horizon: int = Field(gt=0, description="most steps ahead")
    step: str = Field(description="period, the duration of a step: 'day', 'business day', 'month', 'π/10', …")
    unit: str = Field(description="unit of a value: 'USD', '1', …")
    season: int | None = Field(default=None, gt=0, description="steps of a season; older cards lack it")
    level: float | None = Field(default=None, description="nominal coverage of lower…upper; None: no interval")
    quantiles: Quantiles | None = Field(default=None, description="older cards lack it")
    minimum: float | None = Field(default=None, description="no forecast is below it: 0 for counts; None: no bound")

    @property
    def duration(self) -> str:
        """The step with its number, for sentences: one day, 15 minutes."""
        return self.step if self.step[:1].isdigit() else f"one {self.step}"


class Sprite(_CardPart):
    """One PNG of all reference pictures, in a grid, row by row.

    Picture i is in column ``i % columns`` and row ``i // columns``.
    """

    file: Literal["references.png"] = "references.png"
    columns: int = Field(gt=0, description="pictures in a row of the grid")
    width: int = Field(gt=0, description="pixels of one picture")
    height: int = Field(gt=0, description="pixels of one picture")


class NeighboursRecipe(_CardPart):
    """Reference set for nearest-neighbour search."""

    references: int = Field(gt=0, description="number of items with an embedding")
    max_k: int = Field(gt=0, description="most neighbours of one picture")
    source: str = Field(description="the items, and the meaning of their index")
    sprite: Sprite | None = Field(default=None, description="the pictures of the items, in the folder assets.extra")


class Column(_CardPart):
    """One quantity of a table, in raw units."""

    name: str
    unit: str | None = Field(default=None, description="None: a pure number")
    description: str = Field(description="one line")
    minimum: float | None = Field(default=None, description="smallest value that the model supports")
    maximum: float | None = Field(default=None, description="largest value that the model supports")


class TableRecipe(_CardPart):
    """Input and output of a model of table rows, in raw units."""

    columns: tuple[Column, ...] = Field(min_length=1, description="in the order of `features`")
    target: Column = Field(description="the quantity in `prediction`")

    @field_validator("columns")
    @classmethod
    def _names_differ(cls, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        if len({column.name for column in columns}) < len(columns):
            raise ValueError("two columns have the same name")
        return columns


class SignalRecipe(_CardPart):
    """Input of a classifier of 1-D signals, in raw units."""

    length: int = Field(gt=0, description="samples of one signal")
    channels: int = Field(gt=0, default=1)
    sampling: str = Field(description="distance of two samples: '1 ms', '1/1024 of the window', …")
    unit: str = Field(description="unit of a sample: 'mV', '1', …")


class SeriesFile(_CardPart):
    """How a series was read from a file."""

    column: str = Field(description="name of the column of values")
    time_column: str | None = Field(default=None, description="name of the column of times")
    first: str | None = Field(default=None, description="time of the first value, as precise as the file")
    last: str | None = Field(default=None, description="time of the last value")
    options: dict[str, str | int | bool] = Field(default={}, description="the user's choices, by name of the option")
    reading: tuple[str, ...] = Field(default=(), description="what was found, chosen and left out, one phrase each")


class DataPart(_CardPart):
    """Rows of one part of the data, such as train, test or gate."""

    rows: int
    sha256: str = Field(description="of its inputs and targets, in order")


class Data(_CardPart):
    """Source of the examples."""

    name: str
    source: str = Field(description="loader, file or generator of the examples")
    licence: str
    stand_in: str | None = Field(default=None, description="description of the data if it is not the real data")
    rows: dict[str, int] = Field(description="examples by part: train, validation, test")
    file: SeriesFile | None = Field(default=None, description="of a series from the user's file")
    sha256: str | None = Field(default=None, description="of the training inputs and targets, in order")
    parts: dict[str, DataPart] = Field(default={}, description="size and hash of each part; older cards lack it")


class Training(_CardPart):
    """The training run."""

    recipe: dict[str, str | int | float | bool | None]
    quick: bool = Field(description="a shortened run, whose metrics mean little")
    seconds: float
    resumed_at: int | None = Field(default=None, description="epoch from which a killed run resumed")
    refitted: bool = Field(default=False, description="fitted again on all data after the test; metrics are older")


class Parity(_CardPart):
    """Largest differences by ``signature/output``, measured in a clean process before publishing.

    Absolute, or relative to the largest value if that is above 1.
    """

    saved_model_to_keras: dict[str, float]
    onnx_to_saved_model: dict[str, float] = {}
    onnx_reason: str | None = Field(default=None, description="reason for a missing ONNX export")


class Check(_CardPart):
    """A figure with a bound that the gate requires, besides the job's metric."""

    name: str
    value: float
    bound: float
    at_least: bool = Field(default=True, description="false: the value may be at most the bound")
    rows: int = Field(description="rows on which the value was measured")

    @property
    def passed(self) -> bool:
        """Whether the value keeps its bound; NaN does not."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        required = f"{'at least' if self.at_least else 'at most'} {self.bound:.4g} is required"
        return f"{self.name} is {self.value:.4g} on {self.rows:,} rows; {required}"


class PairedTest(_CardPart):
    """A paired test between the candidate and a published version, on the same rows."""

    version: int
    live: bool = Field(description="the live version; else the best one that was published on the same rows")
    test: str = Field(description="McNemar or bootstrap")
    rows: int | None = Field(default=None, description="number of these rows; older cards lack it")
    candidate: float = Field(description="the metric on these rows")
    published: float = Field(description="the same of the published version, measured again")
    loss: float = Field(description="mean loss of the candidate; negative: a gain")
    margin: float = Field(description="accepted loss; larger than the job's if the rows are few")
    p_value: float = Field(description="probability of such a loss between equal versions")
    level: float = Field(description="a larger loss than the margin counts below this p-value")
    missed: float = Field(description="probability that a candidate passes that is worse by twice the margin")

    @property
    def passed(self) -> bool:
        """Whether the loss is within the margin, or not significant."""
        return self.loss <= self.margin or self.p_value > self.level


class Verdict(_CardPart):
    """The gate's verdict before the version was published."""

    accepted: bool
    forced: bool = False
    compared_with: int | None = Field(default=None, description="the live version at that time")
    rows: str | None = Field(default=None, description="number and part of the rows that decided; see data.parts")
    value: float | None = Field(default=None, description="the job's metric on these rows")
    tests: tuple[PairedTest, ...] = Field(default=(), description="against the live and the best version")
    checks: tuple[Check, ...] = ()
    reasons: tuple[str, ...]


class Distribution(_CardPart):
    """Reference statistics of one input quantity over the training part."""

    mean: float
    std: float
    quantiles: tuple[float, ...] = Field(description="at 0, .1, … 1: eleven values")


class Predicted(_CardPart):
    """Reference statistics of a classifier's predictions over the test part."""

    classes: tuple[float, ...] = Field(description="share of each predicted class, in order of `labels`")
    confidence: Distribution = Field(description="probability of the predicted class")


class ClassFigures(_CardPart):
    """Figures of one class on the test part."""

    recall: float | None = Field(default=None, description="share of its examples that get its name; None without any")
    precision: float | None = Field(default=None, description="share of answers of it that are right; None without any")
    examples: int = Field(description="examples of the class in the test part")


class Typicality(_CardPart):
    """How `typicality` of the signature `assessed` was calibrated, and how well it finds foreign inputs."""

    threshold: float = Field(description="a smaller value means: unlike the training data")
    rows: int = Field(description="held-out rows of the calibration")
    auroc: dict[str, float] = Field(default={}, description="against rows of the test part, by foreign set")


class Calibration(_CardPart):
    """Temperature scaling of a classifier, and its expected calibration error in 15 bins."""

    temperature: float = Field(gt=0, description="divides the logits in the graph")
    ece: float = Field(description="expected calibration error with the temperature")
    ece_band: tuple[float, float] | None = Field(
        default=None, description="95 % of the errors of a calibrated model on as many rows, by bootstrap"
    )
    rows: int = Field(description="rows on which the error was measured")


class ModelCard(_CardPart):
    """The description of one version."""

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
    printed: dict[str, float] = Field(default={}, description="the course document's values of the same metrics")
    by_class: dict[str, ClassFigures] = Field(default={}, description="of a classifier; older cards lack it")
    inputs: dict[str, Distribution] = {}
    predicted: Predicted | None = Field(default=None, description="of a classifier; older cards lack it")
    typicality: Typicality | None = Field(default=None, description="of a version with the signature assessed")
    calibration: Calibration | None = Field(default=None, description="of a classifier; older cards lack it")
    hurdles: dict[str, float] = Field(default={}, description="mean absolute error of each simple forecast, by name")
    histories: dict[str, tuple[float | None, ...]] = Field(
        default={}, description="values after each epoch, by metric; None: not finite"
    )
    seeds: dict[str, int] = Field(default={}, description="of the training run; older cards lack them")
    code_revision: str | None = Field(
        default=None, description="git commit, with + if files were changed, or version of the distribution"
    )
    parameters: int
    trainable_parameters: int
    bytes: dict[str, int] = Field(default={}, description="sizes of saved_model.pb, variables and model.onnx")
    parity: Parity | None = None
    gate: Verdict | None = None
    versions: dict[str, str]
    notes: tuple[str, ...] = Field(default=(), description="warnings to users: a forecast worse than the naive one, …")


def parse(text: str | bytes) -> ModelCard:
    """Parse a card from JSON.

    Raises:
        ModelCardError: The text is not JSON, or a field is missing, unknown or of a wrong type.
    """
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ModelCardError(f"the model card cannot be read: {where}: {first['msg']}") from None


def read(version_directory: Path) -> ModelCard:
    """Read the card of a version directory.

    Raises:
        ModelCardError: The file is missing or cannot be read.
    """
    path = version_directory / CARD_FILE
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ModelCardError(f"there is no model card at {path}: {error.strerror}") from None
    return parse(text)
