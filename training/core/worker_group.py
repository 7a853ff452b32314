"""Data-parallel fit: several processes share every batch and apply one gradient.

``TF_CONFIG`` names the workers, as for TensorFlow's own strategies and Kubeflow's TFJob::

    {"cluster": {"worker": ["train-0.train:2222", "train-1.train:2222"]}, "task": {"type": "worker", "index": 0}}

The workers' ports have no authentication: only the workers may reach them.

``fit`` of Keras 3 fails in the scope of ``tf.distribute.MultiWorkerMirroredStrategy`` ("unsupported type PerReplica").
Here ``fit`` runs outside a scope, on ordinary variables, and one collective operation per step sums a vector over all
workers.

The gradient is the mean over all examples of the batch, and the batches are the same for any number of workers: one
worker and several give the same result, with two exceptions. Dropout and augmentation draw other numbers on each
worker. Batch normalisation normalises by the worker's own part; its moving statistics are averaged after every step,
so that the weights stay equal on all workers. Worker 0 writes checkpoints and publishes. If a worker stops, all others
stop too; after a restart they resume from the last checkpoint.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.core.array import Array
from training.core.errors import JobError, WorkerLost

Part = tuple[tf.Tensor, tf.Tensor, tf.Tensor]

_GROUP = 1  # key of the collective operations; each operation has its own instance key
_STEP, _EPOCH, _STATE, _BARRIER = 1, 2, 3, 4
_TIMEOUT = 600.0  # seconds to wait for a slow worker; a dead one is detected at once
_LONG_TIMEOUT = 24 * 3600.0  # while others load their data, or worker 0 publishes
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.DeadlineExceededError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
)


class WorkerGroup:
    """The workers that share a fit, as one of them.

    Attributes:
        size: number of workers.
        index: this worker's number, from 0.
    """

    def __init__(self, size: int, index: int) -> None:
        self.size = size
        self.index = index

    @classmethod
    def from_environment(cls) -> "WorkerGroup | None":
        """Join the workers that ``TF_CONFIG`` names; None for a single worker.

        Call it before any tensor exists.

        Raises:
            JobError: TF_CONFIG is invalid.
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
        # Starts the server of collective operations and the detection of lost workers; its scope is not used.
        tf.distribute.MultiWorkerMirroredStrategy()
        return cls(len(workers), index)

    @property
    def leads(self) -> bool:
        """Whether this is worker 0, which writes checkpoints and publishes."""
        return self.index == 0

    @contextlib.contextmanager
    def detect_loss(self) -> Iterator[None]:
        """Turn TensorFlow's errors of collective operations into WorkerLost.

        Raises:
            WorkerLost: another worker has stopped, or has not answered for ten minutes.
        """
        try:
            yield
        except _LOST as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise WorkerLost(
                f"worker {self.index} of {self.size} has lost another worker ({reason[-1][:200]}). "
                "Restart all workers: they resume from the last checkpoint"
            ) from None

    def barrier(self) -> None:
        """Wait until all workers have called this method."""
        self._sum(tf.zeros(1), _BARRIER, _LONG_TIMEOUT)

    def finish(self) -> None:
        """Wait until worker 0 has published; worker 0 ignores the loss of others.

        Raises:
            WorkerLost: worker 0 stopped before it published.
        """
        try:
            with self.detect_loss():
                self.barrier()
        except WorkerLost:
            if not self.leads:
                raise

    def part(self, train: tuple[Array, Array], batch_size: int, seed: int) -> tf.data.Dataset:
        """Return this worker's part of every batch, reshuffled each epoch.

        An element is (inputs, targets, weights [n]). If the last batch has fewer examples than workers, some workers
        get an example of weight 0.

        Raises:
            JobError: a batch has fewer examples than there are workers.
        """
        if batch_size < self.size:
            raise JobError(f"a batch of {batch_size} cannot be shared by {self.size} workers")
        with tf.device("CPU:0"):
            x, y = (tf.constant(values) for values in train)

        def own_part(batch: tf.Tensor) -> Part:
            first, end = self._share(tf.shape(batch)[0])
            taken = batch[first : tf.maximum(end, first + 1)]
            weights = tf.fill(tf.shape(taken), tf.where(end > first, 1.0, 0.0))
            return tf.gather(x, taken), tf.gather(y, taken), weights

        count = len(train[0])
        return tf.data.Dataset.range(count).shuffle(count, seed=seed).batch(batch_size).map(own_part)

    def examples(self, count: int, batch_size: int) -> int:
        """Return how many of ``count`` examples this worker fits in an epoch."""
        batches = [batch_size] * (count // batch_size) + [count % batch_size]
        return sum(end - first for first, end in map(self._share, batches))

    def join(self, model: keras.Model) -> None:
        """Make ``model.fit`` apply the mean gradient of all workers to :meth:`part`.

        The step is Keras' own, with the mean over workers between gradient and optimiser.
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
            result: Mapping[str, tf.Tensor] = model.get_metrics_result()
            return result

        model.train_step = train_step
        model.jit_compile = False  # XLA has no collective operations over the network

    def synchronise(self, model: keras.Model, epoch: int) -> None:
        """Copy worker 0's weights and optimiser state to all workers.

        Raises:
            JobError: the workers are not at the same epoch.
        """
        state = [value for value in (*model.weights, *model.optimizer.variables) if value.dtype == "float32"]
        own = tf.concat([tf.reshape(value, [-1]) for value in state], 0)
        total = self._sum(tf.concat([[float(epoch)], own if self.leads else tf.zeros_like(own)], 0), _STATE)
        if int(total[0]) != self.size * epoch:
            raise JobError(
                f"worker {self.index} resumes at epoch {epoch}, others at another: give all the same folder with --runs"
            )
        for value, new in zip(state, _split(total[1:], state), strict=True):
            value.assign(new)

    def averages(self, examples: int) -> keras.callbacks.Callback:
        """Return a callback that averages an epoch's metrics over all workers.

        ``examples`` is this worker's number of examples, the weight of its metrics.
        """

        def on_epoch_end(epoch: int, logs: dict[str, float]) -> None:
            names = sorted(name for name in logs if not name.startswith("val_"))  # every worker validates on all of it
            means = self._mean([tf.constant(logs[name], tf.float32) for name in names], float(examples), _EPOCH)
            logs.update({name: float(mean) for name, mean in zip(names, means, strict=True)})

        return keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)

    def _share(self, count: Any) -> tuple[Any, Any]:
        return self.index * count // self.size, (self.index + 1) * count // self.size

    def _mean(self, values: Sequence[Any], weight: Any, instance: int) -> list[tf.Tensor]:
        own = tf.concat([tf.reshape(value, [-1]) for value in values], 0) * weight
        total = self._sum(tf.concat([tf.reshape(weight, [1]), own], 0), instance)
        return _split(total[1:] / total[0], values)

    def _sum(self, vector: tf.Tensor, instance: int, timeout: float = _TIMEOUT) -> tf.Tensor:
        """Return the sum of all workers' vectors [n], bit for bit the same on each worker."""
        with tf.device("CPU:0"):
            return tf.raw_ops.CollectiveReduceV2(
                input=vector,
                group_size=self.size,
                group_key=_GROUP,
                instance_key=instance,
                ordering_token=[],
                merge_op="Add",
                final_op="Id",
                communication_hint="ring",
                timeout_seconds=timeout,
            )


def _moving_statistics(model: keras.Model) -> Iterator[keras.Variable]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _moving_statistics(layer)
        elif isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            yield from layer.non_trainable_weights


def _split(vector: tf.Tensor, like: Sequence[Any]) -> list[tf.Tensor]:
    sizes = [int(np.prod(value.shape)) for value in like]
    return [tf.reshape(part, value.shape) for part, value in zip(tf.split(vector, sizes), like, strict=True)]
