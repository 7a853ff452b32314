"""House values by a dense net with a decaying learning rate.

Course document 003_f995c3228e7eacd7, exercise 7, B.

    vitrine train boston_decay          10 seconds on two CPU cores
    vitrine train boston_decay --quick  5 epochs

Net and data are those of `boston_default`. Adam starts at 0.02; from epoch 10 on (the first is 0) each epoch multiplies
the rate by exp(−0.05) and rounds it to four decimals: .0200 … .0190 .0181 .0172 … .0028.

The course prints MSE 7.3 and MAE 1.92, on the test part 23.1 and 3.04. That is far better than A, with a larger gap
between training and test.
"""

from dataclasses import replace

import keras
import numpy as np

from training.core.errors import JobError
from training.core.job import Job
from training.core.recipe import Recipe
from training.jobs import boston_default

_PRINTED = ".02 .019 .0181 .0172 .0164 .0156 .0148 .0141 .0134 .0127 .0121 .0115 .0109 .0104 .0099 .0094 .0089 .0085"


def schedule(epoch: int, rate: float) -> float:
    """Return the next epoch's learning rate, as the course defines it."""
    return rate if epoch < 10 else round(rate * float(np.exp(-0.05)), 4)


def callbacks() -> list[keras.callbacks.Callback]:
    """Return the scheduler after a check against the printed rates.

    Raises:
        JobError: the rates differ from the course's.
    """
    rate = 0.02
    rates = [rate := schedule(epoch, rate) for epoch in range(9, 27)]
    if rates != [float(printed) for printed in _PRINTED.split()]:
        raise JobError(f"from epoch 9 on the learning rates are {rates}; the course prints {_PRINTED}")
    return [keras.callbacks.LearningRateScheduler(schedule)]


JOB: Job = replace(
    boston_default.JOB,
    name="boston_decay",
    title="House values by a dense net, decaying learning rate",
    course="003_f995c3228e7eacd7, exercise 7, B",
    recipe=Recipe(epochs=50, batch_size=32, learning_rate=0.02, save_every=50),
    printed={"loss": 7.3, "mae": 1.92, "val_loss": 23.1, "val_mae": 3.04},
    callbacks=callbacks,
)
