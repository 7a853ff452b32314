"""Complete jobs, from data to a published version, started as a user starts them."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util.event_pb2 import Event

from serving.artifacts import manifest, model_card
from serving.artifacts.registry import ModelRegistry
from serving.onnx_runtime import onnxruntime
from tests.programs import REPOSITORY, Program, shipped
from training.data import noughts_crosses


def train(exports: Path, *arguments: str, runs: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``python -m training …``."""
    command = [sys.executable, "-m", "training", *arguments]
    folders = ["--exports", str(exports), "--runs", str(runs or exports.parent / "runs")]
    return subprocess.run([*command, *folders], capture_output=True, text=True, cwd=REPOSITORY, timeout=240)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 of sine_rnn, trained with its quick recipe."""
    exports = tmp_path_factory.mktemp("sine") / "exports"
    done = train(exports, "sine_rnn", "--quick", "--as", "sine_rnn")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "published as version 1, live" in done.stdout
    assert done.stderr == ""
    return exports / "sine_rnn" / "1"


def test_a_version_is_complete(published: Path) -> None:
    extra = {path.name for path in (published / "assets.extra").iterdir()}
    assert extra >= {"card.json", "model.onnx", "tf_serving_warmup_requests", "history.png", "forecast.png"}
    assert manifest.check(published) is None
    assert (published / "assets" / "card.json").read_bytes() == (published / "assets.extra/card.json").read_bytes()
    card = model_card.read(published)
    assert card.training.quick and "quick run" in " ".join(card.notes)
    assert card.parity
    for output, difference in card.parity.onnx_to_saved_model.items():
        assert difference < (1e-3 if output.endswith("/typicality") else 1e-5)
    assert card.gate and card.gate.accepted
    assert len(card.histories["loss"]) == card.training.recipe["epochs"]
    assert card.seeds == {"tensorflow": 2, "numpy": 1} and card.code_revision
    assert {"train", "validation", "test"} <= card.data.parts.keys()
    (log,) = (published.parents[2] / "runs" / "logs" / "sine_rnn").iterdir()
    history = json.loads((log / "history.json").read_text(encoding="utf-8"))
    assert history["val_loss"][-1] == pytest.approx(card.histories["val_loss"][-1], rel=1e-5)
    (events,) = (log / "validation").iterdir()
    records = tf.data.TFRecordDataset(str(events)).as_numpy_iterator()
    values = [value for record in records for value in Event.FromString(record).summary.value]
    assert {value.tag for value in values} == {"epoch_loss"} and len(values) == len(history["val_loss"])
    assert ModelRegistry(published.parents[1]).labels("sine_rnn") == {"stable": 1}


def test_the_model_describes_itself(published: Path) -> None:
    loaded = tf.saved_model.load(str(published))
    answer = loaded.signatures["describe"](query=tf.constant(["card", "card"]))["card"].numpy()
    assert answer.shape == (2,)
    assert json.loads(answer[0]) == json.loads((published / "assets.extra/card.json").read_bytes())


def test_twenty_calls_give_the_same_answer_and_both_engines_agree(published: Path) -> None:
    loaded = tf.saved_model.load(str(published))
    history = np.sin(np.array([[0.31, 0.62], [1.0, 1.31]], np.float32))
    feed = {"history": tf.constant(history), "horizon": tf.constant([3, 6])}
    answers = [loaded.signatures["forecast"](**feed)["mean"].numpy() for _ in range(20)]
    assert all(np.array_equal(answers[0], answer) for answer in answers)
    assert answers[0].shape == (2, 6)
    session = onnxruntime.InferenceSession(published / "assets.extra/model.onnx", providers=["CPUExecutionProvider"])
    mean = session.run(["mean"], {"history": history, "horizon": np.array([3, 6], np.int32)})[0]
    np.testing.assert_allclose(mean, answers[0], atol=1e-5)


def test_a_worse_version_is_refused_and_force_is_recorded(published: Path, tmp_path: Path) -> None:
    """The live version is measured again: what its card claims does not count."""
    exports = tmp_path / "exports"
    shutil.copytree(published.parents[1], exports)
    path = exports / "sine_rnn" / "1" / "assets.extra" / "card.json"
    claim = json.loads(path.read_text(encoding="utf-8"))
    claim["metrics"]["horizon_mae"] = 1e9
    path.write_text(json.dumps(claim), encoding="utf-8")
    slow = tmp_path / "slow.json"
    slow.write_text(json.dumps({"learning_rate": 1e-6}), encoding="utf-8")

    refused = train(exports, "sine_rnn", "--quick", "--as", "sine_rnn", "--params", str(slow))
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "measuring live version 1 on" in refused.stdout
    assert "live version 1 has" in refused.stdout and " by bootstrap, 0.05 is the level" in refused.stdout
    assert "nothing was published" in refused.stdout and "--force" in refused.stdout
    assert ModelRegistry(exports).versions("sine_rnn") == [1]

    forced = train(exports, "sine_rnn", "--quick", "--force", "--params", str(slow))
    assert forced.returncode == 0, forced.stdout + forced.stderr
    verdict = model_card.read(exports / "sine_rnn" / "2").gate
    assert verdict and verdict.forced and not verdict.accepted and verdict.compared_with == 1
    (test,) = verdict.tests
    assert test.live and test.loss > test.margin and test.p_value < test.level
    assert ModelRegistry(exports).labels("sine_rnn") == {"stable": 2, "previous": 1}


def test_a_killed_run_resumes(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    state = tmp_path / "runs" / "sine_rnn" / "run.json"
    command = ["-m", "training", "sine_rnn", "--exports", str(exports), "--runs", str(tmp_path / "runs")]
    program = Program([sys.executable, *command])
    program.wait_until(state.exists, timeout=240)
    program.stop(signal.SIGKILL)
    assert state.exists(), program.output
    assert not ModelRegistry(exports).models()
    other = train(exports, "sine_rnn", "--seed", "7")
    assert other.returncode == 1 and "seed was 2, now 7" in other.stderr and "--fresh" in other.stderr
    done = train(exports, "sine_rnn", "--no-promote")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resumed after epoch" in done.stdout
    assert "published as version 1" in done.stdout
    assert not state.exists()
    assert model_card.read(exports / "sine_rnn" / "1").training.resumed_at


def test_ctrl_c_says_how_to_resume(tmp_path: Path) -> None:
    state = tmp_path / "runs" / "sine_rnn" / "run.json"
    folders = ["--exports", str(tmp_path / "exports"), "--runs", str(tmp_path / "runs")]
    program = Program([sys.executable, "-m", "training", "sine_rnn", *folders])
    program.wait_until(state.exists, timeout=240)
    assert program.stop(signal.SIGINT) == 130, program.output
    assert "interrupted; the same command resumes it" in program.output
    assert "Traceback" not in program.output


def test_a_run_exits_cleanly_on_sigterm_and_resumes(tmp_path: Path) -> None:
    """SIGTERM arrives after the first checkpoint, as from the kubelet."""
    exports = tmp_path / "exports"
    state = tmp_path / "runs" / "sine_rnn" / "run.json"
    command = ["-m", "training", "sine_rnn", "--exports", str(exports), "--runs", str(tmp_path / "runs")]
    program = Program([sys.executable, *command])
    program.wait_until(state.exists, timeout=240)
    assert program.stop(signal.SIGTERM) == 143, program.output
    assert "Traceback" not in program.output
    assert state.exists() and not ModelRegistry(exports).models()
    done = train(exports, "sine_rnn")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resumed after epoch" in done.stdout
    assert ModelRegistry(exports).versions("sine_rnn") == [1]


def test_a_full_disk_is_an_error_and_leaves_no_files(tmp_path: Path) -> None:
    """Writing fails in the middle of the SavedModel, because files may not exceed 40 kB."""
    program = (
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))\n"
        "sys.argv = ['vitrine', 'train', *sys.argv[1:]]\n"
        "runpy.run_module('training.cli.main', run_name='__main__')\n"
    )
    folders = ["--exports", str(tmp_path / "exports"), "--runs", str(tmp_path / "runs")]
    command = [sys.executable, "-c", program, "compound_interest", *folders]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=240)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the version cannot be written: " in done.stderr and "File too large" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list((tmp_path / "exports").iterdir())


def test_a_job_starts_from_the_live_or_chosen_version(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    done = train(exports, "mnist_transfer", "--quick", "--stand-in")
    assert done.returncode == 1
    error = done.stderr.replace("\n", " ")
    assert "starts from a trained fashion_cnn, and" in error and "has none" in error
    live = shipped("fashion_cnn")
    shutil.copytree(live, exports / "fashion_cnn" / live.name)
    ModelRegistry(exports).promote("fashion_cnn", int(live.name))
    done = train(exports, "mnist_transfer", "--quick", "--stand-in", "--from-version", "99")
    assert done.returncode == 1 and f"fashion_cnn has no version 99; there are: {live.name}" in done.stderr
    done = train(exports, "mnist_transfer", "--quick", "--stand-in", "--as", "mnist_transfer")
    assert done.returncode == 0, done.stdout + done.stderr
    card = model_card.read(exports / "mnist_transfer" / "1")
    assert card.training.recipe["from_version"] == int(live.name)
    assert f"Started from fashion_cnn version {live.name}." in card.notes
    assert card.data.stand_in and card.parity and "assessed/typicality" in card.parity.onnx_to_saved_model
    assert card.typicality and card.typicality.auroc.keys() >= {"noise", "blank"} and card.calibration


def test_an_encoder_without_classes_is_published(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    done = train(exports, "conv2d_1024", "--quick", "--force")
    assert done.returncode == 0, done.stdout + done.stderr
    directory = exports / "conv2d_1024" / "1"
    card = model_card.read(directory)
    assert card.signatures.keys() == {"embed", "describe"} and card.labels == () and card.parameters == 92_736
    assert card.signatures["embed"].outputs["embedding"].shape == (None, 128)
    assert card.parity and card.parity.onnx_to_saved_model.keys() == {"embed/embedding"}
    assert "synthetic task" in card.notes[0]
    assert not (directory / "assets.extra" / "confusion.png").exists()
    assert (directory / "assets.extra" / "tf_serving_warmup_requests").stat().st_size < 1_100_000


def test_a_quick_run_is_kept_apart(published: Path, tmp_path: Path) -> None:
    """Also where it could not replace the live version. It leaves an unfinished full run alone."""
    exports, runs = published.parents[1], tmp_path / "runs"
    (runs / "sine_rnn").mkdir(parents=True)
    (runs / "sine_rnn" / "run.json").write_text("of a full run")
    done = train(exports, "sine_rnn", "--quick", runs=runs)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = runs / "sine_rnn-quick"
    assert f"nothing was published. Card and plots are in {kept}" in done.stdout
    assert "The same command without --quick publishes the fully trained model." in done.stdout
    assert {file.name for file in kept.iterdir()} == {"card.json", "history.png", "forecast.png"}
    card = model_card.parse((kept / "card.json").read_bytes())
    assert card.training.quick and card.gate is None and "test_mae" in card.metrics
    assert (runs / "sine_rnn" / "run.json").read_text() == "of a full run"
    assert ModelRegistry(exports).versions("sine_rnn") == [1]


def test_a_model_of_own_data_has_its_own_title_and_no_figures_of_the_course(tmp_path: Path) -> None:
    pictures, rng = tmp_path / "marks", np.random.default_rng(1)
    for label, name in enumerate(("o", "x")):
        (pictures / name).mkdir(parents=True)
        for number in range(12):
            noughts_crosses.draw(rng, label)[0].save(pictures / name / f"{number}.png")
    own = ("--data-dir", str(pictures), "--title", "My marks")
    done = train(tmp_path / "exports", "xo_cnn", "--quick", *own)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "printed in the course" not in done.stdout
    assert "in the test part" in done.stdout  # the figures by class
    card = model_card.parse((tmp_path / "runs" / "xo_cnn-quick" / "card.json").read_bytes())
    assert (card.title, card.data.name, card.course, card.printed) == ("My marks", "pictures in marks", None, {})


def test_data_that_cannot_be_compared_is_refused_before_the_fit(published: Path, tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    shutil.copytree(published.parents[1], exports)
    path = exports / "sine_rnn" / "1" / "assets.extra" / "card.json"
    other = json.loads(path.read_text(encoding="utf-8"))
    other["data"]["name"] = "a cosine"
    path.write_text(json.dumps(other), encoding="utf-8")
    done = train(exports, "sine_rnn")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "sine_rnn would be refused: measured on sin(x)" in done.stderr
    assert "live version 1 on a cosine: the figures cannot be compared. Publish under another name" in done.stderr
    assert "model:" not in done.stdout and not (tmp_path / "runs").exists()
