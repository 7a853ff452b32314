"""Small versions with model cards, written without TensorFlow, with outputs that are easy to compute.

shade/V   image 4×4×1: class by mean brightness (dark, middle, light), embedding [mean, V], neighbours among four
trend/V   series, window 4: continues the last value by V per step
price/V   table of two columns: V · rooms + 10 · age
pulse/V   signal of four samples: class by their mean (low, high)
line/V    no card: y = V · x, see tests/serving/model_server/versions.py
broken/1  no card: y = NaN
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import NormalDist

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serving.artifacts import manifest, models_config
from serving.artifacts.model_card import (
    CardSignature,
    Column,
    Data,
    Distribution,
    ModelCard,
    NeighboursRecipe,
    Predicted,
    SeriesRecipe,
    SignalRecipe,
    TableRecipe,
    Tensor,
    Training,
    Typicality,
)
from serving.artifacts.models_config import ModelConfig
from serving.preprocessing.image import ImageRecipe
from serving.tfs_api import messages
from tests.serving.model_server import versions

NAMES = ("shade", "trend", "price", "pulse", "line", "broken")
SHADES = ("dark", "middle", "light")
WINDOW = 4
MAX_HORIZON = 50
RECIPE = SeriesRecipe(window=WINDOW, max_horizon=MAX_HORIZON, step="day", unit="USD", level=0.9)
_TYPES = {"uint8": messages.DT_UINT8, "float32": messages.DT_FLOAT, "int32": messages.DT_INT32}


def write(root: Path) -> Path:
    """Write version 1 of each model, and a models.config that labels them ``stable``."""
    shade(root, 1)
    trend(root, 1)
    price(root, 1)
    pulse(root, 1)
    line(root, 1)
    versions.write(root / "broken" / "1", slope=float("nan"))
    configure(root, {name: {"stable": 1} for name in NAMES})
    return root


def configure(root: Path, labels: Mapping[str, Mapping[str, int]]) -> None:
    """Write a models.config that loads every version of these models."""
    entries = {name: ModelConfig(name, f"/models/{name}", latest=None, labels=given) for name, given in labels.items()}
    draft = root / "models.config.new"
    draft.write_text(models_config.render(entries))
    draft.replace(root / "models.config")


def line(root: Path, version: int) -> None:
    with _appearing(root / "line" / str(version)) as draft:
        versions.write(draft.path, slope=float(version))


def shade(root: Path, version: int, *, assessed: bool = False) -> None:
    """Write a shade model; ``assessed`` adds the brightness as typicality and heat."""
    image = {"image": Tensor(dtype="uint8", shape=(None, 4, 4, 1))}
    signatures = {
        "serving_default": CardSignature(
            inputs=image, outputs={"probabilities": Tensor(dtype="float32", shape=(None, 3))}
        ),
        "embed": CardSignature(inputs=image, outputs={"embedding": Tensor(dtype="float32", shape=(None, 2))}),
        "neighbours": CardSignature(
            inputs=image | {"k": Tensor(dtype="int32", shape=(None,))},
            outputs={
                "indices": Tensor(dtype="int32", shape=(None, None)),
                "distance": Tensor(dtype="float32", shape=(None, None)),
                "labels": Tensor(dtype="int32", shape=(None, None)),
            },
        ),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "weights"], ["weighed"]),
        helper.make_node("Add", ["weighed", "biases"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "version"], ["versions"]),
        helper.make_node("Concat", ["mean", "versions"], ["embedding"], axis=1),
        helper.make_node("Sub", ["mean", "items"], ["differences"]),
        helper.make_node("Abs", ["differences"], ["distances"]),
        helper.make_node("ReduceMax", ["k"], ["most"], keepdims=1),
        helper.make_node("Cast", ["most"], ["columns"], to=TensorProto.INT64),
        helper.make_node("TopK", ["distances", "columns"], ["distance", "nearest"], axis=1, largest=0),
        helper.make_node("Cast", ["nearest"], ["indices"], to=TensorProto.INT32),
        helper.make_node("Gather", ["classes", "nearest"], ["labels"]),
    ]
    constants = {
        "weights": np.array([[-0.1, 0.0, 0.1]], np.float32),
        "biases": np.array([[6.0, 0.0, -19.0]], np.float32),
        "zero": np.float32(0),
        "version": np.float32(version),
        "items": np.array([[200, 100, 0, 90]], np.float32),
        "classes": np.array([2, 1, 0, 1], np.int32),
    }
    more: dict[str, object] = {}
    if assessed:
        more = _add_typicality(signatures, nodes, constants, "mean", "axis")
        heat = {"heatmap": Tensor(dtype="float32", shape=(None, 4, 4))}
        signatures["explain"] = CardSignature(inputs=image, outputs=heat)
        nodes.append(helper.make_node("Squeeze", ["float", "last"], ["heatmap"]))
        constants |= {"axis": np.array([1]), "last": np.array([3])}
    card = _card(
        "shade",
        "image",
        signatures,
        labels=SHADES,
        image=ImageRecipe(height=4, width=4, channels=1, colour="grey"),
        neighbours=NeighboursRecipe(references=4, max_k=4, source="brightnesses 200, 100, 0, 90"),
        inputs={"brightness": _normal(100, 30), "contrast": _normal(10, 2)},
        predicted=Predicted(classes=(0.1, 0.8, 0.1), confidence=_normal(0.8, 0.1)),
        **more,
    )
    _write(root / "shade" / str(version), signatures, nodes, constants, card)


def trend(
    root: Path,
    version: int,
    recipe: SeriesRecipe = RECIPE,
    model: str = "trend",
    *,
    assessed: bool = False,
    **card: object,
) -> None:
    """Write a series model; ``assessed`` makes its newest value the typicality, divided by 255."""
    history = {"history": Tensor(dtype="float32", shape=(None, recipe.window))}
    steps = Tensor(dtype="float32", shape=(None, None))
    signatures = {
        "serving_default": CardSignature(
            inputs=history, outputs={"prediction": Tensor(dtype="float32", shape=(None,))}
        ),
        "forecast": CardSignature(
            inputs=history | {"horizon": Tensor(dtype="int32", shape=(None,))},
            outputs={"mean": steps, "lower": steps, "upper": steps},
        ),
    }
    nodes = [
        helper.make_node("Slice", ["history", "last", "end", "axis"], ["newest"]),
        helper.make_node("Add", ["newest", "slope"], ["next"]),
        helper.make_node("Squeeze", ["next", "axis"], ["prediction"]),
        helper.make_node("ReduceMax", ["horizon"], ["longest"], keepdims=0),
        helper.make_node("Add", ["longest", "one"], ["behind"]),
        helper.make_node("Range", ["one", "behind", "one"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], ["steps"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["steps", "slope"], ["rise"]),
        helper.make_node("Add", ["newest", "rise"], ["mean"]),
        helper.make_node("Sub", ["mean", "slope"], ["lower"]),
        helper.make_node("Add", ["mean", "slope"], ["upper"]),
    ]
    constants = {
        "last": np.array([recipe.window - 1]),
        "end": np.array([recipe.window]),
        "axis": np.array([1]),
        "one": np.int32(1),
        "slope": np.float32(version),
    }
    if assessed:
        card |= _add_typicality(signatures, nodes, constants, "newest", "axis")
    inputs = {"level": _normal(0, 1), "volatility": _normal(1, 0.1)}
    notes = ("It goes on as it went.",)
    described = _card(model, "series", signatures, series=recipe, inputs=inputs, notes=notes, **card)
    _write(root / model / str(version), signatures, nodes, constants, described)


def price(root: Path, version: int, *, turned: bool = False) -> None:
    """Write a price model; ``turned`` swaps its columns."""
    signatures = {
        "serving_default": CardSignature(
            inputs={"features": Tensor(dtype="float32", shape=(None, 2))},
            outputs={"prediction": Tensor(dtype="float32", shape=(None,))},
        )
    }
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["column"]),
        helper.make_node("Squeeze", ["column", "axis"], ["prediction"]),
    ]
    order = -1 if turned else 1
    columns = (
        Column(name="rooms", description="rooms of a flat", minimum=1, maximum=9),
        Column(name="age", unit="years", description="since it was built"),
    )
    constants = {"weights": np.array([[version], [10]], np.float32)[::order], "axis": np.array([1])}
    recipe = TableRecipe(
        columns=columns[::order],
        target=Column(name="price", unit="1000 USD", description="what was paid"),
    )
    card = _card("price", "table", signatures, table=recipe, inputs={"rooms": _normal(4, 1)})
    _write(root / "price" / str(version), signatures, nodes, constants, card)


def pulse(root: Path, version: int, *, assessed: bool = False) -> None:
    """Write a signal model; ``assessed`` makes its mean the typicality, divided by 255."""
    signatures = {
        "serving_default": CardSignature(
            inputs={"signal": Tensor(dtype="float32", shape=(None, 4, 1))},
            outputs={"probabilities": Tensor(dtype="float32", shape=(None, 2))},
        )
    }
    nodes = [
        helper.make_node("ReduceMean", ["signal"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = {"weights": np.array([[-1, 1]], np.float32)}
    recipe = SignalRecipe(length=4, sampling="1 ms", unit="mV")
    more = _add_typicality(signatures, nodes, constants, "mean", "axis") if assessed else {}
    constants["axis"] = np.array([1])
    metrics = {"test_accuracy": 0.98765, "test_loss": 1.2e-7}
    card = _card("pulse", "signal", signatures, labels=("low", "high"), signal=recipe, metrics=metrics, **more)
    _write(root / "pulse" / str(version), signatures, nodes, constants, card)


def _add_typicality(
    signatures: dict[str, CardSignature],
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray | np.generic],
    tensor: str,
    axis: str,
) -> dict[str, object]:
    """Add ``assessed``, with a tensor [N, 1] of 0…255 as typicality; return the card's section."""
    default = signatures["serving_default"]
    outputs = {**default.outputs, "typicality": Tensor(dtype="float32", shape=(None,))}
    signatures["assessed"] = CardSignature(inputs=default.inputs, outputs=outputs)
    nodes += [
        helper.make_node("Div", [tensor, "brightest"], ["share"]),
        helper.make_node("Squeeze", ["share", axis], ["typicality"]),
    ]
    constants["brightest"] = np.float32(255)
    return {"typicality": Typicality(threshold=0.1, rows=100)}


def _normal(mean: float, std: float) -> Distribution:
    quantiles = tuple(NormalDist(mean, std).inv_cdf(level) for level in np.linspace(0.001, 0.999, 11))
    return Distribution(mean=mean, std=std, quantiles=quantiles)


def _card(model: str, kind: str, signatures: Mapping[str, CardSignature], **more: object) -> ModelCard:
    return ModelCard.model_validate(
        {
            "model": model,
            "kind": kind,
            "title": f"The {model} of tests",
            "created": datetime(2026, 1, 1, tzinfo=UTC),
            "signatures": signatures,
            "data": Data(name="none", source="made up", licence="CC0", rows={}),
            "training": Training(recipe={}, quick=False, seconds=0),
            "metrics": {},
            "parameters": 0,
            "trainable_parameters": 0,
            "versions": {},
            **more,
        }
    )


class _appearing:
    """A draft folder that is renamed to the version folder when it is complete."""

    def __init__(self, final: Path) -> None:
        self._final = final
        self.path = final.with_name(f"{final.name}.draft")

    def __enter__(self) -> "_appearing":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.path.rename(self._final)


def _write(
    final: Path,
    signatures: Mapping[str, CardSignature],
    nodes: list[onnx.NodeProto],
    constants: Mapping[str, np.ndarray | np.generic],
    card: ModelCard,
) -> None:
    with _appearing(final) as draft:
        extra = draft.path / "assets.extra"
        extra.mkdir(parents=True)
        (draft.path / "saved_model.pb").write_bytes(_saved_model(signatures))
        onnx.save(_graph(signatures, nodes, constants), extra / "model.onnx")
        (extra / "card.json").write_text(card.model_dump_json())
        manifest.write(draft.path)


def _saved_model(signatures: Mapping[str, CardSignature]) -> bytes:
    message = messages.SavedModel()
    meta = message.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    described = {"describe": ({"query": (messages.DT_STRING, (None,))}, {"card": (messages.DT_STRING, (None,))})}
    converted = {
        name: tuple(
            {key: (_TYPES[one.dtype], one.shape) for key, one in side.items()}
            for side in (signature.inputs, signature.outputs)
        )
        for name, signature in signatures.items()
    }
    for name, (inputs, outputs) in (converted | described).items():
        definition = meta.signature_def[name]
        definition.method_name = "tensorflow/serving/predict"
        for infos, tensors in ((definition.inputs, inputs), (definition.outputs, outputs)):
            for key, (data_type, shape) in tensors.items():
                infos[key].name = f"{name}_{key}:0"
                infos[key].dtype = data_type
                for size in shape:
                    infos[key].tensor_shape.dim.add().size = -1 if size is None else size
    return bytes(message.SerializeToString())


def _graph(
    signatures: Mapping[str, CardSignature],
    nodes: list[onnx.NodeProto],
    constants: Mapping[str, np.ndarray | np.generic],
) -> onnx.ModelProto:
    kinds = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT, "int32": TensorProto.INT32}

    def infos(sides: list[Mapping[str, Tensor]]) -> list[onnx.ValueInfoProto]:
        tensors = {key: one for side in sides for key, one in side.items()}
        return [helper.make_tensor_value_info(key, kinds[one.dtype], one.shape) for key, one in tensors.items()]

    graph = helper.make_graph(
        nodes,
        "test",
        infos([signature.inputs for signature in signatures.values()]),
        infos([signature.outputs for signature in signatures.values()]),
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    listed = {
        name: {"inputs": list(signature.inputs), "outputs": list(signature.outputs)}
        for name, signature in signatures.items()
    }
    helper.set_model_props(model, {"signatures": json.dumps(listed)})
    return model
