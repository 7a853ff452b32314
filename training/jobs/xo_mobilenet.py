"""X or O by transfer from MobileNetV2.

Course document 004_1e87cdad635ebe4c, "transfer_MobileNet".

    vitrine train xo_mobilenet                  1 minute on two CPU cores
    vitrine train xo_mobilenet --quick          20 seconds, 150 drawings per class, 100 epochs
    vitrine train xo_mobilenet --head sigmoid   the output layer of the document's 12,821 parameters

Model: MobileNetV2 with its ImageNet weights and without its output layer, frozen (2,257,984 parameters), then a dense
layer of 10 and an output of 2. Recipe: 100 and then 200 epochs with binary cross-entropy. The text asks for a softmax
of 2, which makes 12,832 new parameters; the printed 12,821 belong to a sigmoid. Since the base is frozen, it encodes
each drawing once. The course has ten pictures per class; 1,500 generated drawings per class generalise to other hands.

Expect .97 to .99 on held-out drawings, depending on the seed, and 1.00 on 80 marker drawings by other people.
"""

import keras
import numpy as np
from keras import layers

from serving.preprocessing.image import ImageRecipe
from training.core.array import Array
from training.core.errors import JobError
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import noughts_crosses, sources
from training.evaluation.metrics import classification
from training.export.exported_model import ExportedModel
from training.export.image import image_model

RECIPE = ImageRecipe(height=96, width=96, channels=3, colour="ink", crop=True, margin=0.25)
WEIGHTS = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
HEADS = {"softmax": 12_832, "sigmoid": 12_821}


def load(options: JobOptions, recipe: Recipe) -> Examples:
    drawings = noughts_crosses.load(options, RECIPE, count_per_class=recipe.examples or 1500)
    base = mobilenet()
    parts = {"train": drawings.train, "test": drawings.test, **drawings.extra}
    encoded = {name: (features(base, x), np.eye(2, dtype=np.float32)[y]) for name, (x, y) in parts.items()}
    return Examples(
        train=encoded.pop("train"),
        test=encoded.pop("test"),
        labels=drawings.labels,
        inputs=drawings.inputs,
        data=drawings.data,
        extra={**encoded, "base": base, "pictures": drawings.test[0][:16]},
    )


def mobilenet() -> keras.Model:
    """Return the frozen base: pictures of -1…1 [n, 96, 96, 3] → features [n, 1280].

    Its weights were trained at 224×224.

    Raises:
        JobError: the weights are not in VITRINE_DATA and cannot be downloaded.
    """
    local = sources.local(WEIGHTS)
    at_224 = sources.download(
        "MobileNetV2's ImageNet weights",
        lambda: keras.applications.MobileNetV2(include_top=False, weights=str(local) if local else "imagenet"),
        WEIGHTS,
        stand_in=None,
    )
    base = keras.applications.MobileNetV2(input_shape=(96, 96, 3), include_top=False, weights=None, pooling="avg")
    base.set_weights(at_224.get_weights())
    base.trainable = False
    require_parameters(base, 2_257_984, trainable=0)
    return base


def features(base: keras.Model, pictures: Array) -> Array:
    """Encode pictures uint8 [n, 96, 96, 3] as float32 [n, 1280].

    Pictures are light on dark; the base gets them inverted.
    """
    batches = (pictures[i : i + 64] for i in range(0, len(pictures), 64))
    return np.concatenate([base.predict_on_batch(1 - batch.astype(np.float32) / 127.5) for batch in batches])


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
    return classification(model, examples)


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    inputs = keras.Input((96, 96, 3))
    embedding = examples.extra["base"](inputs, training=False)
    network = keras.Model(inputs, {"probabilities": model(embedding), "embedding": embedding})
    return image_model(network, RECIPE, examples.extra["pictures"], lambda pictures: 1 - pictures / 127.5)


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
