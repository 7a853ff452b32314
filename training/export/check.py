"""Compare an exported version with the Keras model, in a clean CPU process.

:func:`check` runs ``python -m training.export.check DIRECTORY EXPECTED``, which prints a JSON report. EXPECTED is a
file with the inputs and the Keras model's outputs of each signature.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving import extras
from training.core.array import Array

TOLERANCE = 1e-4
#: A p-value is steep where the scores of its quantiles are close.
_TOLERANCE_BY_OUTPUT = {"typicality": 1e-3}
_CALLS = 20
_COSTLY_CALLS = 2
_COSTLY = {"explain"}  # 112 predictions for each row
#: Operations that make a graph non-deterministic or stateful.
_IMPURE = (
    "Random",
    "StatelessRandom",
    "StatelessTruncated",
    "StatelessMultinomial",
    "Truncated",
    "Multinomial",
    "Parameterized",
    "Rng",
    "Assign",
)

Answers = Mapping[str, tuple[Mapping[str, Array], Mapping[str, Array]]]


class CheckError(Exception):
    """The exported version differs from the trained model and must not be published."""


@dataclass(frozen=True)
class Report:
    """Largest difference by ``signature/output``, relative for values above 1."""

    saved_model: dict[str, float]
    onnx: dict[str, float]


def check(directory: Path, answers: Answers) -> Report:
    """Run the check in a separate process.

    Args:
        directory: the exported version.
        answers: inputs and outputs of the Keras model, by signature.

    Raises:
        CheckError: the version does not load, is not deterministic, is stateful, or differs by more than 1e-4.
    """
    with tempfile.TemporaryDirectory() as folder:
        expected = Path(folder, "expected.pickle")
        expected.write_bytes(pickle.dumps({name: (dict(i), dict(o)) for name, (i, o) in answers.items()}))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        done = subprocess.run(
            [sys.executable, "-m", "training.export.check", str(directory), str(expected)],
            capture_output=True,
            text=True,
            env={**clean, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
    try:
        report = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise CheckError(f"the version cannot be loaded: {done.stderr.strip()[-2000:]}") from None
    if report["problems"]:
        raise CheckError("; ".join(report["problems"]))
    return Report(saved_model=report["saved_model"], onnx=report["onnx"])


def impure(operations: Iterable[str]) -> list[str]:
    """Return the operations that are random or write to a variable, sorted."""
    return sorted({name for name in operations if name.startswith(_IMPURE)})


def _main(directory: str, expected: str) -> dict[str, Any]:
    """Check all signatures; return the report as JSON values."""
    import tensorflow as tf

    answers: Answers = pickle.loads(Path(expected).read_bytes())  # nosec B301 # of check(), in its own directory
    problems: list[str] = []
    saved_model: dict[str, float] = {}
    onnx: dict[str, float] = {}
    loaded = tf.saved_model.load(directory)
    exports = [_OnnxExport(path) for path in sorted(Path(directory, "assets.extra").glob("*.onnx"))]
    for name, (inputs, outputs) in answers.items():
        if name not in loaded.signatures:
            problems.append(f"signature {name} is missing")
            continue
        answer = _call(name, loaded.signatures[name], inputs, problems)
        exported = next((one.call(name, inputs) for one in exports if name in one.signatures), None)
        for key, truth in outputs.items():
            if truth.dtype == object:
                if answer[key].tolist() != truth.tolist():
                    problems.append(f"{name}/{key} differs from the Keras model's output")
                continue
            saved_model[f"{name}/{key}"] = _difference(answer.get(key), truth)
            if exported is not None:
                onnx[f"{name}/{key}"] = _difference(exported[key], answer[key])
    problems += _too_large("the SavedModel differs from the Keras model", saved_model)
    problems += _too_large("ONNX differs", onnx)
    return {"problems": problems, "saved_model": saved_model, "onnx": onnx}


def _call(name: str, signature: Any, inputs: Mapping[str, Array], problems: list[str]) -> dict[str, Array]:
    """Return the signature's outputs; add impure operations and answers to ``problems``."""
    import tensorflow as tf

    graph = signature.graph.as_graph_def()
    found = impure(n.op for nodes in (graph.node, *(f.node_def for f in graph.library.function)) for n in nodes)
    if found:
        problems.append(f"signature {name} is not pure inference: it contains {', '.join(found)}")
    feed = {key: tf.constant(value) for key, value in inputs.items()}
    first = {key: value.numpy() for key, value in signature(**feed).items()}
    for _ in range((_COSTLY_CALLS if name in _COSTLY else _CALLS) - 1):
        again = signature(**feed)
        if any(not np.array_equal(first[key], again[key].numpy()) for key in first):
            problems.append(f"signature {name} does not give the same answer twice")
            break
    return first


class _OnnxExport:
    """One ONNX file of the version."""

    def __init__(self, path: Path) -> None:
        from serving.onnx_runtime import onnxruntime

        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.signatures = json.loads(self._session.get_modelmeta().custom_metadata_map["signatures"])

    def call(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs of a signature."""
        rows = len(next(iter(inputs.values())))
        types = {"tensor(int32)": np.int32, "tensor(float)": np.float32, "tensor(uint8)": np.uint8}
        feed = {i.name: inputs.get(i.name, np.zeros((rows,), types[i.type])) for i in self._session.get_inputs()}
        outputs = self.signatures[name]["outputs"]
        return dict(zip(outputs, self._session.run(outputs, feed), strict=True))


def _too_large(kind: str, differences: Mapping[str, float]) -> list[str]:
    allowed = {key: _TOLERANCE_BY_OUTPUT.get(key.rpartition("/")[2], TOLERANCE) for key in differences}
    return [
        f"{kind} by {value:.2g} in {key}; at most {allowed[key]} is allowed"
        for key, value in differences.items()
        if not value <= allowed[key]
    ]


def _difference(one: Array | None, other: Array) -> float:
    """Return the largest absolute difference; inf for different shapes.

    If the largest value is above 1, the difference is relative to it.
    """
    if one is None or one.shape != other.shape:
        return float("inf")
    if not one.size:
        return 0.0
    return float(np.abs(one - other).max() / max(1.0, float(np.abs(other).max())))


if __name__ == "__main__":
    try:
        print(json.dumps(_main(*sys.argv[1:3])))
    except ImportError as error:
        raise extras.named("training.export.check", error) from None
