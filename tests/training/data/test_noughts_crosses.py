"""Noughts and crosses: generated ones, and pictures from two folders."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from serving.artifacts import model_card
from serving.artifacts.model_card import Data
from serving.onnx_runtime import onnxruntime
from serving.preprocessing.image import ImageRecipe, Pixels
from tests.programs import shipped
from training.core.errors import JobError
from training.core.examples import Evaluation, Examples
from training.core.job import JobOptions
from training.data import media, noughts_crosses, strokes
from training.data.pictures.class_folders import PARTS

RECIPE = ImageRecipe(height=16, width=16, channels=1, colour="ink", crop=True, margin=0.1)


@pytest.fixture(scope="module")
def drawings() -> tuple[Pixels, NDArray[np.int64]]:
    return noughts_crosses.generate(300, RECIPE, seed=1)


def by_nearest_neighbours(known: Pixels, labels: NDArray[np.int64], drawings: Pixels) -> NDArray[np.int64]:
    """Classify by the majority of the five nearest known drawings, by pixels."""
    flat, others = (x.reshape(len(x), -1).astype(np.float32) for x in (drawings, known))
    distance = (flat**2).sum(axis=1)[:, None] - 2 * flat @ others.T + (others**2).sum(axis=1)
    return (labels[np.argsort(distance, axis=1)[:, :5]].mean(axis=1) > 0.5).astype(np.int64)


class TestGenerate:
    def test_shapes_and_labels(self, drawings: tuple[Pixels, NDArray[np.int64]]) -> None:
        x, y = drawings
        assert x.shape == (600, 16, 16, 1) and x.dtype == np.uint8
        assert y.dtype == np.int64 and y[:4].tolist() == [0, 1, 0, 1] and y.sum() == 300
        colour = RECIPE.model_copy(update={"channels": 3, "height": 20})
        assert noughts_crosses.generate(1, colour, seed=1)[0].shape == (2, 20, 16, 3)

    def test_the_seed_determines_the_data(self) -> None:
        one, again, other = (noughts_crosses.generate(5, RECIPE, seed)[0] for seed in (1, 1, 2))
        assert (one == again).all()
        assert (one != other).any()

    def test_every_drawing_contrasts_with_its_ground(self, drawings: tuple[Pixels, NDArray[np.int64]]) -> None:
        x, _ = drawings
        assert (x.max(axis=(1, 2, 3)) > 240).all()
        assert np.mean(x.min(axis=(1, 2, 3)) < 20) > 0.99

    def test_no_two_drawings_are_equal(self, drawings: tuple[Pixels, NDArray[np.int64]]) -> None:
        assert len(np.unique(drawings[0], axis=0)) == 600

    def test_blank_drawing_is_drawn_again(self) -> None:
        x, y = noughts_crosses.generate(50, RECIPE, seed=53)  # the 87th drawing is blank
        assert len(x) == len(y) == 100 and x[86].any()

    def test_classes_can_be_distinguished(self, drawings: tuple[Pixels, NDArray[np.int64]]) -> None:
        x, y = noughts_crosses.generate(100, RECIPE, seed=2)
        assert np.mean(by_nearest_neighbours(*drawings, x) == y) > 0.85

    def test_generated_drawings_classify_real_ones(self, drawings: tuple[Pixels, NDArray[np.int64]]) -> None:
        folder = Path(os.environ.get("VITRINE_DATA", "")) / "xo" / "train"
        if "VITRINE_DATA" not in os.environ or not folder.is_dir():
            pytest.skip("set VITRINE_DATA to a folder that holds xo/train to measure on real drawings")
        x, y = noughts_crosses.from_folders(folder, RECIPE).joined(*PARTS)
        assert len(y) == 320
        assert np.mean(by_nearest_neighbours(*drawings, x) == y) > 0.95


def test_a_cursive_x_is_two_arcs_back_to_back() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        left, right = strokes.x(rng, cursive=True)
        for side, half in ((-1, left), (1, right)):
            across = side * half[:, 0]
            middle = across[len(half) // 3 : -len(half) // 3].min()
            assert middle < 0.35 and across.max() > middle + 0.25


def test_a_cursive_o_has_open_ends_beside_its_loop() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        (stroke,) = strokes.o(rng, cursive=True)
        start, end, far = stroke[0], stroke[-1], stroke[len(stroke) // 2]
        assert np.linalg.norm(start - end) > 0.1
        assert min(np.linalg.norm(start - far), np.linalg.norm(end - far)) > 1.2


def test_lines_of_the_board_lie_along_the_sides() -> None:
    rng = np.random.default_rng(1)
    planes = [media.grid(rng, 60, 90) for _ in range(30)]
    assert all(plane.shape == (60, 90) and 0.3 < plane.max() <= 1 for plane in planes)
    assert all(plane[12:48, 18:72].max() == 0 for plane in planes)


def test_glare_brightens_a_photograph() -> None:
    ink = np.zeros((80, 80), np.float32)
    ink[30:50, 30:50] = 1

    def bright(glare: bool) -> float:
        rng = np.random.default_rng(3)
        photographs = [media.photographed(rng, ink, glare=glare) for _ in range(40)]
        return float(np.mean([np.asarray(photograph) > 235 for photograph in photographs]))

    assert bright(glare=True) > bright(glare=False) + 0.01


@pytest.mark.parametrize("kind", noughts_crosses.KINDS)
def test_the_shipped_model_reads_every_kind_of_drawing(kind: str) -> None:
    version = shipped("xo_cnn")
    recipe = model_card.read(version).image
    assert recipe is not None
    x, y = noughts_crosses.generate(50, recipe, seed=77, kind=kind)
    session = onnxruntime.InferenceSession(version / "assets.extra" / "model.onnx")
    (probabilities,) = session.run(["probabilities"], {"image": x})
    assert np.mean(probabilities.argmax(axis=1) == y) >= 0.9


@pytest.mark.parametrize(("licence", "bound"), [("none needed", 0.95), ("the user's own", None)])
def test_real_drawings_of_others_take_part_in_the_gate(licence: str, bound: float | None) -> None:
    nothing = np.zeros((80, 1)), np.zeros(80)
    data = Data(name="generated drawings of X and O", source="generated", licence=licence, rows={})
    examples = Examples(train=nothing, test=nothing, data=data, extra={"others": nothing})
    measured = Evaluation({"test_accuracy": 0.99, "others_accuracy": 0.9}, nothing[1], nothing[1])
    checks = noughts_crosses.checked(measured, examples).checks
    assert [(check.name, check.value, check.bound, check.rows) for check in checks] == (
        [("others_accuracy", 0.9, bound, 80)] if bound else []
    )
    assert not any(check.passed for check in checks)
    unmeasured = Evaluation({"test_accuracy": 0.99}, nothing[1], nothing[1])
    assert noughts_crosses.checked(unmeasured, examples) == unmeasured


def test_draw_gives_pictures_of_both_classes_in_many_sizes() -> None:
    rng = np.random.default_rng(1)
    drawn = [noughts_crosses.draw(rng) for _ in range(60)]
    assert {label for _, label in drawn} == {0, 1}
    assert {picture.mode for picture, _ in drawn} == {"L", "RGB"}
    sides = [side for picture, _ in drawn for side in picture.size]
    assert 24 <= min(sides) < 48 and 150 < max(sides) <= 340


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Ten pictures in a folder O and ten in x."""
    for index in range(20):
        picture = Image.new("RGB", (40 + index, 30), "white")
        ImageDraw.Draw(picture).ellipse((8, 4, 30, 26), outline="navy", width=3)
        name = tmp_path / "Ox"[index % 2] / f"{index}.{('png', 'jpg', 'bmp')[index % 3]}"
        name.parent.mkdir(exist_ok=True)
        picture.save(name)
    return tmp_path


class TestFromFolders:
    def test_o_comes_first_and_case_does_not_matter(self, folders: Path) -> None:
        x, y = noughts_crosses.from_folders(folders, RECIPE).joined(*PARTS)
        assert x.shape == (20, 16, 16, 1) and x.dtype == np.uint8
        assert y.sum() == 10 and x.max() > 240

    def test_skipped_files_are_noted(self, folders: Path) -> None:
        (folders / "x" / ".DS_Store").write_bytes(b"\0")
        (folders / "x" / "notes.txt").write_text("an X")
        (folders / "plan.txt").write_text("other things beside the two folders do not matter")
        examples = noughts_crosses.load(JobOptions(data_dir=folders), RECIPE, count_per_class=1)
        assert examples.data.rows == {"train": 16, "test": 4} and examples.data.name == f"pictures in {folders.name}"
        (note,) = examples.notes
        assert note.startswith("Skipped 3 files: 2 × not a picture by its name (plan.txt, notes.txt); 1 × hidden")

    def test_other_classes_are_an_error(self, folders: Path) -> None:
        (folders / "x").rename(folders / "cross")
        with pytest.raises(JobError, match="has the class folders cross, O; O and X are expected"):
            noughts_crosses.from_folders(folders, RECIPE)

    def test_a_missing_class_is_an_error(self, folders: Path) -> None:
        shutil.rmtree(folders / "x")
        with pytest.raises(JobError, match="has one class only, O; at least two class folders are needed"):
            noughts_crosses.from_folders(folders, RECIPE)
