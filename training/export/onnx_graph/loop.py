"""An ONNX Loop around a graph.

tf2onnx leaves the body of a TensorFlow loop unoptimised: it takes three times as long and has its weights in another
form. Therefore the body is converted as a graph of its own first.
"""

from typing import Any


def looped(body: Any, finish: Any, steps: int) -> Any:
    """Return a model that runs ``body`` for all steps of all rows, and ``finish`` on the results.

    Args:
        body: model with the inputs ``image`` (all rows) and ``step`` (int32 []), and the output ``result``.
        finish: model with the input ``results``, [n * steps, …].
        steps: steps for each row.
    """
    from onnx import TensorProto, compose, helper

    def integers(name: str, values: list[int], sizes: list[int]) -> Any:
        return helper.make_tensor(name, TensorProto.INT64, sizes, values)

    inner = compose.add_prefix(body, "step/").graph
    outer = compose.add_prefix(finish, "finish/", rename_inputs=False, rename_outputs=False).graph
    rows = next(one for one in body.graph.input if one.name == "image")
    one_step = helper.make_graph(
        [
            helper.make_node("Identity", ["image"], ["step/image"]),  # of the outer graph
            helper.make_node("Cast", ["number"], ["step/step"], to=TensorProto.INT32),
            helper.make_node("Identity", ["more"], ["still_more"]),
            *inner.node,
        ],
        "step",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("still_more", TensorProto.BOOL, []), *inner.output],
        inner.initializer,  # onnxruntime fuses no operations with weights of the outer graph
    )
    nodes = [
        helper.make_node("Shape", ["image"], ["count"], start=0, end=1),
        helper.make_node("Mul", ["count", "steps"], ["all_steps"]),
        helper.make_node("Loop", ["all_steps", ""], ["results"], body=one_step),
        *outer.node,
    ]
    weights = [integers("steps", [steps], [1]), *outer.initializer]
    graph = helper.make_graph(nodes, "looped", [rows], outer.output, weights)
    return helper.make_model(graph, opset_imports=body.opset_import, ir_version=body.ir_version)
