"""What every classifier and every forecaster is measured by."""

from dataclasses import replace

import keras
import numpy as np

from training.job import Evaluation, Examples


def classification(model: keras.Model, examples: Examples) -> Evaluation:
    """Test loss and accuracy of a model with softmax outputs; truth and answer are class numbers, int64 [n].

    ``extra["others"]``, where a job has it, is real data of another origin: its accuracy is ``others_accuracy``.
    """
    x, y = examples.test
    probabilities = model.predict(x, batch_size=256, verbose=0).astype(np.float64)
    truth = y if y.ndim == 1 else y.argmax(axis=1)
    answer = probabilities.argmax(axis=1)
    likelihood = np.clip(probabilities[np.arange(len(truth)), truth], 1e-7, 1)
    metrics = {"test_loss": float(-np.log(likelihood).mean()), "test_accuracy": float((answer == truth).mean())}
    if "others" in examples.extra:
        x, y = examples.extra["others"]
        found = model.predict(x, batch_size=256, verbose=0).argmax(axis=1)
        metrics["others_accuracy"] = float((found == (y if y.ndim == 1 else y.argmax(axis=1))).mean())
    return Evaluation(metrics, truth, answer)


def fit_and_test(model: keras.Model, examples: Examples) -> Evaluation:
    """As :func:`classification`, and loss and accuracy evaluated on the training part, without dropout."""
    evaluation = classification(model, examples)
    loss, accuracy = model.evaluate(*examples.train, batch_size=256, verbose=0)
    return replace(evaluation, metrics={**evaluation.metrics, "train_loss": loss, "train_accuracy": accuracy})
