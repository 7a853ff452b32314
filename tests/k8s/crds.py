"""Validate objects of other projects by the schemas of their CustomResourceDefinitions.

The definitions are gzipped YAML files in the folder ``crds`` of ``VITRINE_DATA``. Tests are skipped without them.
"""

import gzip
import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

_FOLDER = Path(os.environ.get("VITRINE_DATA", "")) / "crds"
#: API group and kind of an object → file of its definition.
_FILES = {
    ("gateway.networking.k8s.io", "HTTPRoute"): "gateway-api-httproutes",
    ("keda.sh", "ScaledObject"): "keda-scaledobjects",
    ("monitoring.coreos.com", "PrometheusRule"): "prometheus-prometheusrules",
    ("monitoring.coreos.com", "ServiceMonitor"): "prometheus-servicemonitors",
    ("serving.kserve.io", "ClusterServingRuntime"): "kserve-clusterservingruntimes",
    ("serving.kserve.io", "InferenceService"): "kserve-inferenceservices",
}

Object = dict[str, Any]


def is_known(manifest: Object) -> bool:
    """Return whether a definition of this object's kind exists."""
    return _group_and_kind(manifest) in _FILES


def validate(manifest: Object) -> None:
    """Validate an object; unknown fields are errors, too.

    Raises:
        jsonschema.ValidationError: The object does not match its schema.
        KeyError: No definition of this kind, or no such version of it.
    """
    _validator(_FILES[_group_and_kind(manifest)], manifest["apiVersion"].partition("/")[2]).validate(manifest)


def _group_and_kind(manifest: Object) -> tuple[str, str]:
    return manifest["apiVersion"].partition("/")[0], manifest["kind"]


@cache
def _validator(name: str, version: str) -> jsonschema.protocols.Validator:
    path = _FOLDER / f"{name}.yaml.gz"
    if not path.is_file():
        pytest.skip(f"{path} is needed; VITRINE_DATA names its parent folder")
    definition = yaml.load(gzip.decompress(path.read_bytes()), yaml.CSafeLoader)
    versions = {one["name"]: one["schema"]["openAPIV3Schema"] for one in definition["spec"]["versions"]}
    schema = _strict(versions[version])
    return jsonschema.validators.validator_for(schema)(schema)  # checking the schema itself takes four seconds


def _strict(schema: Object) -> Object:
    """Forbid unknown fields, as the API server's strict field validation does."""
    known = {key: _strict(value) for key, value in schema.get("properties", {}).items()}
    strict = schema | ({"properties": known} if known else {})
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            strict[key] = _strict(schema[key])
    if known and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict["additionalProperties"] = False
    if "(?i)" in schema.get("pattern", ""):  # Go's regular expressions take flags anywhere
        strict["pattern"] = "(?i)" + schema["pattern"].replace("(?i)", "")
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
    return strict
