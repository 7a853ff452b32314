"""Fashion-MNIST by two Inception-V1 modules, on 800 pictures.

Course document 003_f995c3228e7eacd7, exercise 10.

    vitrine train fashion_inception          2 minutes on two CPU cores
    vitrine train fashion_inception --quick  15 seconds, four epochs

The exercise compares two nets on very few pictures. This one does not reach a loss of 0 within 100 epochs, unlike
`fashion_resnet`.

The course prints loss .345 and accuracy .858 on the 800 pictures, .715 and .758 on the test set. Expect .29 and .90,
.68 and .78.
"""

import keras
from keras import layers

from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import fashion_mnist
from training.evaluation.metrics import fit_and_test
from training.export.exported_model import ExportedModel
from training.export.image import image_model
from training.models.layers import details, inception_module


def load(options: JobOptions, recipe: Recipe) -> Examples:
    return fashion_mnist.load(stand_in=options.stand_in, at_most=recipe.examples)


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    inputs = keras.Input((28, 28, 1))
    x = layers.Rescaling(1 / 255)(inputs)
    x = inception_module(x, 32, 32, 32, 32, 32, 16)
    x = layers.MaxPooling2D(2, strides=2, padding="same")(x)
    x = inception_module(x, 32, 64, 64, 64, 64, 16)
    x = layers.MaxPooling2D(2, strides=2, padding="same")(x)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    require_parameters(model, 196_154)
    return compiled(model, recipe)


def compiled(model: keras.Model, recipe: Recipe) -> keras.Model:
    """Compile with gradient descent and momentum, as the exercise does for both nets."""
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.SGD(recipe.learning_rate, momentum=0.8),
        metrics=["accuracy"],
    )
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    return fit_and_test(model, examples)


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    first = next(
        layer for layer in model.layers if isinstance(layer, layers.Concatenate | layers.Add)
    )  # the first block
    outputs = {
        "probabilities": model.output,
        "embedding": model.get_layer("embedding").output,
        "details": details(first.output),
    }
    network, exposure = keras.Model(model.inputs, outputs), fashion_mnist.exposure(examples.train)
    return image_model(network, fashion_mnist.RECIPE, examples.test[0][:32], lambda pictures: pictures, exposure)


JOB = Job(
    name="fashion_inception",
    title="Fashion-MNIST by two Inception-V1 modules, on 800 pictures",
    course="003_f995c3228e7eacd7, exercise 10",
    recipe=Recipe(epochs=100, batch_size=64, learning_rate=0.05, examples=800, save_every=5),
    quick=Recipe(epochs=4, batch_size=64, learning_rate=0.05, examples=800, save_every=4),
    policy=GatePolicy("test_accuracy", bound=0.65, largest_loss=0.02),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=frozenset({"stand_in"}),
    printed={"train_loss": 0.345, "train_accuracy": 0.858, "test_loss": 0.715, "test_accuracy": 0.758},
)
