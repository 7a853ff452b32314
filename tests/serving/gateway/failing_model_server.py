"""The embedded model server with a broken engine: ``python -m tests.serving.gateway.failing_model_server FILE …``.

The file says how each run ends: ``MODEL error``, ``MODEL hang`` or ``MODEL full`` in a line; other models compute.
Further arguments are flags of the model server.
"""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from serving.model_server import __main__ as program
from serving.model_server.core.servable import Servable
from serving.model_server.engines import onnx
from serving.model_server.errors import internal, resource_exhausted
from serving.tfs_api.tensors import Array


def break_engine(plan: Path) -> None:
    """Make each run read the file first, in a thread of its own as in TensorFlow Serving."""

    class BrokenEngine(onnx.OnnxEngine):
        def __init__(self, version_directory: Path, threads: int = 1) -> None:
            super().__init__(version_directory, threads)
            self._model = version_directory.parent.name

        def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
            while self._fault() == "hang":
                time.sleep(0.01)
            match self._fault():
                case "error":
                    raise internal("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered")
                case "full":
                    raise resource_exhausted("the queue is full")
            return super().run(signature, inputs, outputs)

        def _fault(self) -> str | None:
            return dict(line.split() for line in plan.read_text().splitlines()).get(self._model)

    onnx.OnnxEngine = BrokenEngine
    Servable.expect = lambda *_: math.inf  # no run is short enough for the event loop


if __name__ == "__main__":
    break_engine(Path(sys.argv.pop(1)))
    program.main()
