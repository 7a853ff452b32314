"""Read the file of ``--batching_parameters_file`` and the ``batching_params.pbtxt`` of a version.

Source: tensorflow_serving/servables/tensorflow/session_bundle_config.proto for the fields, bundle_factory_util.h and
TensorFlow's shared_batch_scheduler.h for defaults, checks and messages.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.model_server import text_protos
from serving.model_server.errors import invalid_argument
from serving.tfs_api import messages

#: Read from a version's directory with ``--enable_per_model_batching_parameters``.
PER_MODEL_FILE = "batching_params.pbtxt"


@dataclass(frozen=True, kw_only=True)
class BatchingParameters:
    """How calls are merged.

    Attributes:
        max_batch_size: Most rows of one call; without splitting also of one batch.
        batch_timeout_micros: Longest wait of a batch that is not full, from its first call on.
        max_enqueued_batches: Most batches that wait in one queue.
        num_batch_threads: Batches of all models that run at the same time.
        thread_pool_name: A label of the queueing metric.
        allowed_batch_sizes: Batches are padded to the next of these sizes, ascending.
        pad_variable_length_inputs: Pad calls whose rows have different sizes to the largest size.
        enable_large_batch_splitting: Spread a call that does not fit the open batch over several batches.
        max_execution_batch_size: Most rows of a batch with splitting; 0 for ``max_batch_size``.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int
    thread_pool_name: str = "model_server_batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0

    def __post_init__(self) -> None:
        """Check the number of threads. Raises ServingError with INVALID_ARGUMENT."""
        if self.num_batch_threads < 1:
            raise invalid_argument(f"num_batch_threads must be positive; was {self.num_batch_threads}")

    def check(self) -> None:
        """Check the values that TensorFlow Serving checks when it loads a version.

        Raises:
            ServingError: INVALID_ARGUMENT for values that do not fit together.
        """
        sizes = self.allowed_batch_sizes
        if sizes and sizes[-1] != self.max_batch_size:
            raise invalid_argument(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{sizes[-1]}; expected {self.max_batch_size}"
            )
        if any(size >= following for size, following in itertools.pairwise((0, *sizes))):
            raise invalid_argument("allowed_batch_sizes entries must be monotonically increasing")
        if self.max_batch_size < 1:
            raise invalid_argument(f"input_batch_size_limit must be positive; was {self.max_batch_size}")
        if self.batch_timeout_micros < 0:
            raise invalid_argument(f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}")
        if self.max_enqueued_batches < (1 if self.enable_large_batch_splitting else 0):
            raise invalid_argument(f"max_enqueued_batches must be positive; was {self.max_enqueued_batches}")
        if self.enable_large_batch_splitting and not 0 <= self.max_execution_batch_size <= self.max_batch_size:
            raise invalid_argument(
                "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
                "max_execution_batch_size."
            )

    @property
    def batch_rows(self) -> int:
        """Most rows of one batch."""
        return (self.enable_large_batch_splitting and self.max_execution_batch_size) or self.max_batch_size

    def padded(self, rows: int) -> int:
        """Return the smallest allowed batch size that holds the rows."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)


def read(path: Path, *, threads: int) -> BatchingParameters:
    """Read a file; ``threads`` is the default of ``num_batch_threads``.

    Raises:
        ServingError: NOT_FOUND if the file is missing, INVALID_ARGUMENT if it is invalid.
    """
    message = text_protos.read(path, messages.BatchingParameters)
    given: dict[str, Any] = {"num_batch_threads": threads, "thread_pool_name": "batch_threads"}
    for field, value in message.ListFields():
        if field.name == "allowed_batch_sizes":
            given[field.name] = tuple(value)
        else:
            given[field.name] = value if isinstance(value, bool) else value.value
    return BatchingParameters(**given)
