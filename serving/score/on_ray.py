"""The same scoring on Ray Data: ``--engine ray`` on this machine's own runner, with RAY_ADDRESS on a cluster.

Why Ray Data and not Apache Beam's RunInference: Beam takes its work to Dataflow, Flink or Spark, each a service of its
own; Ray's cluster is its own package, KubeRay brings it to Kubernetes, and an actor keeps the loaded model between
batches, on a GPU where it asks for one. It also stands beside TensorFlow 2.20 in one environment.

Rows keep their ids, not their order. Ray repeats what a lost worker had; a run that is killed as a whole starts anew.
"""

import logging
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data

from serving.score.inputs import Source
from serving.score.model import Model
from serving.score.parts import BATCH, Scored, publish


class _Scorer:
    """An actor: the model is loaded once for all its batches."""

    def __init__(self, model: Model, source: Source) -> None:
        self._model, self._source = model, source

    def __call__(self, batch: dict[str, Any]) -> pa.Table:
        start = int(batch["id"][0]) * BATCH
        stop = min(start + BATCH, self._source.rows)
        return pa.concat_tables(self._model.score(*rows) for rows in self._source.batches(start, stop, BATCH))


def score(model: Model, source: Source, out: Path, workers: int = 1) -> Scored:
    """Score all rows and write them to ``out`` (Parquet).

    All machines must see the version and the input under the same paths.

    Raises:
        ray.exceptions.RayError: the cluster cannot be reached, or a worker failed for good.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_ADDRESS" in os.environ:
        ray.init(log_to_driver=False, logging_level=logging.WARNING)
    else:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    try:
        batches = ray.data.range(-(-source.rows // BATCH))
        scored = batches.map_batches(
            _Scorer,
            fn_constructor_args=(model, source),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
        )
        tables = [ray.get(reference) for reference in scored.to_arrow_refs()]
    finally:
        ray.shutdown()
    table = pa.concat_tables(tables)
    publish(table, out)
    return Scored(len(table), len(table) - table["error"].null_count)
