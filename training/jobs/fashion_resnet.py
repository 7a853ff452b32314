"""Fashion-MNIST by three residual blocks, on 800 pictures.

Course document 003_f995c3228e7eacd7, exercise 10.

    vitrine train fashion_resnet          2 minutes on two CPU cores
    vitrine train fashion_resnet --quick  15 seconds, four epochs

The exercise compares two nets on very few pictures. This one memorises all 800, unlike `fashion_inception`.

The course prints loss .000 and accuracy 1.000 on the 800 pictures, 1.515 and .800 on the test set. Expect .000 and
1.000, 1.193 and .812.
"""

import keras
from keras import layers

from training.core.examples import Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.jobs.fashion_inception import compiled, evaluate, load, serve
from training.models.layers import residual_block


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    inputs = keras.Input((28, 28, 1))
    x = layers.Rescaling(1 / 255)(inputs)
    for _ in range(3):
        x = residual_block(x, 64)
        x = layers.MaxPooling2D(2, strides=2, padding="same")(x)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    require_parameters(model, 186_058)
    return compiled(model, recipe)


JOB = Job(
    name="fashion_resnet",
    title="Fashion-MNIST by three residual blocks, on 800 pictures",
    course="003_f995c3228e7eacd7, exercise 10",
    recipe=Recipe(epochs=100, batch_size=64, learning_rate=0.05, examples=800, save_every=5),
    quick=Recipe(epochs=4, batch_size=64, learning_rate=0.05, examples=800, save_every=4),
    policy=GatePolicy("test_accuracy", bound=0.65, largest_loss=0.02),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=frozenset({"stand_in"}),
    printed={"train_loss": 0.0, "train_accuracy": 1.0, "test_loss": 1.515, "test_accuracy": 0.8},
)
