"""Scalar operations on a trailing axis of size 1, in onnxruntime."""

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, checker, helper

from serving.onnx_runtime import onnxruntime
from training.export.onnx_graph.scalars import flatten_scalar_operations


def model(scale: str, sizes: Sequence[int | str], scalar: Sequence[int] = ()) -> ModelProto:
    """Return a graph that applies an operation with 3 to its input, and adds 1."""
    three, one = (helper.make_tensor(name, TensorProto.FLOAT, scalar, [value]) for name, value in (("c", 3), ("d", 1)))
    nodes = [helper.make_node(scale, ["c", "x"], ["scaled"]), helper.make_node("Add", ["scaled", "d"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", *sizes]) for name in "xy"]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [three, one])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def outputs(of: ModelProto, sizes: Sequence[int]) -> np.ndarray:
    x = np.random.default_rng(0).uniform(1, 2, (5, *sizes)).astype(np.float32)
    session = onnxruntime.InferenceSession(of.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("operation", ["Add", "Div", "Mul", "Sub"])
@pytest.mark.parametrize("scalar", [(), (1,)])
def test_the_values_stay_the_same(operation: str, scalar: tuple[int, ...]) -> None:
    changed = model(operation, [6, 4, 1], scalar)
    flatten_scalar_operations(changed)
    checker.check_model(changed)
    assert [node.op_type for node in changed.graph.node] == [
        "Reshape",
        operation,
        "Reshape",
        "Reshape",
        "Add",
        "Reshape",
    ]
    expected, found = (outputs(each, [6, 4, 1]) for each in (model(operation, [6, 4, 1], scalar), changed))
    assert np.array_equal(expected, found)


@pytest.mark.parametrize("sizes", [[6, 4, 3], [4], [1], ["height", 4, 1]])
def test_other_operations_stay_as_they_are(sizes: list[int | str]) -> None:
    changed = model("Mul", sizes)
    flatten_scalar_operations(changed)
    assert changed == model("Mul", sizes)


def test_constants_of_more_axes_stay_as_they_are() -> None:
    changed = model("Mul", [6, 4, 1], (1, 1, 1))
    flatten_scalar_operations(changed)
    assert changed == model("Mul", [6, 4, 1], (1, 1, 1))
