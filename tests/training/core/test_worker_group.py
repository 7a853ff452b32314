"""Worker groups: two processes fit as one does, stay equal, and resume after one of them was killed."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.artifacts import model_card
from serving.artifacts.registry import ModelRegistry
from tests.programs import Program, free_port
from tests.training.core import worker
from training.core import fit
from training.core.errors import JobError
from training.core.worker_group import WorkerGroup

TIMEOUT = 240


def start_group(*arguments: str) -> list[Program]:
    """Start two workers of one group, both with ``python -m …``."""
    workers = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    tasks = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}} for index in range(2)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return [Program([sys.executable, "-m", *arguments], {"TF_CONFIG": json.dumps(task), **quiet}) for task in tasks]


def exit_codes(programs: list[Program]) -> list[int]:
    codes = [program.process.wait(TIMEOUT) for program in programs]
    for program in programs:
        program.stop()
    return codes


def fitted(net: str, runs: Path) -> list[dict[str, Any]]:
    """Fit with two workers and return the result of each."""
    programs = start_group("tests.training.core.worker", net, str(runs))
    assert exit_codes(programs) == [0, 0], [program.output for program in programs]
    lines = [line for program in programs for line in program.output.splitlines() if line.startswith("result ")]
    return [json.loads(line.removeprefix("result ")) for line in lines]


def test_two_workers_fit_as_one_does(tmp_path: Path) -> None:
    """The reference is Keras' ``fit`` on the same batches."""
    ours, theirs = fitted("plain", tmp_path / "run")
    assert ours == theirs
    examples, recipe = worker.examples(), worker.RECIPE
    one, history = worker.build("plain"), {}
    for epoch in range(0, recipe.epochs, recipe.save_every):
        fit.seed_everything(recipe, epoch)
        batches = WorkerGroup(1, 0).part(examples.train, recipe.batch_size, recipe.seed + epoch)
        end = min(epoch + recipe.save_every, recipe.epochs)
        data = batches.map(lambda x, y, weights: (x, y))
        block = one.fit(
            data, initial_epoch=epoch, epochs=end, shuffle=False, verbose=0, validation_data=examples.validation
        )
        for name, values in block.history.items():
            history.setdefault(name, []).extend(values)
    assert ours["history"].keys() == history.keys()
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(ours["history"][name], history[name], rtol=1e-5)
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    for value, expected in zip(ours["weights"], one.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-5)


def test_a_group_resumes_after_a_killed_worker_and_gives_the_same_weights(tmp_path: Path) -> None:
    """The net has dropout and batch normalisation."""
    whole = fitted("random", tmp_path / "whole")
    assert whole[0] == whole[1]
    programs = start_group("tests.training.core.worker", "random", str(tmp_path / "broken"), "3")
    assert exit_codes(programs) == [75, -9], [program.output for program in programs]
    assert "worker 0 of 2 has lost another worker" in programs[0].output
    again = fitted("random", tmp_path / "broken")
    assert [result["resumed_at"] for result in again] == [2, 2]
    assert [result["sha256"] for result in again] == [result["sha256"] for result in whole]
    assert again[0]["history"] == whole[0]["history"]


def test_a_group_resumes_after_an_eviction_and_worker_0_publishes(tmp_path: Path) -> None:
    """The second worker gets SIGTERM after the first checkpoint."""
    exports, runs = tmp_path / "exports", tmp_path / "runs"
    params = tmp_path / "params.json"  # as --quick, with three checkpoints
    params.write_text('{"epochs": 15, "save_every": 5, "learning_rate": 0.05}', encoding="utf-8")
    command = ("training", "sine_rnn", "--exports", str(exports), "--runs", str(runs), "--params", str(params))
    programs = start_group(*command)
    programs[1].wait_until((runs / "sine_rnn" / "run.json").exists, TIMEOUT)
    programs[1].process.terminate()
    assert exit_codes(programs) == [75, 143], [program.output for program in programs]
    assert not ModelRegistry(exports).models()

    programs = start_group(*command)
    assert exit_codes(programs) == [0, 0], [program.output for program in programs]
    assert "resumed after epoch" in programs[0].output
    assert "published as version 1, live" in programs[0].output
    assert "worker 0 prints the result" in programs[1].output
    assert ModelRegistry(exports).versions("sine_rnn") == [1]
    metrics = model_card.read(exports / "sine_rnn" / "1").metrics
    assert metrics["w_input"] == pytest.approx(1.9021, abs=0.05)
    assert not (runs / "sine_rnn").exists()


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [8, 41, 43])
def test_parts_add_up_to_the_batches(size: int, count: int) -> None:
    """Every example occurs once an epoch, in the order of a single worker."""
    x, y = np.arange(count, dtype=np.float32)[:, None], np.arange(count)
    groups = [WorkerGroup(size, index) for index in range(size)]
    parts = [list(group.part((x, y), batch_size=8, seed=2)) for group in groups]
    alone = list(WorkerGroup(1, 0).part((x, y), batch_size=8, seed=2))
    for batch, *slices in zip(alone, *parts, strict=True):
        taken = np.concatenate([targets[weights > 0] for _, targets, weights in slices])
        np.testing.assert_array_equal(taken, batch[1])
    fitted = [sum(int(weights.numpy().sum()) for *_, weights in part) for part in parts]
    assert fitted == [group.examples(count, 8) for group in groups] and sum(fitted) == count


def test_a_batch_smaller_than_the_group_is_refused() -> None:
    with pytest.raises(JobError, match="a batch of 2 cannot be shared by 3 workers"):
        WorkerGroup(3, 0).part((np.zeros((9, 1)), np.zeros(9)), batch_size=2, seed=2)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_an_invalid_tf_config_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(JobError, match=r"TF_CONFIG is .* is expected"):
        WorkerGroup.from_environment()


def test_one_worker_is_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert WorkerGroup.from_environment() is None
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}')
    assert WorkerGroup.from_environment() is None
