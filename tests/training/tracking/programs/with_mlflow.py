"""A run and the labels of a model, recorded on a real MLflow server, and read back by MLflow's own client."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from mlflow.tracking import MlflowClient

from serving.artifacts import model_card, rollout
from serving.artifacts.registry import ModelRegistry
from training.tracking import mlflow_server

SHIPPED = Path(os.environ["SHIPPED"])  # a version of fashion_cnn
PORT = os.environ["FREE_PORT"]
URI = f"http://127.0.0.1:{PORT}"


def check(what: str, holds: bool) -> None:
    if not holds:
        raise SystemExit(f"failed: {what}")
    print("ok", what)


def answers() -> bool:
    try:
        with urllib.request.urlopen(f"{URI}/health", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


folder = Path(tempfile.mkdtemp())
registry = ModelRegistry(folder / "exports", settle=0)
for number in ("1", "2"):
    shutil.copytree(SHIPPED, folder / "exports" / "fashion_cnn" / number)
registry.promote("fashion_cnn", 1)
card = model_card.read(SHIPPED).model_copy(
    update={"histories": {"loss": (0.5, 0.25, None)}, "seeds": {"numpy": 1}, "code_revision": "0123456789"}
)

sentences: list[str] = []
os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"  # nothing listens there
begun = time.monotonic()
mlflow_server.record(registry, "fashion_cnn", card, 1, sentences.append)
check("a server that is away costs at most 30 s", time.monotonic() - begun < 30)
check("one sentence names the address", len(sentences) == 1 and "at http://127.0.0.1:9" in sentences[0])

sentences.clear()
os.environ["MLFLOW_TRACKING_URI"] = "elsewhere://host"
mlflow_server.record(registry, "fashion_cnn", card, 1, sentences.append)
check(
    "one sentence names an address of an unknown kind", [" at elsewhere://host: " in one for one in sentences] == [True]
)

os.environ["MLFLOW_TRACKING_URI"] = URI
os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")]
command = [sys.executable, "-m", "mlflow", "server", "--port", PORT, "--workers", "1", *store]
with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as server:
    try:
        for _ in range(1_500):  # the server has no signal for being ready
            if answers() or server.poll() is not None:
                break
            time.sleep(0.2)
        check("the server answers", answers())
        sentences.clear()
        for version in (1, 2):
            mlflow_server.record(registry, "fashion_cnn", card, version, sentences.append)
        check("each run is said", len(sentences) == 2 and all("MLflow: run " in sentence for sentence in sentences))
        client = MlflowClient(URI)
        experiment = client.get_experiment_by_name("fashion_cnn")
        runs = client.search_runs([experiment.experiment_id])
        check("two runs", len(runs) == 2 and {run.info.status for run in runs} == {"FINISHED"})
        (run,) = (run for run in runs if run.data.tags["vitrine.directory"].endswith("/fashion_cnn/1"))
        check("parameters", run.data.params["batch_size"] == "16" and run.data.params["seed/numpy"] == "1")
        check("final metrics", run.data.metrics["final/test_accuracy"] == card.metrics["test_accuracy"])
        epochs = client.get_metric_history(run.info.run_id, "loss")
        check("metrics by epoch", [(one.step, one.value) for one in epochs] == [(0, 0.5), (1, 0.25)])
        check("tags", run.data.tags["vitrine.code_revision"] == "0123456789")
        files = {file.path for file in client.list_artifacts(run.info.run_id)}
        check("card and plots", {"card.json", "history.png"} <= files)

        def aliases() -> dict[str, str]:
            tags = {str(one.version): one.tags for one in client.search_model_versions("name = 'fashion_cnn'")}
            found = client.get_registered_model("fashion_cnn").aliases
            return {alias: tags[str(number)]["vitrine.version"] for alias, number in found.items()}

        check(f"stable after the run: {aliases()}", aliases() == {"stable": "1"})
        rollout.canary(registry, "fashion_cnn", 2, 10)
        mlflow_server.mirror_labels(registry, "fashion_cnn", sentences.append)
        check("canary", aliases() == {"stable": "1", "canary": "2"})
        rollout.promote(registry, "fashion_cnn", 2)
        mlflow_server.mirror_labels(registry, "fashion_cnn", sentences.append)
        check("promote", aliases() == {"stable": "2", "previous": "1"})
        rollout.rollback(registry, "fashion_cnn")
        mlflow_server.mirror_labels(registry, "fashion_cnn", sentences.append)
        check("rollback", aliases() == {"stable": "1", "previous": "2"})
    finally:
        server.terminate()
        print((folder / "log").read_text()[-2000:], file=sys.stderr)
shutil.rmtree(folder)
