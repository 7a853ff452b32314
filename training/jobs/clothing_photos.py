"""Ten kinds of clothes from photographs as people take them.

    vitrine train clothing_photos          7 minutes of processor time
    vitrine train clothing_photos --quick  1 minute, 200 photographs

`image_classifier` on clothing-dataset-small, taken further: the last four blocks of MobileNetV2 are fine-tuned with the
head. The blocks before them are frozen, so they encode each photograph once in each of its views: as it is, mirrored,
and with random flip, rotation, shift, zoom, contrast and brightness. Normalisation layers keep ImageNet's statistics.
The head starts from a fit on the frozen features. The version holds its weights as float16, which halves its files.

The parts of the data set stay as they are. Expect .89 on the 341 photographs of the validation part, on which settings
were chosen, and .86 to .88 on the 372 of the test part (two runs), mean recall .88 to .89; with the base frozen .84.
"""

from dataclasses import replace

import keras
import numpy as np
from keras import layers

from training.core.array import Array
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions
from training.core.recipe import Recipe
from training.data import clothing_photos
from training.data.pictures import own_pictures
from training.evaluation.metrics import balanced, classification
from training.export.exported_model import ExportedModel
from training.export.half_weights import compact
from training.export.image import image_model
from training.jobs import image_classifier
from training.jobs.image_classifier import scaled, weighted_crossentropy
from training.models import mobilenet

SIDE = 192
FIRST_TUNED = "block_12_add"  # the output of the last frozen block
VIEWS = 4
_HEAD = Recipe(epochs=20, batch_size=64, learning_rate=0.001)
_SOURCE = "https://github.com/alexeygrigorev/clothing-dataset-small"


def load(options: JobOptions, recipe: Recipe) -> Examples:
    found = own_pictures.find(clothing_photos.archive(), recipe.examples or image_classifier.MAX_TRAIN, options.say)
    examples = image_classifier.pictures(found, SIDE, (), options)
    encoder = mobilenet.imagenet_encoder(SIDE)
    frozen = keras.Model(encoder.inputs, encoder.get_layer(FIRST_TUNED).output)
    (x, y), validation, test = examples.train, examples.validation, examples.test
    assert validation is not None  # pictures() reads all parts
    changes = augmentation(recipe.seed)
    views = []
    for number in range(VIEWS):
        options.say(f"encoding view {number + 1} of {VIEWS} of {len(x):,} photographs")
        views.append(_encode(frozen, x[:, :, ::-1] if number == 1 else x, changes if number > 1 else None))
    return replace(
        examples,
        train=(np.concatenate(views), np.tile(y, VIEWS)),
        validation=(_encode(frozen, validation[0]), validation[1]),
        test=(_encode(frozen, test[0]), test[1]),
        title=None,
        data=examples.data.model_copy(
            update={
                "name": "clothing-dataset-small",
                "source": f"{_SOURCE}, commit {clothing_photos.COMMIT[:12]} or the same ZIP file in VITRINE_DATA",
                "licence": "free for any purpose (clothing-dataset-small, Alexey Grigorev and contributors)",
            }
        ),
        extra={
            **examples.extra,
            "encoder": encoder,
            "embed": keras.Model(encoder.get_layer(FIRST_TUNED).output, encoder.output),
        },
    )


def augmentation(seed: int) -> keras.Model:
    """Return a model that changes pictures 0…255 at random and scales them to -1…1."""
    x = inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.RandomFlip("horizontal", seed=seed)(scaled(x))
    x = layers.RandomRotation(0.03, fill_mode="reflect", seed=seed)(x)
    x = layers.RandomTranslation(0.1, 0.1, seed=seed)(x)
    x = layers.RandomZoom((-0.3, 0.1), seed=seed)(x)
    x = layers.RandomContrast(0.3, value_range=(-1, 1), seed=seed)(x)
    x = layers.RandomBrightness(0.2, value_range=(-1, 1), seed=seed)(x)
    return keras.Model(inputs, x)


def _encode(frozen: keras.Model, pictures: Array, changes: keras.Model | None = None) -> Array:
    """Encode pictures uint8 [n, 192, 192, 3] by the frozen blocks as float16 [n, 12, 12, 96]."""
    features = np.empty((len(pictures), *frozen.output.shape[1:]), np.float16)
    for start in range(0, len(pictures), 32):
        batch = pictures[start : start + 32].astype(np.float32)
        prepared = scaled(batch) if changes is None else changes(batch, training=True)
        features[start : start + 32] = frozen.predict_on_batch(prepared)
    return features


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    """Return the tuned blocks and the head, which is fitted on the frozen features first."""
    tuned = examples.extra["embed"]
    for layer in tuned.layers:
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    x, y = examples.train
    count = len(y) // VIEWS  # the first view is the picture as it is
    features = tuned.predict(x[:count], batch_size=64, verbose=0)
    plain = replace(examples, train=(features, y[:count]))
    head = image_classifier.build(plain, options, _HEAD)
    head.fit(*plain.train, batch_size=_HEAD.batch_size, epochs=_HEAD.epochs, verbose=0)
    model = keras.Model(tuned.inputs, head(tuned(tuned.inputs[0])))
    steps = recipe.epochs * -(-len(y) // recipe.batch_size)
    model.compile(
        loss=weighted_crossentropy(y, len(examples.labels)),
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)),
        metrics=["accuracy"],
    )
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    """Measure the test part with the weights as they are published."""
    pictures, truth = examples.extra["pictures"], examples.test[1]
    features = mobilenet.encode(compact(examples.extra["encoder"]), pictures, scaled)
    measured = classification(model.layers[-1], replace(examples, test=(features, truth)))
    return replace(balanced(measured, len(examples.labels)), inputs={"image": pictures})


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    encoder, head = compact(examples.extra["encoder"]), model.layers[-1].layers[-1]  # without dropout
    network = keras.Model(encoder.inputs, {"probabilities": head(encoder.output), "embedding": encoder.output})
    return image_model(network, examples.extra["recipe"], examples.extra["pictures"][:8], scaled)


JOB = Job(
    name="clothing_photos",
    title="ten kinds of clothes from photographs as people take them",
    course=None,
    recipe=Recipe(epochs=1, batch_size=32, learning_rate=0.0001),
    quick=Recipe(epochs=1, batch_size=32, learning_rate=0.0001, examples=200),
    policy=GatePolicy("test_accuracy", bound=0.8, largest_loss=0.02),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
)
"""Photographs of clothes, by fine-tuning MobileNetV2."""
