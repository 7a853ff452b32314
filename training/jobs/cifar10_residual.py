"""CIFAR-10 by a residual net.

Course document 004_1e87cdad635ebe4c, "cnn_cifar10_res2".

    vitrine train cifar10_residual                     10 to 25 minutes on two CPU cores
    vitrine train cifar10_residual --quick --stand-in  30 seconds on synthetic pictures

Model: the document's improvements, that is residual blocks, dropout on convolutions (whole feature maps), L1 and L2 on
the weights. Recipe: mirrored and shifted pictures, and a learning rate with a warm-up over a fifth of the run and a
cosine decay to 0.

The course prints no figures. Expect .849 in training (on augmented pictures) and .823 on the test part of the JPEG
copy.
"""

import keras
from keras import layers

from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import cifar10
from training.evaluation.metrics import classification
from training.export.exported_model import ExportedModel
from training.export.image import image_model
from training.models.layers import normalised_convolution, normalised_residual_block


def load(options: JobOptions, recipe: Recipe) -> Examples:
    return cifar10.load(stand_in=options.stand_in, at_most=recipe.examples)


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    inputs = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.RandomFlip("horizontal")(x)
    x = layers.RandomTranslation(0.1, 0.1, fill_mode="constant")(x)
    model = keras.Model(inputs, network()(x)["probabilities"])
    require_parameters(model, 762_602, trainable=760_874)
    return compiled(model, examples, recipe, "sparse_categorical_crossentropy")


def network() -> keras.Model:
    """Return the net without augmentation, for pictures of 0…1.

    Shapes are [n, 32, 32, 3] → {"probabilities": [n, 10], "embedding": [n, 256]}.
    """
    decay = keras.regularizers.L1L2(l1=1e-6, l2=2e-4)
    x = inputs = keras.Input((32, 32, 3))
    x = normalised_convolution(x, 32, decay)
    for filters in (64, 128):
        x = layers.MaxPooling2D()(x)
        x = normalised_convolution(x, filters, decay)
        x = normalised_residual_block(x, decay, dropout=0.1)
    x = layers.MaxPooling2D()(x)
    x = normalised_convolution(x, 256, decay)
    x = layers.GlobalMaxPooling2D()(x)
    probabilities = layers.Dense(10, activation="softmax", kernel_regularizer=decay)(layers.Dropout(0.2)(x))
    return keras.Model(inputs, {"probabilities": probabilities, "embedding": x}, name="network")


def compiled(model: keras.Model, examples: Examples, recipe: Recipe, loss: keras.losses.Loss | str) -> keras.Model:
    """Compile with Nesterov momentum, a fifth of warm-up, and cosine decay to 0."""
    steps = recipe.epochs * -(-len(examples.train[0]) // recipe.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 20,
        decay_steps=steps - steps // 5,
        warmup_target=recipe.learning_rate,
        warmup_steps=steps // 5,
    )
    model.compile(loss=loss, optimizer=keras.optimizers.SGD(rate, momentum=0.9, nesterov=True), metrics=["accuracy"])
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    return classification(model, examples)


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    samples = examples.test[0][:32]
    return image_model(model.get_layer("network"), cifar10.RECIPE, samples, lambda pictures: pictures / 255)


JOB = Job(
    name="cifar10_residual",
    title="CIFAR-10 by a residual net with dropout on convolutions, L1 and L2",
    course="004_1e87cdad635ebe4c, cnn_cifar10_res2",
    recipe=Recipe(epochs=10, batch_size=128, learning_rate=0.1),
    quick=Recipe(epochs=2, batch_size=64, learning_rate=0.05, examples=5_000),
    policy=GatePolicy("test_accuracy", bound=0.3, largest_loss=0.01),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=frozenset({"stand_in"}),
)
