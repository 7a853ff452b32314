"""X or O by transfer from MobileNetV2.

Course document 004_1e87cdad635ebe4c, "transfer_MobileNet".

    vitrine train xo_mobilenet                  1 minute on two CPU cores
    vitrine train xo_mobilenet --quick          20 seconds, 150 drawings per class, 100 epochs
    vitrine train xo_mobilenet --head sigmoid   the output layer of the document's 12,821 parameters

Model: MobileNetV2 with its ImageNet weights and without its output layer, frozen (2,257,984 parameters), then a dense
layer of 10 and an output of 2. Recipe: 100 and then 200 epochs with binary cross-entropy. The text asks for a softmax
of 2, which makes 12,832 new parameters; the printed 12,821 belong to a sigmoid. Since the base is frozen, it encodes
each drawing once. The course has ten pictures per class; 1,500 generated drawings per class generalise to other hands.
Further 400 per class calibrate the probabilities. The typicality reads a middle block: the last ones tell ImageNet's
classes apart, and take a digit for an X or an O.

Expect .96 to .99 on held-out drawings, depending on the seed, and 1.00 on 80 marker drawings by other people. The
expected calibration error is .010 to .016 (800 drawings), the typicality's AUROC .91 for digits and for CIFAR-10.
"""

from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from serving.preprocessing.image import ImageRecipe
from training.core.array import Array
from training.core.errors import JobError
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import noughts_crosses
from training.evaluation.metrics import classification
from training.export.exported_model import ExportedModel
from training.export.image import image_model
from training.models import mobilenet

RECIPE = ImageRecipe(height=96, width=96, channels=3, colour="ink", crop=True, margin=0.25)
HEADS = {"softmax": 12_832, "sigmoid": 12_821}
_MIDDLE = "block_12_add"  # a layer with 6×6 places; of 12 layers it tells digits from X and O best
_HELD_OUT = 400  # drawings per class for the calibration
_RELATIVE = 0.45  # see training.evaluation.typicality


def load(options: JobOptions, recipe: Recipe) -> Examples:
    drawings = noughts_crosses.load(options, RECIPE, count_per_class=recipe.examples or 1500)
    base = mobilenet.imagenet_encoder(RECIPE.width)
    parts = {"train": drawings.train, "test": drawings.test, **drawings.extra}
    if options.data_dir is None:
        count = min(recipe.examples or _HELD_OUT, _HELD_OUT)
        parts["validation"] = noughts_crosses.generate(count, RECIPE, seed=998)
    both = keras.Model(base.inputs, layers.Concatenate()([base.output, middle(base)]))
    rows = {name: features(both, x) for name, (x, _) in parts.items()}
    encoded = {
        name: (rows[name][:, : mobilenet.FEATURES], np.eye(2, dtype=np.float32)[y]) for name, (_, y) in parts.items()
    }
    typical = {name: both_rows[:, mobilenet.FEATURES :] for name, both_rows in rows.items()}
    return Examples(
        train=encoded.pop("train"),
        test=encoded.pop("test"),
        validation=encoded.pop("validation", None),
        labels=drawings.labels,
        inputs=drawings.inputs,
        data=drawings.data.model_copy(update={"rows": {name: len(rows[name]) for name in parts if name != "others"}}),
        extra={**encoded, "base": base, "pictures": drawings.test[0], "typical": typical},
    )


def middle(base: keras.Model) -> keras.KerasTensor:
    """Return the mean over all places of a middle layer, [n, 96]."""
    return layers.GlobalAveragePooling2D()(base.get_layer(_MIDDLE).output)


def features(base: keras.Model, pictures: Array) -> Array:
    """Encode pictures uint8 [n, 96, 96, 3] as float32 [n, 1280] or as wide as the base's output.

    Pictures are light on dark; the base gets them inverted.
    """
    return mobilenet.encode(base, pictures, lambda batch: 1 - batch / 127.5)


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    head = options.head or "softmax"
    if head not in HEADS:
        raise JobError(f"--head is {head!r}; softmax or sigmoid is expected")
    decay = keras.regularizers.L2(1e-3)
    inputs = keras.Input((1280,))
    x = layers.Dense(10, activation="relu", kernel_regularizer=decay)(inputs)
    if head == "softmax":
        outputs = layers.Dense(2, activation="softmax", kernel_regularizer=decay)(x)
    else:
        outputs = layers.Dense(1, activation="sigmoid", kernel_regularizer=decay)(x)
        outputs = layers.Concatenate()([1 - outputs, outputs])
    model = keras.Model(inputs, outputs)
    require_parameters(model, HEADS[head])
    model.compile(
        loss="binary_crossentropy", optimizer=keras.optimizers.Adam(recipe.learning_rate), metrics=["accuracy"]
    )
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    evaluation = replace(classification(model, examples), inputs={"image": examples.extra["pictures"]})
    return noughts_crosses.checked(evaluation, examples)


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    base = examples.extra["base"]
    outputs = {"probabilities": model(base.output), "embedding": base.output, "middle": middle(base)}
    network = keras.Model(base.inputs, outputs)
    exported = image_model(network, RECIPE, examples.extra["pictures"][:16], lambda pictures: 1 - pictures / 127.5)
    infer = exported.infer
    assert infer is not None  # of a classifier

    def typical(image: tf.Tensor) -> dict[str, tf.Tensor]:
        found = infer(image)
        return {"probabilities": found["probabilities"], "embedding": found["middle"]}

    return replace(exported, infer=typical, relative=_RELATIVE)


JOB = Job(
    name="xo_mobilenet",
    title="X or O by transfer from MobileNetV2",
    course="004_1e87cdad635ebe4c, transfer_MobileNet",
    recipe=Recipe(epochs=300, batch_size=64, learning_rate=0.001, save_every=100),
    quick=Recipe(epochs=100, batch_size=64, learning_rate=0.001, examples=150, save_every=100),
    policy=GatePolicy("test_accuracy", bound=0.95, largest_loss=0.01),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=frozenset({"data_dir", "head"}),
)
