"""Record runs on an MLflow tracking server, and mirror labels as aliases of its model registry.

MLflow is used if MLFLOW_TRACKING_URI is set. An experiment has the model's name. A server that is away costs a few
seconds and a sentence: training and rollouts do not depend on it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from serving import extras
from serving.artifacts.manifest import CARD_FILE
from serving.artifacts.model_card import ModelCard
from serving.artifacts.registry import ModelRegistry

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

TRACKING_URI = "MLFLOW_TRACKING_URI"
#: Tag of a model version in MLflow: the number of the version directory.
VERSION_TAG = "vitrine.version"
_AT_ONCE = 1_000  # metrics in one request, MLflow's limit
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}

Say = Callable[[str], None]


def is_configured() -> bool:
    """Whether runs are recorded."""
    return bool(os.environ.get(TRACKING_URI))


def record(registry: ModelRegistry, model: str, card: ModelCard, version: int, say: Say) -> None:
    """Record a published version, if a server is set: as a finished run and a model version, with its labels."""
    if not is_configured():
        return

    def use(client: "MlflowClient") -> None:
        run = _record(client, registry, model, card, version)
        _mirror(client, registry, model)
        say(f"MLflow: run {run} of experiment {model} at {os.environ[TRACKING_URI]}")

    _with_client(say, f"the run of {model}", use)


def mirror_labels(registry: ModelRegistry, model: str, say: Say) -> None:
    """Make the aliases of the model in MLflow those of its labels. Versions that MLflow does not have are left out."""
    if is_configured():
        _with_client(say, f"the labels of {model}", lambda client: _mirror(client, registry, model))


def _with_client(say: Say, what: str, use: "Callable[[MlflowClient], None]") -> None:
    """Call ``use`` with a client. Say once why something is not recorded."""
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)  # MLflow reads them for each request; its own are 120 s and 7 retries
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError:
        say(f"MLflow does not record {what}: {extras.needs(TRACKING_URI, 'mlflow')}")
        return
    try:
        use(MlflowClient())
    except (MlflowException, OSError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        say(f"MLflow does not record {what} at {os.environ[TRACKING_URI]}: {first[:200]}")


def _record(client: "MlflowClient", registry: ModelRegistry, model: str, card: ModelCard, version: int) -> str:
    from mlflow.entities import Metric, Param, RunTag

    found = client.get_experiment_by_name(model)
    experiment = found.experiment_id if found else client.create_experiment(model)
    begun = int(1000 * (card.created.timestamp() - card.training.seconds))
    run: str = client.create_run(experiment, start_time=begun, run_name=f"{model} {version}").info.run_id
    ended = int(1000 * card.created.timestamp())
    metrics = [
        Metric(key, value, ended, epoch)
        for key, values in card.histories.items()
        for epoch, value in enumerate(values)
        if value is not None
    ]
    metrics += [Metric(f"final/{key}", value, ended, 0) for key, value in card.metrics.items()]
    for start in range(0, len(metrics), _AT_ONCE):
        client.log_batch(run, metrics=metrics[start : start + _AT_ONCE])
    directory = registry.directory(model, version)
    place = (
        str(directory.resolve())
        if isinstance(registry.root, Path) or "://" not in registry.root
        else (f"{registry.root}/{model}/{version}")
    )
    params = {**card.training.recipe, **{f"seed/{key}": seed for key, seed in card.seeds.items()}}
    tags = {
        "vitrine.directory": place,
        "vitrine.data": card.data.name,
        "vitrine.code_revision": card.code_revision or "",
        "vitrine.gate": " / ".join(card.gate.reasons)[:5000] if card.gate else "",
    }
    client.log_batch(
        run,
        params=[Param(key, str(value)) for key, value in params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    client.log_artifact(run, str(directory / CARD_FILE))
    for plot in sorted((directory / CARD_FILE).parent.glob("*.png")):
        client.log_artifact(run, str(plot))
    client.set_terminated(run, end_time=ended)
    if not client.search_registered_models(filter_string=f"name = '{model}'"):
        client.create_registered_model(model, description=card.title)
    # A server refuses a source outside the run's artifacts; the tag vitrine.directory has the version's place.
    source = client.get_run(run).info.artifact_uri
    client.create_model_version(model, source=source, run_id=run, tags={VERSION_TAG: str(version)})
    return run


def _mirror(client: "MlflowClient", registry: ModelRegistry, model: str) -> None:
    if not client.search_registered_models(filter_string=f"name = '{model}'"):
        return
    numbers = {
        one.tags[VERSION_TAG]: one.version
        for one in sorted(client.search_model_versions(f"name = '{model}'"), key=lambda one: int(one.version))
        if VERSION_TAG in one.tags
    }
    wanted = {
        label: numbers[str(version)] for label, version in registry.labels(model).items() if str(version) in numbers
    }
    for alias in client.get_registered_model(model).aliases:
        if alias not in wanted:
            client.delete_registered_model_alias(model, alias)
    for label, number in wanted.items():
        client.set_registered_model_alias(model, label, number)
