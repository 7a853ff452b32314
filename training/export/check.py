"""Load an exported version in a clean process on the CPU and hold it against the Keras model's own answers.

``python -m training.export.check DIRECTORY EXPECTED`` prints a JSON report; :func:`check` runs it so. EXPECTED is a
file that :func:`check` writes: for each signature its inputs and the outputs of the Keras model.
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

from training.core.array import Array

TOLERANCE = 1e-4
_CALLS = 20
#: Operations that make a graph answer differently each time, or write to its own variables.
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
    """The exported version is not the model that was trained; nothing may be published."""


@dataclass(frozen=True)
class Report:
    """Largest difference by ``signature/output``, of the largest value where that is above 1, else absolute."""

    saved_model: dict[str, float]
    onnx: dict[str, float]


def check(directory: Path, answers: Answers) -> Report:
    """Run the check in a process of its own.

    Args:
        directory: the exported version.
        answers: by signature, the inputs and what the Keras model answered.

    Raises:
        CheckError: it does not load, is not deterministic, is stateful, or differs by more than 1e-4.
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
    """Those that are random or write to a variable, sorted, each once."""
    return sorted({name for name in operations if name.startswith(_IMPURE)})


def _main(directory: str, expected: str) -> dict[str, Any]:
    import tensorflow as tf

    from serving.onnx_runtime import onnxruntime

    answers: Answers = pickle.loads(Path(expected).read_bytes())
    problems: list[str] = []
    saved: dict[str, float] = {}
    twin: dict[str, float] = {}
    loaded = tf.saved_model.load(directory)
    path = Path(directory, "assets.extra", "model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) if path.exists() else None
    table = json.loads(session.get_modelmeta().custom_metadata_map["signatures"]) if session else {}
    for name, (inputs, outputs) in answers.items():
        if name not in loaded.signatures:
            problems.append(f"signature {name} is missing")
            continue
        signature = loaded.signatures[name]
        graph = signature.graph.as_graph_def()
        found = impure(n.op for nodes in (graph.node, *(f.node_def for f in graph.library.function)) for n in nodes)
        if found:
            problems.append(f"signature {name} is not inference alone: it holds {', '.join(found)}")
        feed = {key: tf.constant(value) for key, value in inputs.items()}
        first = {key: value.numpy() for key, value in signature(**feed).items()}
        for _ in range(_CALLS - 1):
            again = signature(**feed)
            if any(not np.array_equal(first[key], again[key].numpy()) for key in first):
                problems.append(f"signature {name} does not give the same answer twice")
                break
        ours = None
        if name in table:
            ours = dict(zip(table[name]["outputs"], _run(session, table[name], inputs), strict=True))
        for key, truth in outputs.items():
            if truth.dtype == object:
                if first[key].tolist() != truth.tolist():
                    problems.append(f"{name}/{key} is not what it should be")
                continue
            saved[f"{name}/{key}"] = _difference(first.get(key), truth)
            if ours is not None:
                twin[f"{name}/{key}"] = _difference(ours[key], first[key])
    for kind, differences in (("the SavedModel differs from the Keras model", saved), ("ONNX differs", twin)):
        for key, value in differences.items():
            if not value <= TOLERANCE:
                problems.append(f"{kind} by {value:.2g} in {key}; at most {TOLERANCE} is allowed")
    return {"problems": problems, "saved_model": saved, "onnx": twin}


def _run(session: Any, signature: Mapping[str, list[str]], inputs: Mapping[str, Array]) -> list[Array]:
    rows = len(next(iter(inputs.values())))
    types = {"tensor(int32)": np.int32, "tensor(float)": np.float32, "tensor(uint8)": np.uint8}
    feed = {i.name: inputs.get(i.name, np.zeros((rows,), types[i.type])) for i in session.get_inputs()}
    answer: list[Array] = session.run(signature["outputs"], feed)
    return answer


def _difference(one: Array | None, other: Array) -> float:
    """Largest absolute difference, relative to the largest value where that is above 1; inf for other shapes."""
    if one is None or one.shape != other.shape:
        return float("inf")
    if not one.size:
        return 0.0
    return float(np.abs(one - other).max() / max(1.0, float(np.abs(other).max())))


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:3])))
