"""Hosting platforms: how the gateway recognizes them, and what their environment variables set.

Sources: Amazon SageMaker's "Custom Inference Code with Hosting Services", Vertex AI's "Custom container requirements
for prediction", Knative's "Runtime contract" (Cloud Run's too), MLflow's "Inference server specification".
"""

import os
from collections.abc import Mapping
from typing import Any, Literal

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from serving.gateway.http.paths import INVOCATIONS, PING, is_hot

Platform = Literal["sagemaker", "vertex", "cloudrun", "mlflow"]

_CONTRACT_PORT = "8080"  # of SageMaker, Vertex AI and Cloud Run
_PORT_VARIABLES = {"sagemaker": "SAGEMAKER_BIND_TO_PORT", "vertex": "AIP_HTTP_PORT", "cloudrun": "PORT"}
_NAMES = {
    "sagemaker": "SageMaker",
    "vertex": "Vertex AI",
    "cloudrun": "Cloud Run",
    "mlflow": "what is in front of this gateway",
}


def detected(variables: Mapping[str, str]) -> Platform | None:
    """Return the platform that has set these variables; SageMaker and MLflow set none of their own."""
    if "AIP_HTTP_PORT" in variables:
        return "vertex"
    return "cloudrun" if "K_SERVICE" in variables else None


def settings_of(platform: Platform | None, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that a platform's variables give.

    Knative in a Kubernetes cluster sets the port only, because nothing in front of it authenticates callers.

    Args:
        platform: the one that an operator has named; None to detect it.
        variables: environment variables.
    """
    found = platform or detected(variables)
    given: dict[str, str] = {}
    if found in _PORT_VARIABLES:
        given["port"] = variables.get(_PORT_VARIABLES[found]) or _CONTRACT_PORT
    if found is not None and (platform is not None or "KUBERNETES_SERVICE_HOST" not in variables):
        given["platform"] = found
    return given


def path_aliases(platform: Platform | None, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the gateway's path for each path that Vertex AI chooses. An inference path of the gateway stays."""
    if platform != "vertex":
        return {}
    chosen = {variables.get("AIP_HEALTH_ROUTE"): PING, variables.get("AIP_PREDICT_ROUTE"): INVOCATIONS}
    return {path: own for path, own in chosen.items() if path and not is_hot(path)}


def authentication(platform: Platform) -> str:
    """Return the log line about who authenticates callers if the gateway has no keys."""
    return f"platform {platform}: {_NAMES[platform]} authenticates callers; this gateway checks no API keys"


class PlatformVariables(PydanticBaseSettingsSource):
    """Settings from the platform's variables, below flags and above ``VITRINE_…`` variables."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: :meth:`__call__` knows all values."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the settings."""
        named: Any = self.current_state.get("platform") or os.environ.get("VITRINE_PLATFORM") or None
        if named is not None and named not in _NAMES:
            return {}  # the settings' own check names the value
        return dict(settings_of(named, os.environ))
