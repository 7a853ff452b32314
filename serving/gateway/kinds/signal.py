"""One-dimensional signals of a fixed length: samples in, classes out."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from serving.artifacts.model_card import ModelCard, SignalRecipe
from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.codecs.body import Payload
from serving.gateway.kinds import classes, numeric
from serving.gateway.kinds.base import (
    MEASURED_ROWS,
    Kind,
    Measurements,
    ModelInput,
    ModelOutput,
    Operation,
    OperationDocs,
    Options,
    Parser,
    ReadContext,
)
from serving.gateway.kinds.expected_signature import Expected, tensor
from serving.gateway.kinds.schemas import array_of, object_of
from serving.inputs.rows import signal_rows, signal_size


def _recipe(card: ModelCard) -> SignalRecipe:
    assert card.signal is not None  # versions without the section do not offer the verb
    return card.signal


class SignalPredict(Operation):
    """``:predict``: classes of signals."""

    options: ClassVar[Mapping[str, Parser]] = {"top": classes.parse_top}
    assessed = True
    docs = OperationDocs(
        description="A signal model returns classes.",
        request=(
            "SignalDocument",
            object_of({"signal": array_of({}, description="one signal or several")}),
            {"signal": [0.0, 0.1, 0.4]},
        ),
        response=classes.RESPONSE,
        parameters=(classes.TOP_PARAMETER,),
        media_types=numeric.MEDIA_TYPES,
    )

    def expected(self, card: ModelCard) -> Expected | str:
        signal = tensor(np.float32, _recipe(card).length, _recipe(card).channels)
        return Expected("serving_default", {"signal": signal}, classes.probabilities(card))

    async def read(self, payload: Payload, options: Options, context: ReadContext) -> ModelInput:
        recipe = _recipe(context.card)
        usage = f'{{"signal": [{signal_size(recipe)}]}}, or a list of such signals'
        value = numeric.content(payload, "signal", usage)
        values = numeric.floats(payload, value, "signal")
        return ModelInput({"signal": numeric.fitted(signal_rows, values, recipe)})

    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        return classes.write_classes(output, options.get("top"), "signal")


class SignalKind(Kind):
    """Classifiers of signals."""

    name = "signal"
    operations: ClassVar[Mapping[str, Operation]] = {"predict": SignalPredict()}

    def recipe(self, card: ModelCard) -> object:
        return card.signal

    def measure(self, arrays: Arrays, outputs: Outputs, card: ModelCard) -> Measurements:
        measured = classes.measure_classes(outputs)
        if "signal" in arrays:
            signals = arrays["signal"][:MEASURED_ROWS].astype(np.float64)  # float32 is too coarse
            signals = signals.reshape(len(signals), -1)
            measured |= {"level": signals.mean(axis=1), "strength": signals.std(axis=1)}
        return measured
