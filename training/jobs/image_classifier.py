"""Any classes of pictures, from a folder or a ZIP file of the user's own.

    vitrine train image_classifier --data-dir pictures --as NAME           1 to 5 minutes on two CPU cores
    vitrine train image_classifier --data-dir pictures --as NAME --quick   20 seconds, 200 pictures

The folder has one folder of pictures for each class, or the folders train, validation and test with such folders in
them. :mod:`training.data.pictures` reads it.

Model: MobileNetV2 with its ImageNet weights, frozen, then dropout and a softmax layer. Since the base is frozen, it
encodes each picture once, and each training picture mirrored too. Without the ImageNet weights, a small convolutional
net is trained from scratch on mirrored, shifted and zoomed pictures. Recipe: the loss weights each class by the inverse
of its number of pictures, and the learning rate has a cosine decay.

Expect .84 on the test part of clothing-dataset-small (3,068 training photos, ten classes), mean recall .82.
"""

from collections.abc import Callable
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from serving.artifacts.model_card import Data
from serving.preprocessing.image import ImageRecipe
from training.core.array import Array
from training.core.errors import JobError
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions
from training.core.recipe import Recipe
from training.data import sources
from training.data.pictures import own_pictures
from training.data.pictures.class_folders import PARTS
from training.data.pictures.own_pictures import OwnPictures
from training.evaluation.metrics import balanced, classification
from training.export.exported_model import ExportedModel
from training.export.image import image_model
from training.models import mobilenet
from training.models.layers import normalised_convolution

SIDES = (96, 128, 160, 192, 224)
SCRATCH_SIDE = 64
MAX_BYTES = 1_000_000_000  # of prepared pictures in memory: 6,600 at 224×224, 36,000 at 96×96
MAX_TRAIN = 24_000
FEW_TESTED = 10
FROM_SCRATCH = "MobileNetV2's ImageNet weights are unavailable: trained from scratch, which needs many more pictures."


def load(options: JobOptions, recipe: Recipe) -> Examples:
    if options.data_dir is None:
        raise JobError(
            "image_classifier needs --data-dir: a folder or ZIP file with one folder of pictures for each class"
        )
    found = own_pictures.find(options.data_dir, min(recipe.examples or MAX_TRAIN, MAX_TRAIN), options.say)
    side, reason = input_side(found.typical_side, found.count)
    options.say("loading MobileNetV2's ImageNet weights")
    try:
        encoder = mobilenet.imagenet_encoder(side)
    except JobError as error:
        if sources.local(mobilenet.WEIGHTS):
            raise
        options.say(str(error))
        return pictures(found, SCRATCH_SIDE, (FROM_SCRATCH,), options)
    return replace(encoded(pictures(found, side, (), options), encoder, options), chosen={"input": reason})


def input_side(typical: int, count: int) -> tuple[int, str]:
    """Choose the input's side for photos of a typical longer side, and say why.

    MobileNetV2 was trained at 96 to 224. A larger input than the photos adds nothing, and very many photos would not
    fit into memory.
    """
    fit = [side for side in SIDES if 3 * side * side * count <= MAX_BYTES] or [SIDES[0]]
    useful = [side for side in SIDES if side <= typical] or [SIDES[0]]
    side = min(fit[-1], useful[-1])
    photos = f"the typical photo's longer side has {typical:,} pixels"
    why = (
        photos if side == useful[-1] else f"{count:,} pictures of this size fit into {MAX_BYTES // 10**9} GB of memory"
    )
    return side, f"{side}×{side} pixels, because {why}"


def pictures(found: OwnPictures, side: int, notes: tuple[str, ...], options: JobOptions) -> Examples:
    """Read all parts as pictures uint8 [n, side, side, 3] and class numbers int64 [n]."""
    recipe = ImageRecipe(height=side, width=side, channels=3, colour="rgb")
    options.say(f"preparing {found.count:,} pictures at {side}×{side}")
    train, validation, test = (found.read(part, recipe, options.say) for part in PARTS)
    rows = {"train": len(train[0]), "validation": len(validation[0]), "test": len(test[0])}
    if found.count < found.usable:
        notes += (f"Used {found.count:,} of {found.usable:,} pictures, of large classes fewer.",)
    notes += (own_pictures.note(found.skipped),)
    few = np.bincount(test[1], minlength=len(found.labels)).min()
    if few < FEW_TESTED:
        notes += (f"The test part has only {few} pictures of some classes: their figures are rough.",)
    return Examples(
        train=train,
        validation=validation,
        test=test,
        labels=found.labels,
        title=f"{found.name}: {len(found.labels)} classes of pictures",
        notes=tuple(filter(None, notes)),
        inputs=sources.picture_statistics(train[0]),
        data=Data(
            name=found.name,
            source=f"a {found.source.kind} of the user",
            licence="the user's own",
            rows=rows,
            sha256=found.digest(),
        ),
        extra={"recipe": recipe, "pictures": test[0]},
    )


def encoded(examples: Examples, encoder: keras.Model, options: JobOptions) -> Examples:
    """Encode pictures as features float32 [n, 1280]; training pictures are encoded mirrored, too."""

    def encode(part: str, pictures: Array) -> Array:
        options.say(f"encoding {len(pictures):,} {part} pictures by MobileNetV2")
        return mobilenet.encode(encoder, pictures, scaled, options.say)

    (x, y), test = examples.train, examples.test
    validation = examples.validation or test
    return replace(
        examples,
        train=(np.concatenate([encode("train", x), encode("mirrored train", x[:, :, ::-1])]), np.concatenate([y, y])),
        validation=(encode("validation", validation[0]), validation[1]),
        test=(encode("test", test[0]), test[1]),
        extra={**examples.extra, "encoder": encoder},
    )


def scaled(pictures: Array) -> Array:
    """Scale 0…255 to MobileNetV2's -1…1."""
    return pictures / 127.5 - 1


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    classes = len(examples.labels)
    inputs = keras.Input(examples.train[0].shape[1:])
    if "encoder" in examples.extra:
        x = layers.Dropout(0.5)(inputs)
    else:
        x = layers.Dropout(0.3)(convolutions(augmented(scaled(inputs))))
    outputs = layers.Dense(classes, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    steps = recipe.epochs * -(-len(examples.train[0]) // recipe.batch_size)
    model.compile(
        loss=weighted_crossentropy(examples.train[1], classes),
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)),
        metrics=["accuracy"],
    )
    return model


def weighted_crossentropy(y: Array, classes: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the cross-entropy in which every class has the same weight, whatever its share of ``y``."""
    counts = np.bincount(y, minlength=classes)
    weights = tf.constant(len(y) / (classes * np.maximum(counts, 1)), tf.float32)

    def loss(truth: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
        truth = tf.cast(tf.reshape(truth, [-1]), tf.int32)
        return tf.gather(weights, truth) * keras.losses.sparse_categorical_crossentropy(truth, probabilities)

    return loss


def augmented(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.RandomFlip("horizontal")(x)
    x = layers.RandomTranslation(0.1, 0.1)(x)
    return layers.RandomZoom((-0.2, 0.1))(x)


def convolutions(x: keras.KerasTensor) -> keras.KerasTensor:
    """Encode pictures of -1…1 [n, 64, 64, 3] as [n, 128], from scratch."""
    for filters in (16, 32, 64, 128):
        for _ in range(2):
            x = normalised_convolution(x, filters)
        x = layers.MaxPooling2D()(x)
    return layers.GlobalAveragePooling2D()(x)


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    evaluation = balanced(classification(model, examples), len(examples.labels))
    return replace(evaluation, inputs={"image": examples.extra["pictures"]})


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    recipe = examples.extra["recipe"]
    x = inputs = keras.Input((recipe.height, recipe.width, 3))
    if "encoder" in examples.extra:
        x = examples.extra["encoder"](x, training=False)
    else:
        first = next(i for i, layer in enumerate(model.layers) if isinstance(layer, layers.Conv2D))
        for layer in model.layers[first:-2]:  # without scaling, augmentation and the two layers of the head
            x = layer(x)
    network = keras.Model(inputs, {"probabilities": model.layers[-1](x), "embedding": x})
    return image_model(network, recipe, examples.extra["pictures"][:16], scaled)


JOB = Job(
    name="image_classifier",
    title="pictures of the user's own classes, by transfer from MobileNetV2",
    course=None,
    recipe=Recipe(epochs=40, batch_size=64, learning_rate=0.001, save_every=10),
    quick=Recipe(epochs=40, batch_size=32, learning_rate=0.001, examples=200, save_every=10),
    policy=GatePolicy("balanced_accuracy_gain", bound=0.3, largest_loss=0.02),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=frozenset({"data_dir"}),
)
