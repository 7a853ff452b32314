"""X or O by a small convolutional net from scratch.

Course document 004_1e87cdad635ebe4c, "cnn_ox".

    vitrine train xo_cnn                       3 minutes on two CPU cores
    vitrine train xo_cnn --quick               20 seconds, 600 drawings per class
    vitrine train xo_cnn --data-dir pictures   your own, in pictures/x and pictures/o

The course compares this net with the transfer from MobileNetV2, and asks who will enlarge the data set. Here 3,000
generated drawings per class do. Batch normalisation has a momentum of .9, since Keras' running statistics lag behind in
short runs, and the learning rate has a cosine decay.

Expect an accuracy of .99 on 800 held-out drawings and 1.00 on 80 marker drawings by other people; of 400 generated
drawings each, .96 of cursive ones and of those with lines of a board, and .94 of photographs with glare. The gate
requires .95 on the drawings by other people, where VITRINE_DATA has them.
"""

import keras
from keras import layers

from serving.preprocessing.image import ImageRecipe
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import noughts_crosses
from training.evaluation.metrics import classification
from training.export.exported_model import ExportedModel
from training.export.image import image_model

RECIPE = ImageRecipe(height=32, width=32, channels=1, colour="ink", crop=True, margin=0.1)


def load(options: JobOptions, recipe: Recipe) -> Examples:
    return noughts_crosses.load(options, RECIPE, count_per_class=recipe.examples or 3000)


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    x = inputs = keras.Input((32, 32, 1))
    x = layers.Rescaling(1 / 255)(x)
    for filters in (16, 32, 48):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3)(x)
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
    require_parameters(model, 51_698)
    steps = recipe.epochs * -(-len(examples.train[0]) // recipe.batch_size)
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)),
        metrics=["accuracy"],
    )
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    return noughts_crosses.checked(classification(model, examples), examples)


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    x = inputs = keras.Input((32, 32, 1))
    for layer in model.layers[2:-1]:  # after scaling
        x = layer(x)
    network = keras.Model(inputs, {"probabilities": model.layers[-1](x), "embedding": x})
    return image_model(network, RECIPE, examples.test[0][:32], lambda pictures: pictures / 255)


JOB = Job(
    name="xo_cnn",
    title="X or O by a small convolutional net from scratch",
    course="004_1e87cdad635ebe4c, cnn_ox",
    recipe=Recipe(epochs=12, batch_size=64, learning_rate=0.002, save_every=4),
    quick=Recipe(epochs=8, batch_size=64, learning_rate=0.002, examples=600),
    policy=GatePolicy("test_accuracy", bound=0.95, largest_loss=0.01),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=frozenset({"data_dir"}),
)
