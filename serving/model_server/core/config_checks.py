"""Checks of a new configuration against the current one.

Source: tensorflow_serving/model_servers/server_core.cc, for the rules and the messages.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from serving.artifacts.models_config import ModelConfig
from serving.model_server.errors import ServingError, failed_precondition, invalid_argument

logger = logging.getLogger(__name__)

Models = Mapping[str, ModelConfig]
Labels = dict[str, dict[str, int]]


def check_models(models: Models, current: Models) -> None:
    """Check base paths and platforms.

    Raises:
        ServingError: INVALID_ARGUMENT for a relative path, or a platform that is missing or has changed.
    """
    for name, model in models.items():
        if not Path(model.base_path).is_absolute():
            raise invalid_argument(
                f"Expected model {name} to have an absolute path or URI; got base_path()={model.base_path}"
            )
        if not model.platform:
            raise invalid_argument(
                "Illegal setting neither ModelServerConfig::model_type (deprecated) "
                "nor ModelServerConfig::model_platform."
            )
        before = current.get(name)
        if before and before.platform != model.platform:
            raise invalid_argument(
                f"Illegal to change a model's platform. For model {name} platform was {before.platform} "
                f"and new platform requested is {model.platform}"
            )


def check_platforms(models: Models) -> None:
    """Check that every platform is served.

    Raises:
        ServingError: INVALID_ARGUMENT for any other platform.
    """
    for name, model in models.items():
        if model.platform != "tensorflow":
            raise invalid_argument(f"Model {name} requests unsupported platform {model.platform}")


def check_request_logging(models: Models) -> None:
    """Reject a ``logging_config``, as TensorFlow Serving does after the models are loaded.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if any(model.logs_requests for model in models.values()):
        raise invalid_argument("No request-logger-creator provided.")


def with_versions_of_labels(current: ModelConfig, wanted: ModelConfig) -> ModelConfig:
    """Return the current entry, loading the versions that the wanted one has labels for, too.

    An entry that names no versions stays: its policy finds new ones.
    """
    if not current.specific:
        return current
    return replace(current, specific=tuple(sorted({*current.specific, *wanted.labels.values()})))


def check_labels(
    models: Models,
    current: Labels | None,
    is_available: Callable[[str, int], bool],
    *,
    allow_new: bool,
) -> tuple[Labels, list[ServingError]]:
    """Return the labels to assign, and an error for each label that came with a new model.

    With ``allow_new`` (``--allow_version_labels_for_unavailable_models``) a new label may point at an unavailable
    version. As in TensorFlow Serving this does not hold for a model that the current configuration lacks, except in the
    first configuration (``current`` is None).

    Raises:
        ServingError: FAILED_PRECONDITION for any other label on an unavailable version.
    """
    assigned: Labels = {}
    early: list[ServingError] = []
    for name, model in models.items():
        assigned[name] = {}
        for label, version in model.labels.items():
            before = (current or {}).get(name, {}).get(label)
            if not is_available(name, version):
                problem = failed_precondition(
                    f"Request to assign label to version {version} of model {name}, "
                    "which is not currently available for inference"
                )
                is_new = before in (None, version)
                if is_new and not allow_new:
                    logger.error("--allow_version_labels_for_unavailable_models would allow it")
                if not (is_new and allow_new):
                    raise problem
                if before is None and current is not None and name not in current:
                    early.append(problem)
                    continue
            assigned[name][label] = version
    return assigned, early
