"""Write foreign SavedModels, in a process of its own: ``python -m … FOLDER``.

half_plus_two/00000123   TensorFlow 2, y = x / 2 + 2, and the same with a second output
old/1                    TensorFlow 1, built graph by graph; a scalar goes in and a vector comes out
examples/123             TensorFlow 1, as TensorFlow Serving's own tests have it: tf.Examples are parsed in the graph
lite/1                   TensorFlow Lite alone, y = x / 2 + 2; its signature names the input x and the output y
lite_metadata/1          the same, whose SignatureDef in the metadata names them a and b
text/1                   strings, a lookup table whose words lie in an asset file
conv/1                   a convolution: what kills TensorFlow Serving when the rank is wrong
free/1                   an input of any rank
pictures/1               encoded pictures, decoded in the graph
records                  a TFRecord file
shapes/1                 signatures whose inputs and outputs differ in rows, widths and ranks
typed/1                  half, and complex numbers out of pairs
tf2/1                    half_plus_two to classify and regress, as TensorFlow 2 exports it: every method is predict
mixed/1                  serving_default, which the test gives an ONNX export, and shout, which it does not
"""

import shutil
import sys
from pathlib import Path

import flatbuffers
import tensorflow as tf
from flatbuffers import flexbuffers
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.lite.python import schema_py_generated


def half_plus_two(directory: Path) -> None:
    model = tf.Module()
    model.a, model.b = tf.Variable(0.5), tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def infer(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": model.a * x + model.b}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def both(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": model.a * x + model.b, "z": model.a * x + 3.0}

    tf.saved_model.save(model, str(directory), signatures={"serving_default": infer, "both": both})


def old(directory: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [], "x")
        weights = v1.get_variable("weights", initializer=[1.0, 2.0, 3.0], use_resource=False)
        y = tf.multiply(x, weights, name="y")
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder = v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def examples(directory: Path) -> None:
    """After tensorflow/cc/saved_model/testdata/half_plus_two: y = x / 2 + 2, y2 = x / 2 + 3, y3 = x2 / 2 + 3."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        a, b, c = (v1.Variable(value, name=name) for name, value in (("a", 0.5), ("b", 2.0), ("c", 3.0)))
        serialized = v1.placeholder(tf.string, name="tf_example")  # of any rank, as there
        features = {"x": v1.FixedLenFeature([1], tf.float32), "x2": v1.FixedLenFeature([1], tf.float32, [0.0])}
        parsed = v1.parse_example(serialized, features)
        x, x2 = tf.identity(parsed["x"], name="x"), tf.identity(parsed["x2"], name="x2")
        x.set_shape([None, 1])
        y = tf.add(tf.multiply(a, x), b, name="y")
        y2 = tf.add(tf.multiply(a, x), c, name="y2")
        y3 = tf.add(tf.multiply(a, x2), c, name="y3")
        info = v1.saved_model.build_tensor_info
        session.run(v1.global_variables_initializer())

        def signature(given: tf.Tensor, answered: dict[str, tf.Tensor], method: str, alias: str = "inputs") -> object:
            outputs = {name: info(tensor) for name, tensor in answered.items()}
            return v1.saved_model.build_signature_def({alias: info(given)}, outputs, f"tensorflow/serving/{method}")

        builder = v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": signature(x, {"y": y}, "predict", "x"),
                "regress_x_to_y": signature(serialized, {"outputs": y}, "regress"),
                "regress_x_to_y2": signature(serialized, {"outputs": y2}, "regress"),
                "regress_x2_to_y3": signature(x2, {"outputs": y3}, "regress"),
                "classify_x_to_y": signature(serialized, {"scores": y}, "classify"),
                "both": signature(serialized, {"classes": tf.strings.as_string(y), "scores": y2}, "classify"),
                "wide": signature(serialized, {"outputs": tf.concat([y, y2], 1)}, "regress"),
            },
        )
        builder.save()


def lite(directory: Path, aliases: dict[str, str] | None = None) -> None:
    model = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def infer(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * 0.5 + 2.0}

    saved = directory.parent / "saved"
    tf.saved_model.save(model, str(saved), signatures=infer)
    content = tf.lite.TFLiteConverter.from_saved_model(str(saved)).convert()
    shutil.rmtree(saved)
    directory.mkdir()
    (directory / "model.tflite").write_bytes(content if aliases is None else with_metadata(content, aliases))


def with_metadata(content: bytes, aliases: dict[str, str]) -> bytes:
    """Add a SignatureDef, like tensorflow/lite/tools/signature/signature_def_util.cc."""
    interpreter = tf.lite.Interpreter(model_content=content)
    definition = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    definition.inputs[aliases["x"]].name = interpreter.get_input_details()[0]["name"]
    definition.outputs[aliases["y"]].name = interpreter.get_output_details()[0]["name"]
    model = schema_py_generated.ModelT.InitFromPackedBuf(content, 0)
    buffer, metadata = schema_py_generated.BufferT(), schema_py_generated.MetadataT()
    buffer.data = list(flexbuffers.Dumps({"serving_default": definition.SerializeToString()}))
    metadata.name, metadata.buffer = "signature_defs_metadata", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), metadata]
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def text(directory: Path) -> None:
    words = directory.parent / "words.txt"
    words.parent.mkdir(parents=True)
    words.write_text("shoe\nshirt\n")
    model = tf.Module()
    model.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        ),
        -1,
    )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def infer(words: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"number": model.table.lookup(words), "upper": tf.strings.upper(words)}

    tf.saved_model.save(model, str(directory), signatures=infer)


def conv(directory: Path) -> None:
    model = tf.Module()
    model.kernel = tf.Variable(tf.ones([3, 3, 1, 4]))

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, "image")])
    def infer(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.nn.conv2d(image, model.kernel, 1, "VALID")}

    tf.saved_model.save(model, str(directory), signatures=infer)


def free(directory: Path) -> None:
    model = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def infer(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.linalg.matmul(x, [[1.0], [2.0]])}

    tf.saved_model.save(model, str(directory), signatures=infer)


def shapes(directory: Path) -> None:
    def spec(name: str, *shape: int | None) -> tf.TensorSpec:
        return tf.TensorSpec(shape, tf.float32, name)

    @tf.function(input_signature=[spec("x", None, None)])
    def sums(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": tf.reduce_sum(x, 1)}

    @tf.function(input_signature=[spec("x", None, 1)])
    def total(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * 2.0, "sum": tf.reduce_sum(x)}

    @tf.function(input_signature=[spec("a", None), spec("b", None)])
    def apart(a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"twice": a * 2.0, "thrice": b * 3.0}

    @tf.function(input_signature=[spec("a", None, 1), spec("b", None, 1)])
    def together(a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": a + b, "pair": tf.concat([a, b], -1)}

    @tf.function(input_signature=[spec("x", None)])
    def mean(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mean": tf.reduce_mean(x, 0, keepdims=True)}

    @tf.function(input_signature=[spec("x", None)])
    def widest(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.zeros([tf.size(x), tf.cast(tf.reduce_max(x), tf.int32)])}

    made = (sums, total, apart, together, mean, widest)
    signatures = {"serving_default": sums} | {one.__name__: one for one in made}
    tf.saved_model.save(tf.Module(), str(directory), signatures=signatures)


def typed(directory: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.half, "x")])
    def half(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * 2.0}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def turned(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.complex(x[:, 0], x[:, 1])}

    tf.saved_model.save(tf.Module(), str(directory), signatures={"half": half, "turned": turned})


def tf2(directory: Path) -> None:
    features = {"x": tf.io.FixedLenFeature([1], tf.float32)}

    def function(name: str, **outputs: object) -> object:
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name)])
        def infer(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
            y = 0.5 * tf.io.parse_example(serialized, features)["x"] + 2.0
            return {name: make(y) for name, make in outputs.items()}

        return infer

    def same(y: tf.Tensor) -> tf.Tensor:
        return y

    signatures = {
        "serving_default": function("inputs", outputs=same),
        "classify": function("inputs", classes=tf.strings.as_string, scores=same),
        "scores": function("inputs", scores=same),
        "another_input": function("examples", outputs=same),
        "another_output": function("inputs", y=same),
        "too_many": function("inputs", outputs=same, scores=same, classes=tf.strings.as_string),
    }
    tf.saved_model.save(tf.Module(), str(directory), signatures=signatures)


def pictures(directory: Path) -> None:
    """Write a model of pictures without a model card."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "encoded")])
    def infer(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        def pixels(one: tf.Tensor) -> tf.Tensor:
            return tf.size(tf.io.decode_image(one, channels=3, expand_animations=False)) // 3

        return {"pixels": tf.map_fn(pixels, encoded, fn_output_signature=tf.int32)}

    tf.saved_model.save(tf.Module(), str(directory), signatures=infer)


def mixed(directory: Path) -> None:
    model = tf.Module()
    model.one = tf.Variable(1.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def infer(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": 2.0 * x + model.one}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def shout(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"loud": tf.strings.upper(text)}

    tf.saved_model.save(model, str(directory), signatures={"serving_default": infer, "shout": shout})


if __name__ == "__main__":
    root = Path(sys.argv[1])
    half_plus_two(root / "half_plus_two" / "00000123")
    examples(root / "examples" / "123")
    lite(root / "lite" / "1")
    lite(root / "lite_metadata" / "1", {"x": "a", "y": "b"})
    for make in (old, text, conv, free, pictures, shapes, typed, tf2, mixed):
        make(root / make.__name__ / "1")
    with tf.io.TFRecordWriter(str(root / "records")) as writer:
        for record in (b"one", b"", b"three"):
            writer.write(record)
