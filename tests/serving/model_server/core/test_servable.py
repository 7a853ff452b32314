"""The expected run time of a signature, which decides where it runs."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from serving.model_server.core import signature
from serving.model_server.core.servable import Servable
from serving.model_server.inference import predict
from serving.tfs_api.tensors import Array
from tests.serving.model_server import versions


class WaitingEngine:
    """Waits for 50 ms in each run, as TensorFlow waits for its own threads."""

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        threading.Event().wait(0.05)
        return [inputs["x"]]


def test_the_estimate_includes_time_in_threads_of_the_engine(tmp_path: Path) -> None:
    signatures = signature.read(versions.write(tmp_path / "1"), ["serve"])
    servable = Servable(signatures, None, WaitingEngine)
    call = predict.prepare(servable, "", {"x": np.zeros((1, 3), np.float32)})
    assert servable.estimate(call) == float("inf")
    servable.run(call)
    assert servable.estimate(call) >= 0.05
