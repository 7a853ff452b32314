"""Several processes fit one model: each takes its part of every batch, and all apply the same mean gradient.

``TF_CONFIG`` says who they are, as for TensorFlow's own strategies and Kubeflow's TFJob::

    {"cluster": {"worker": ["train-0.train:2222", "train-1.train:2222"]}, "task": {"type": "worker", "index": 0}}

Their port takes whatever TensorFlow's own servers take: let only the workers reach it.

``fit`` of Keras 3 cannot run in the scope of ``tf.distribute.MultiWorkerMirroredStrategy`` ("unsupported type
PerReplica"). Here it runs outside, on ordinary variables; only the sum over workers is TensorFlow's, one collective
operation a step over everything there is to add up.

What a batch of one worker gives, the parts of several give too: the gradient is the mean over all examples of the
batch, the same examples in one order for any number of workers. Two things differ. Dropout and augmentation draw other
numbers on each worker. Batch normalisation normalises by the worker's own part; its moving statistics are averaged
after every step, so that the weights on all workers stay equal. Worker 0 writes checkpoints and publishes. If a worker
is lost all others end too, and started again they go on from the last checkpoint.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.core.job import Array, JobError, WorkerLost

Part = tuple[tf.Tensor, tf.Tensor, tf.Tensor]

_GROUP = 1  # of the collective operations; each of them has a number of its own
_STEP, _EPOCH, _STATE, _MEET = 1, 2, 3, 4
_PATIENCE = 600.0  # seconds for a worker that lives but is slow; one that is gone is noticed at once
_LONG_PATIENCE = 24 * 3600.0  # while others load their data, or worker 0 publishes
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.DeadlineExceededError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
)


class WorkerGroup:
    """The workers of one fit, seen from one of them."""

    def __init__(self, size: int, index: int) -> None:
        self.size = size
        self.index = index

    @property
    def leads(self) -> bool:
        return self.index == 0

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """What the workers do together is done in here.

        Raises:
            WorkerLost: one of them is gone, or has not been heard of for ten minutes.
        """
        try:
            yield
        except _LOST as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise WorkerLost(
                f"worker {self.index} of {self.size} has lost another ({reason[-1][:200]}): "
                "started again, all go on from the last checkpoint"
            ) from None

    def meet(self) -> None:
        """Until all workers have come here."""
        self._sum(tf.zeros(1), _MEET, _LONG_PATIENCE)

    def leave(self) -> None:
        """The others wait for worker 0, which has published by now and needs nobody any more.

        Raises:
            WorkerLost: worker 0 is gone without having published.
        """
        try:
            with self.watched():
                self.meet()
        except WorkerLost:
            if not self.leads:
                raise

    def part(self, train: tuple[Array, Array], batch_size: int, seed: int) -> tf.data.Dataset:
        """This worker's part of every batch, as (inputs, targets, weights [n]), shuffled anew each epoch.

        A last batch of fewer examples than workers leaves some with one that has the weight 0.

        Raises:
            JobError: a batch has fewer examples than there are workers.
        """
        if batch_size < self.size:
            raise JobError(f"a batch of {batch_size} cannot be shared by {self.size} workers")
        with tf.device("CPU:0"):
            x, y = (tf.constant(values) for values in train)

        def mine(batch: tf.Tensor) -> Part:
            first, end = self._share(tf.shape(batch)[0])
            taken = batch[first : tf.maximum(end, first + 1)]
            weights = tf.fill(tf.shape(taken), tf.where(end > first, 1.0, 0.0))
            return tf.gather(x, taken), tf.gather(y, taken), weights

        count = len(train[0])
        return tf.data.Dataset.range(count).shuffle(count, seed=seed).batch(batch_size).map(mine)

    def examples(self, count: int, batch_size: int) -> int:
        """How many of ``count`` examples this worker fits in an epoch."""
        batches = [batch_size] * (count // batch_size) + [count % batch_size]
        return sum(end - first for first, end in map(self._share, batches))

    def join(self, model: keras.Model) -> None:
        """From now on ``model.fit`` takes :meth:`part` and applies the mean gradient of all workers.

        The step is that of Keras, with the mean between gradient and optimiser.
        """

        def train_step(data: Part) -> Mapping[str, tf.Tensor]:
            x, y, weights = data
            examples = tf.reduce_sum(weights)
            with tf.GradientTape() as tape:
                answer = model(x, training=True)
                loss = model.compute_loss(x, y, answer, training=True)
            variables = model.trainable_variables
            gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            statistics = list(_moving_statistics(model))
            means = self._mean([*gradients, *statistics], examples, _STEP)
            model.optimizer.apply(means[: len(variables)], variables)
            for statistic, mean in zip(statistics, means[len(variables) :], strict=True):
                statistic.assign(mean)
            for metric in model.metrics:
                if metric.name == "loss":
                    metric.update_state(loss, sample_weight=examples)
                else:
                    metric.update_state(y, answer)
            return model.get_metrics_result()

        model.train_step = train_step
        model.jit_compile = False  # XLA knows no collective operation over the network

    def agree(self, model: keras.Model, epoch: int) -> None:
        """Begin from worker 0's weights and the state of its optimiser.

        Raises:
            JobError: the workers are not at the same epoch.
        """
        state = [value for value in (*model.weights, *model.optimizer.variables) if value.dtype == "float32"]
        own = tf.concat([tf.reshape(value, [-1]) for value in state], 0)
        told = self._sum(tf.concat([[float(epoch)], own if self.leads else tf.zeros_like(own)], 0), _STATE)
        if int(told[0]) != self.size * epoch:
            raise JobError(f"worker {self.index} found epoch {epoch}, others another: they need one folder of --runs")
        for value, new in zip(state, _split(told[1:], state), strict=True):
            value.assign(new)

    def averages(self, examples: int) -> keras.callbacks.Callback:
        """Makes the figures of an epoch those of all workers, weighted by how many examples each has fitted."""

        def on_epoch_end(epoch: int, logs: dict[str, float]) -> None:
            names = sorted(name for name in logs if not name.startswith("val_"))  # validation is whole on each
            means = self._mean([tf.constant(logs[name], tf.float32) for name in names], float(examples), _EPOCH)
            logs.update({name: float(mean) for name, mean in zip(names, means, strict=True)})

        return keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)

    def _share(self, count: Any) -> tuple[Any, Any]:
        return self.index * count // self.size, (self.index + 1) * count // self.size

    def _mean(self, values: Sequence[Any], weight: Any, number: int) -> list[tf.Tensor]:
        own = tf.concat([tf.reshape(value, [-1]) for value in values], 0) * weight
        total = self._sum(tf.concat([tf.reshape(weight, [1]), own], 0), number)
        return _split(total[1:] / total[0], values)

    def _sum(self, vector: tf.Tensor, number: int, patience: float = _PATIENCE) -> tf.Tensor:
        """The sum of all workers' vectors [n], bit for bit the same on each."""
        with tf.device("CPU:0"):
            return tf.raw_ops.CollectiveReduceV2(
                input=vector,
                group_size=self.size,
                group_key=_GROUP,
                instance_key=number,
                ordering_token=[],
                merge_op="Add",
                final_op="Id",
                communication_hint="ring",
                timeout_seconds=patience,
            )


def worker_group() -> WorkerGroup | None:
    """The workers that ``TF_CONFIG`` names, None where this is the only one. To be called before any tensor is made.

    Raises:
        JobError: TF_CONFIG is not to be understood.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return None
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        index = int(task["index"])
        if list(config["cluster"]) != ["worker"] or task["type"] != "worker" or not 0 <= index < len(workers):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise JobError(
            f'TF_CONFIG is {text}; {{"cluster": {{"worker": ["HOST:PORT", …]}}, '
            '"task": {"type": "worker", "index": 0}} is expected'
        ) from None
    if len(workers) == 1:
        return None
    # Starts the server that collective operations talk to, and watches the others; nothing else of it is needed.
    tf.distribute.MultiWorkerMirroredStrategy()
    return WorkerGroup(len(workers), index)


def _moving_statistics(model: keras.Model) -> Iterator[keras.Variable]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _moving_statistics(layer)
        elif isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            yield from layer.non_trainable_weights


def _split(vector: tf.Tensor, like: Sequence[Any]) -> list[tf.Tensor]:
    sizes = [int(np.prod(value.shape)) for value in like]
    return [tf.reshape(part, value.shape) for part, value in zip(tf.split(vector, sizes), like, strict=True)]
