"""Score on Ray Data: ``vitrine score … --on ray``, on this machine's cores or on the cluster in RAY_ADDRESS.

Each worker is an actor that loads the model once and writes the files of its parts. It returns row counts alone, so
that rows never pass through the driver, a killed run resumes from its parts, and the output equals that of one machine,
byte for byte. Ray repeats the part of a lost worker. All machines must see the version, the input and the output folder
under the same paths (a volume that many can mount), and have this package with the extra ``ray``: for KubeRay the image
``ray-worker``. If the cluster requires a token, set Ray's variables RAY_AUTH_MODE=token and RAY_AUTH_TOKEN. Tested with
two nodes on one machine, one worker killed; not with several machines.

Ray Data instead of Apache Beam's RunInference: beyond one machine Beam needs Dataflow, Flink or Spark, each a service
of its own. Ray is one package with its own cluster. The same lines run on a laptop and, as the entry point of KubeRay's
RayJob, on Kubernetes. Its actors keep the loaded model, and it supports Python 3.11 to 3.13 beside TensorFlow 2.21 in
one environment.
"""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.data

from serving.model_server.errors import ServingError
from serving.scoring.inputs import Source
from serving.scoring.model import ScoringModel
from serving.scoring.parts import Engine, EngineError, ScorePart


class _Scorer:
    """An actor: one loaded model for all of its parts."""

    def __init__(self, model: ScoringModel, source: Source) -> None:
        self._model, self._source = model, source

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        parts = zip(batch["start"], batch["stop"], batch["path"], strict=True)
        rows, problem = 0, ""
        try:
            for start, stop, path in parts:
                rows += sum(ScorePart(int(start), int(stop), Path(path)).score(self._model, self._source))
        except (ServingError, OSError) as error:
            problem = str(error)  # as a value, because an exception arrives as pages of traces
        return {"rows": np.array([rows]), "problem": np.array([problem])}


def engine(workers: int | None = None) -> Engine:
    """Return an engine with so many workers, by default one for each core of the machine or cluster.

    The engine raises EngineError if the cluster cannot be reached or scoring fails on a worker.
    """

    def run(model: ScoringModel, source: Source, missing: Sequence[ScorePart]) -> Iterator[int]:
        if not missing:
            return
        _connect(workers)
        try:
            cores = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
            size = min(workers or cores, len(missing))
            items = [{"start": part.start, "stop": part.stop, "path": str(part.path)} for part in missing]
            scored = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
                _Scorer,
                fn_constructor_args=(model, source),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=size),
            )
            for row in scored.iter_rows():
                if row["problem"]:
                    raise EngineError(row["problem"])
                yield int(row["rows"])
        except ray.exceptions.RayError as error:
            raise EngineError(f"Ray's workers failed: {error}") from error
        finally:
            ray.shutdown()

    return run


def _connect(workers: int | None) -> None:
    """Connect to the cluster in RAY_ADDRESS, or start a local one. Ray's logs go to files."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = os.environ.get("RAY_ADDRESS", "")
    try:
        if address:
            _check_port(address)
            ray.init(**quiet)
        else:
            # A small object store in bytes, because only paths and counts travel.
            ray.init("local", num_cpus=workers, include_dashboard=False, object_store_memory=100_000_000, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise EngineError(f"there is no Ray cluster {f'at {address}' if address else 'here'}: {error}") from None


def _check_port(address: str) -> None:
    """Raise OSError if nothing listens at host:port. Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()
