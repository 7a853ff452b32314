"""The signatures of a version: named functions of inference only.

Preprocessing is inside the graph, so callers send raw units. Augmentation is not: a Keras model with RandomZoom exports
its seed generator and an assignment to it, so the served graph would give different outputs each time. Every input and
output has the batch dimension first, because TensorFlow Serving's batching refuses anything else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from serving.artifacts.model_card import (
    Calibration,
    Check,
    Kind,
    NeighboursRecipe,
    SeriesRecipe,
    SignalRecipe,
    TableRecipe,
    Typicality,
)
from serving.preprocessing.image import ImageRecipe
from training.core.array import Array
from training.data.pictures.unlike import Exposure

Function = Callable[..., dict[str, tf.Tensor]]
#: :func:`training.export.onnx_export.convert`.
Convert = Callable[[Function, Sequence[tf.TensorSpec]], Any]


@dataclass(frozen=True)
class Endpoint:
    """One signature.

    Attributes:
        function: from input tensors by name to output tensors by name.
        inputs: specification of each input.
        outputs: dtype and shape of each output, for the card.
        samples: rows for the check and the warm-up, by input.
        convertible: whether the ONNX export contains it.
        own_export: makes an ONNX graph of the signature alone, as an ``onnx.ModelProto``. onnxruntime computes all
            outputs of a graph, whichever are requested, so a signature that runs the model many times must not be in
            the graph of the others. The warm-up omits it.
    """

    function: Function
    inputs: Mapping[str, tf.TensorSpec]
    outputs: Mapping[str, tuple[str, tuple[int | None, ...]]]
    samples: Mapping[str, Array]
    convertible: bool = True
    own_export: Callable[[Convert], Any] | None = None

    def call(self, rows: Any = slice(None)) -> dict[str, Array]:
        """Return the Keras model's outputs for the samples, the reference for the check."""
        feed = {name: tf.constant(values[rows]) for name, values in self.samples.items()}
        return {name: output.numpy() for name, output in self.function(**feed).items()}


@dataclass(frozen=True)
class ExportedModel:
    """The signatures of a version, the models that own its variables, and its recipe.

    One recipe is set, the one of the kind; ``neighbours`` comes with ``image``. ``reference_pictures`` are the pictures
    of ``neighbours``, uint8 [r, height, width, c]. ``refitted``: the model was fitted again on all data after its
    evaluation; ``checks`` are figures of the graph for the gate. ``infer`` computes from the inputs of
    ``serving_default`` its outputs and ``embedding`` [n, d], the input of the last layer or other features for the
    typicality; ``relative`` is a share of :func:`training.evaluation.typicality.fit`. With ``exposure``, ``infer`` may
    have an output ``details`` [n, e], which only the typicality's detector reads.
    """

    kind: Kind
    endpoints: Mapping[str, Endpoint]
    models: tuple[keras.Model, ...]
    infer: Function | None = None
    relative: float = 0.0
    exposure: Exposure | None = None
    image: ImageRecipe | None = None
    neighbours: NeighboursRecipe | None = None
    reference_pictures: Array | None = None
    series: SeriesRecipe | None = None
    table: TableRecipe | None = None
    signal: SignalRecipe | None = None
    refitted: bool = False
    checks: tuple[Check, ...] = ()
    calibration: Calibration | None = None
    typicality: Typicality | None = None
