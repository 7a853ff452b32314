"""The job on the user's own pictures, from a folder to answers over HTTP."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from serving.artifacts import model_card
from serving.artifacts.model_card import Data, ModelCard
from serving.preprocessing.image import decode
from tests.programs import REPOSITORY
from tests.serving.gateway.programs import Gateway, embedded_gateway, wait_until_ready
from tests.training.data.pictures.photos import COLOURS, classes, photo, write
from training.core.errors import JobError
from training.core.examples import Evaluation, Examples
from training.core.gate import judge
from training.core.job import JobOptions
from training.evaluation.metrics import balanced
from training.jobs import image_classifier

DATA = Data(name="x", source="x", licence="x", rows={})
OFFLINE = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}


def train(folder: Path, data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``vitrine train image_classifier``, without internet."""
    command = [sys.executable, "-m", "training", "image_classifier", "--data-dir", str(data), *arguments]
    env = {**os.environ, **OFFLINE, "KERAS_HOME": str(folder / "keras"), "COLUMNS": "200"}
    env.pop("VITRINE_DATA", None)
    folders = ["--exports", str(folder / "exports"), "--runs", str(folder / "runs")]
    return subprocess.run([*command, *folders], capture_output=True, text=True, cwd=REPOSITORY, env=env, timeout=240)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 of a model of three shapes, trained from scratch: many discs, few triangles, and unusable files."""
    folder = tmp_path_factory.mktemp("own")
    files = {
        **classes(60, "disc", "square"),
        **classes(30, "triangle", first=5000),
        "disc/cut.png": photo("disc", 1, "PNG")[:300],
        "square/notes.txt": b"squares",
        "square/phone.heic": b"\0\0\0\x18ftypheic",
    }
    params = folder / "params.json"
    params.write_text('{"epochs": 12, "batch_size": 16, "learning_rate": 0.003}', encoding="utf-8")
    done = train(folder, write(folder / "Three shapes", files), "--as", "shapes", "--params", str(params))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trained from scratch" in done.stdout and "cannot be downloaded" in done.stdout
    assert "published as version 1, live" in done.stdout
    assert "vitrine predict --model shapes PICTURE" in done.stdout
    return folder / "exports" / "shapes" / "1"


@pytest.fixture(scope="module")
def card(published: Path) -> ModelCard:
    return model_card.read(published)


@pytest.fixture(scope="module")
def gateway(published: Path) -> Iterator[Gateway]:
    with embedded_gateway(published.parents[1]) as running:
        wait_until_ready(running, "shapes")
        yield running


def test_the_card_is_the_user_s(card: ModelCard) -> None:
    assert card.title == "Three shapes: 3 classes of pictures" and card.data.name == "Three shapes"
    assert card.course is None and card.labels == ("disc", "square", "triangle")
    assert card.image and (card.image.height, card.image.width, card.image.colour) == (64, 64, "rgb")
    assert card.data.rows == {"train": 102, "validation": 24, "test": 24}
    assert card.by_class.keys() == {"disc", "square", "triangle"}
    assert card.by_class["disc"].examples == 10 and card.by_class["triangle"].examples == 5
    assert all((figures.recall or 0) > 0.5 and (figures.precision or 0) > 0.5 for figures in card.by_class.values())
    assert card.metrics["balanced_accuracy_gain"] > 0.5
    assert card.gate and card.gate.accepted
    assert card.signatures.keys() == {"serving_default", "embed", "serving_bytes", "explain", "assessed", "describe"}
    assert card.parity and card.parity.onnx_to_saved_model.keys() == {
        "serving_default/probabilities",
        "embed/embedding",
        "explain/heatmap",
        "assessed/probabilities",
        "assessed/typicality",
    }
    assert card.typicality and card.typicality.rows == card.data.rows["validation"]
    assert card.calibration and card.calibration.rows == card.data.rows["test"]


def test_the_card_says_what_the_user_must_know(card: ModelCard) -> None:
    notes = "\n".join(card.notes)
    assert "MobileNetV2's ImageNet weights are unavailable: trained from scratch" in notes
    assert "Skipped 3 files: 1 × not a picture by its name (notes.txt); 1 × the file is a HEIC picture" in notes
    assert "The test part has only 5 pictures of some classes: their figures are rough." in notes
    assert "/" not in card.data.name + card.data.source


def test_plots_are_written(published: Path) -> None:
    for name in ("history.png", "confusion.png"):
        with Image.open(published / "assets.extra" / name) as plot:
            assert min(plot.size) > 150


def test_photos_of_any_size_are_answered_over_http(gateway: Gateway) -> None:
    right = 0
    for shape in COLOURS:
        for seed, form in enumerate(("JPEG", "PNG", "WEBP", "BMP")):
            answer = gateway.http.post("/v1/models/shapes:predict", content=photo(shape, 9000 + seed, form))
            assert answer.status_code == 200, answer.text
            right += answer.json()["predictions"][0]["label"] == shape
    assert right >= 9


def test_vitrine_predict_names_the_class(gateway: Gateway, tmp_path: Path) -> None:
    write(tmp_path, {"new.jpg": photo("square", 9300)})
    command = ["vitrine", "predict", "--model", "shapes", "--url", gateway.url, str(tmp_path / "new.jpg")]
    done = subprocess.run([sys.executable, "-m", "serving.cli.main", *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0 and "new.jpg: square" in done.stdout, done.stdout + done.stderr


def test_a_rotated_phone_photo_is_prepared_as_in_training(gateway: Gateway, published: Path, card: ModelCard) -> None:
    """The SavedModel's answer for training's preprocessing equals the gateway's for the file."""
    upright = Image.open(io.BytesIO(photo("square", 9100, "PNG"))).resize((1600, 1200))
    exif = Image.Exif()
    exif[0x0112] = 8
    file = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_270).save(file, "JPEG", exif=exif)
    assert card.image
    pixels = decode(file.getvalue(), card.image)
    model = tf.saved_model.load(str(published)).signatures["serving_default"]
    expected = model(image=tf.constant(pixels[None]))["probabilities"].numpy()[0]
    answer = gateway.http.post("/v1/models/shapes:predict", content=file.getvalue()).json()
    found = answer["predictions"][0]["probabilities"]
    for label, probability in zip(card.labels, expected, strict=True):
        assert found[label] == pytest.approx(float(probability), abs=1e-3)


def test_bad_input_fails_before_the_weights_are_loaded(tmp_path: Path) -> None:
    recipe = image_classifier.JOB.recipe
    with pytest.raises(JobError, match="has one class only, disc"):
        image_classifier.load(JobOptions(data_dir=write(tmp_path, classes(12, "disc"))), recipe)
    with pytest.raises(JobError, match="image_classifier needs --data-dir: a folder or ZIP file with one folder"):
        image_classifier.load(JobOptions(), recipe)


def test_always_answering_the_most_frequent_class_does_not_go_live() -> None:
    """The accuracy alone, .95, would look good."""
    truth = np.array([0] * 95 + [1] * 5)
    policy = image_classifier.JOB.policy
    lazy = balanced(Evaluation({"test_accuracy": 0.95}, truth, np.zeros(100, np.int64)), 2).metrics
    verdict = judge(lazy, DATA, policy, None)
    assert not verdict.accepted and verdict.reasons == ("balanced_accuracy_gain is 0; at least 0.3 is required",)
    assert lazy["majority_accuracy"] == 0.95 and lazy["balanced_accuracy"] == 0.5
    useful = balanced(Evaluation({}, truth, np.where(np.arange(100) % 10 == 0, 1 - truth, truth)), 2).metrics
    assert useful["balanced_accuracy_gain"] > 0.5 and judge(useful, DATA, policy, None).accepted


def test_transfer_with_imagenet_weights(data: Path, tmp_path: Path) -> None:
    """Features of the frozen base are the input of the fit; the served graph has the base in it."""
    found = classes(12, "disc", "square", "triangle")
    options = JobOptions(data_dir=write(tmp_path, found))
    examples = image_classifier.load(options, image_classifier.JOB.quick)
    assert examples.train[0].shape == (2 * 24, 1280) and examples.validation and examples.test[0].shape == (6, 1280)
    assert examples.chosen["input"].startswith("96×96 pixels, because the typical photo's longer side has")
    model = image_classifier.build(examples, options, image_classifier.JOB.quick)
    model.fit(*examples.train, epochs=20, verbose=0)
    evaluation = image_classifier.evaluate(model, examples)
    assert evaluation.metrics["test_accuracy"] > 0.8
    exported = image_classifier.serve(model, examples)
    served = exported.endpoints["serving_default"].call()["probabilities"]
    np.testing.assert_allclose(served, model.predict(examples.test[0], verbose=0)[: len(served)], atol=1e-5)


@pytest.mark.parametrize(
    ("typical", "count", "side", "reason"),
    [
        (30, 100, 96, "the typical photo's longer side has 30 pixels"),
        (213, 3781, 192, "the typical photo's longer side has 213 pixels"),
        (4000, 500, 224, "the typical photo's longer side has 4,000 pixels"),
        (4000, 12_000, 160, "12,000 pictures of this size fit into 1 GB of memory"),
        (4000, 30_000, 96, "30,000 pictures of this size fit into 1 GB of memory"),
    ],
)
def test_the_input_s_side_follows_the_data(typical: int, count: int, side: int, reason: str) -> None:
    assert image_classifier.input_side(typical, count) == (side, f"{side}×{side} pixels, because {reason}")


def test_every_class_has_the_same_weight() -> None:
    loss = image_classifier.weighted_crossentropy(np.array([0, 0, 0, 1]), 2)
    even = np.full((4, 2), 0.5, np.float32)
    found = loss(tf.constant([0, 0, 0, 1]), even).numpy()
    np.testing.assert_allclose(found[:3].sum(), found[3:].sum(), rtol=1e-6)
    np.testing.assert_allclose(found.mean(), np.log(2), rtol=1e-6)


def test_the_net_from_scratch_serves_no_augmentation() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (6, 64, 64, 3)).astype(np.uint8)
    part = (pixels, np.arange(6) % 3)
    recipe = image_classifier.ImageRecipe(height=64, width=64, channels=3, colour="rgb")
    extra = {"recipe": recipe, "pictures": pixels}
    examples = Examples(train=part, test=part, data=DATA, labels=("a", "b", "c"), extra=extra)
    model = image_classifier.build(examples, JobOptions(), image_classifier.JOB.quick)
    assert {type(layer).__name__ for layer in model.layers} >= {"RandomFlip", "RandomTranslation", "RandomZoom"}
    network = image_classifier.serve(model, examples).models[0]
    assert not any(type(layer).__name__.startswith("Random") for layer in network.layers)
    expected = model.predict(pixels, verbose=0)
    keras.backend.clear_session()
    served = image_classifier.serve(model, examples).endpoints["serving_default"].call()["probabilities"]
    np.testing.assert_allclose(served, expected, atol=1e-5)
