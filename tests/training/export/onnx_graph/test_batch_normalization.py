"""Multiply-add pairs as batch normalizations, in onnxruntime."""

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, checker, helper

from serving.onnx_runtime import onnxruntime
from training.export.onnx_graph.batch_normalization import join_batch_normalizations


def model(constants: Sequence[int] = (1, 3, 1, 1), outputs: Sequence[str] = ("y",), last: str = "Add") -> ModelProto:
    """Return a graph: ReLU, multiplication, and addition or another operation."""
    size = int(np.prod(constants))
    initializers = [
        helper.make_tensor("scale", TensorProto.FLOAT, constants, np.linspace(0.3, 2.9, size)),
        helper.make_tensor("offset", TensorProto.FLOAT, constants, np.linspace(-1, 0.7, size)),
    ]
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"]),
        helper.make_node("Mul", ["positive", "scale"], ["scaled"]),
        helper.make_node(last, ["offset", "scaled"], ["y"]),
    ]
    ends = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 3, 4, 5]) for name in ("x", "scaled", "y")
    }
    graph = helper.make_graph(nodes, "graph", [ends["x"]], [ends[name] for name in outputs], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def answers(of: ModelProto) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    session = onnxruntime.InferenceSession(of.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


def test_a_pair_becomes_one_node_with_the_same_values() -> None:
    changed = model()
    join_batch_normalizations(changed)
    checker.check_model(changed)
    assert [node.op_type for node in changed.graph.node] == ["Relu", "BatchNormalization"]
    assert {constant.name for constant in changed.graph.initializer} == set(changed.graph.node[1].input[1:])
    assert np.array_equal(answers(model()), answers(changed))


@pytest.mark.parametrize(
    "other",
    [
        model(constants=[1, 1, 1, 5]),
        model(constants=[1, 1, 1, 1]),
        model(outputs=["scaled", "y"]),
        model(last="Sub"),
    ],
    ids=["by column", "scalar", "product is an output", "no addition"],
)
def test_other_pairs_stay_as_they_are(other: ModelProto) -> None:
    changed = ModelProto.FromString(other.SerializeToString())
    join_batch_normalizations(changed)
    assert changed == other
