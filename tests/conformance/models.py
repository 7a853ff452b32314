"""The models and files of the conformance suite: ``python -m tests.conformance.models FOLDER``.

half_plus_two  versions 1 and 2 (y = x/2 + 2, and + 3), stable and canary: signatures to predict, classify and regress
text           strings in and out, one output named …_bytes
old            TensorFlow 1: signatures to classify and regress that share their input
types          every type that JSON can carry, both ways, by "more" all others, by "half" float16 alone
sums           rows of any width to a sum each; all of them to one scalar; two inputs that need not have equal rows
matrix         rows of any width, with an ONNX export; and a matrix product that takes three columns
image          a convolution, which is what wrong ranks kill (CONTRACT D.11)
line           y = x/2 + 2 for rows of three, with an ONNX export: quick to start for cases with a process of their own
lite           the same as half_plus_two for TensorFlow Lite
"""

import json
import sys
from pathlib import Path

import onnx
import tensorflow as tf
from onnx import TensorProto, helper

from tests.serving.model_server import versions

FEATURES = {"x": tf.io.FixedLenFeature([1], tf.float32)}


def half_plus_two(directory: Path, offset: float) -> None:
    model = tf.Module()
    model.half, model.offset = tf.Variable(0.5), tf.Variable(offset)

    def value(x: tf.Tensor) -> tf.Tensor:
        return model.half * x + model.offset

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def predict(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": value(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, n) for n in ("a", "b")])
    def both(a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": value(a) + b, "difference": value(a) - b}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": value(tf.io.parse_example(inputs, FEATURES)["x"])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        score = value(tf.io.parse_example(inputs, FEATURES)["x"])
        names = tf.repeat(tf.constant([["low", "high"]]), tf.shape(score)[0], axis=0)
        return {"classes": names, "scores": tf.concat([-score, score], 1)}

    signatures = {"serving_default": predict, "both": both, "regress": regress, "classify": classify}
    tf.saved_model.save(model, str(directory), signatures=signatures)


def old(directory: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = v1.placeholder(tf.string, [None], "inputs")
        score = 0.5 * tf.io.parse_example(inputs, FEATURES)["x"] + 2.0
        names = tf.repeat(tf.constant([["low", "high"]]), tf.shape(score)[0], axis=0)
        regress = v1.saved_model.regression_signature_def(inputs, score)
        classify = v1.saved_model.classification_signature_def(inputs, names, tf.concat([-score, score], 1))
        builder = v1.saved_model.Builder(str(directory))
        signatures = {"regress": regress, "classify": classify}
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()


def text(directory: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def infer(words: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"upper": tf.strings.upper(words), "same_bytes": tf.identity(words)}

    save(directory, infer)


def types(directory: Path) -> None:
    kinds = [tf.float32, tf.float64, tf.int32, tf.int64, tf.uint8, tf.bool, tf.string]
    more = [tf.half, tf.bfloat16, tf.int8, tf.int16, tf.uint16, tf.uint32, tf.uint64, tf.complex64, tf.complex128]

    def same(kinds: list[tf.DType]) -> object:
        @tf.function(input_signature=[tf.TensorSpec([None], kind, kind.name) for kind in kinds])
        def infer(*values: tf.Tensor) -> dict[str, tf.Tensor]:
            return {f"{kind.name}_out": tf.identity(value) for kind, value in zip(kinds, values, strict=True)}

        return infer

    signatures = {"serving_default": same(kinds), "more": same(more), "half": same([tf.half])}
    tf.saved_model.save(tf.Module(), str(directory), signatures=signatures)


def matrix(directory: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "x")])
    def twice(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * 2.0}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "x")])
    def product(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.matmul(x, [[1.0], [2.0], [3.0]])}

    tf.saved_model.save(tf.Module(), str(directory), signatures={"serving_default": twice, "product": product})
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "twice", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    listed = {"serving_default": {"inputs": ["x"], "outputs": ["y"]}}
    helper.set_model_props(model, {"signatures": json.dumps(listed)})
    add_onnx_export(directory, model)


def sums(directory: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "x")])
    def rows(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": tf.reduce_sum(x, 1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def total(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, n) for n in ("a", "b")])
    def apart(a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"a_twice": 2.0 * a, "b_twice": 2.0 * b}

    signatures = {"serving_default": rows, "total": total, "apart": apart}
    tf.saved_model.save(tf.Module(), str(directory), signatures=signatures)


def image(directory: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, "image")])
    def infer(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.nn.conv2d(image, tf.ones([3, 3, 1, 2]), 1, "VALID")}

    save(directory, infer)


def line(directory: Path, offset: float) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def infer(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": 0.5 * x + offset}

    save(directory, infer)
    add_onnx_export(directory, versions.graph(0.5, offset))


def lite(directory: Path) -> None:
    saved = directory.parent.parent / "half_plus_two" / "1"
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved), signature_keys=["serving_default"])
    directory.mkdir(parents=True)
    (directory / "model.tflite").write_bytes(converter.convert())


def add_onnx_export(directory: Path, model: onnx.ModelProto) -> None:
    extra = directory / "assets.extra"
    extra.mkdir()
    onnx.save(model, extra / "model.onnx")


def save(directory: Path, infer: object) -> None:
    tf.saved_model.save(tf.Module(), str(directory), signatures={"serving_default": infer})


CONFIG = """
model_config_list {{
  config {{
    name: "half_plus_two" base_path: "{root}/half_plus_two" model_platform: "tensorflow"
    model_version_policy {{ all {{}} }}
    version_labels {{ key: "stable" value: 1 }} version_labels {{ key: "canary" value: 2 }}
  }}
  {others}
}}
"""
OTHER = 'config {{ name: "{name}" base_path: "{root}/{name}" model_platform: "tensorflow" }}'


def write(root: Path) -> None:
    half_plus_two(root / "half_plus_two" / "1", 2.0)
    half_plus_two(root / "half_plus_two" / "00000002", 3.0)
    for make in (old, text, types, sums, matrix, image):
        make(root / make.__name__ / "1")
    line(root / "line" / "1", 2.0)
    line(root / "line_2" / "2", 3.0)
    lite(root / "lite" / "1")
    others = "\n  ".join(
        OTHER.format(name=name, root=root) for name in ("old", "text", "types", "sums", "matrix", "image", "line")
    )
    (root / "models.config").write_text(CONFIG.format(root=root, others=others))
    path = "/monitoring/prometheus/metrics"
    (root / "monitoring.config").write_text(f'prometheus_config {{ enable: true path: "{path}" }}\n')


if __name__ == "__main__":
    write(Path(sys.argv[1]).absolute())
