"""What every classifier and every forecaster is measured by."""

import keras
import numpy as np

from training.job import Evaluation, Examples


def classification(model: keras.Model, examples: Examples) -> Evaluation:
    """Test loss and accuracy of a model with softmax outputs; truth and answer are class numbers, int64 [n]."""
    x, y = examples.test
    probabilities = model.predict(x, batch_size=256, verbose=0).astype(np.float64)
    truth = y if y.ndim == 1 else y.argmax(axis=1)
    answer = probabilities.argmax(axis=1)
    likelihood = np.clip(probabilities[np.arange(len(truth)), truth], 1e-7, 1)
    return Evaluation(
        metrics={
            "test_loss": float(-np.log(likelihood).mean()),
            "test_accuracy": float((answer == truth).mean()),
        },
        truth=truth,
        answer=answer,
    )
